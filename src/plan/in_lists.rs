//! `x IN (a, 7)` with columns in the list is `x IN (7) OR x = a`.
//!
//! DataFusion 55 makes one list of two over the same value by how their parts are written: of `x IN (a, 7) AND x IN (b, 8)`
//! nothing is left, though `a` may be `b`.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::disjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, not};
use datafusion::optimizer::AnalyzerRule;

/// Leaves only constants in lists, when their types are known.
#[derive(Debug)]
pub struct OfConstants;

impl AnalyzerRule for OfConstants {
    fn name(&self) -> &str {
        "lists_of_constants"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            let changed = node.map_expressions(|expr| {
                let name = names.save(&expr);
                let changed = expr.transform_up(|part| Ok(of_constants(part)))?;
                Ok(changed.update_data(|expr| name.restore(expr)))
            })?;
            match changed.transformed {
                true => changed.map_data(LogicalPlan::recompute_schema),
                false => Ok(changed),
            }
        })
        .map(|plan| plan.data)
    }
}

fn of_constants(part: Expr) -> Transformed<Expr> {
    let Expr::InList(list) = part else {
        return Transformed::no(part);
    };
    let is_constant = |value: &Expr| value.column_refs().is_empty() && !value.is_volatile();
    if list.expr.is_volatile() || list.list.iter().all(is_constant) {
        return Transformed::no(Expr::InList(list));
    }
    let InList { expr, list, negated } = list;
    let (constants, others): (Vec<Expr>, Vec<Expr>) = list.into_iter().partition(is_constant);
    let known = (!constants.is_empty()).then(|| expr.as_ref().clone().in_list(constants, false));
    let equal = others.into_iter().map(|other| expr.as_ref().clone().eq(other));
    match disjunction(known.into_iter().chain(equal)) {
        Some(any) if negated => Transformed::yes(not(any)),
        Some(any) => Transformed::yes(any),
        None => Transformed::no(*expr),
    }
}
