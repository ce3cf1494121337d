//! What ORDER BY cannot be: an aggregate of what SELECT has computed. DataFusion would find out when it runs.

use crate::plan::Refusal;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Refuses aggregates that are still in a key of ORDER BY: a name of SELECT hides the column that they are of.
pub fn refuse_aggregates(plan: &LogicalPlan) -> Result<()> {
    let mut hidden = None;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Sort(sort) = node {
            for key in &sort.expr {
                key.expr.apply(|part| {
                    if let Expr::AggregateFunction(_) = part {
                        hidden = hidden.take().or_else(|| part.column_refs().into_iter().next().cloned());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let Some(column) = hidden else {
        return Ok(());
    };
    let name = column.name;
    let message = format!("`ORDER BY` aggregates columns of tables, and `{name}` is one of SELECT here");
    let refusal = Refusal::new("aggregate_in_order_by", message);
    Err(refusal.help(format!("say of which table it is: t.{name}")).into())
}
