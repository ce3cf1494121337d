//! Expressions replaced by others while what they are called stays as it was.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Replaces parts of expressions in a whole plan, from the inside out, and derives the types of what is made of them
/// again. `replace` is given a part and the columns that it reads.
pub fn throughout(
    plan: LogicalPlan,
    replace: &dyn Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    let replaced = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let node = with_names(node, &mut |expr| expr.transform_up(|part| replace(part, &schema)))?;
        match node.transformed {
            true => node.map_data(LogicalPlan::recompute_schema),
            false => Ok(node),
        }
    })?;
    Ok(replaced.data)
}

/// Replaces the expressions of one node.
pub fn with_names(
    node: LogicalPlan,
    replace: &mut dyn FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&node);
    node.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(replace(expr)?.update_data(|expr| name.restore(expr)))
    })
}

/// Whether an expression reads no column, and gives one value however often it is computed.
pub fn is_constant(expr: &Expr) -> bool {
    expr.column_refs().is_empty() && !expr.is_volatile()
}
