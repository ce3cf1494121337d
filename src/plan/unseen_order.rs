//! An ORDER BY in a subquery, CTE or view counts where its rows are shown, cut off by LIMIT or numbered in that order, as in
//! every database. Below a join, an aggregate or another ORDER BY nobody sees it: there it is left out, so that it needs no
//! end of the input.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::LogicalPlan;
use std::sync::Arc;

/// Leaves out the sorts whose order nobody sees.
pub fn left_out(plan: LogicalPlan) -> Result<LogicalPlan> {
    let seen = plan.transform_down_with_subqueries(|node| match shows_order(&node) {
        true => Ok(Transformed::no(node)),
        false => node.map_children(unsorted),
    })?;
    Ok(seen.data)
}

/// Whether the rows of a node come in the order of its input.
pub fn keeps_order(node: &LogicalPlan) -> bool {
    matches!(
        node,
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_)
    )
}

/// Whether a plan ends with an ORDER BY, whatever of it is shown.
pub fn is_ordered(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Sort(_)) || keeps_order(plan) && plan.inputs().into_iter().all(is_ordered)
}

fn shows_order(node: &LogicalPlan) -> bool {
    // Functions over rows without an ORDER BY of their own take them as they come.
    keeps_order(node) || matches!(node, LogicalPlan::Limit(_) | LogicalPlan::Window(_))
}

/// The rows without the order in which they are given.
pub fn unsorted(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            let below = unsorted(Arc::unwrap_or_clone(sort.input))?;
            Ok(Transformed::yes(below.data))
        }
        node if keeps_order(&node) => node.map_children(unsorted),
        node => Ok(Transformed::no(node)),
    }
}
