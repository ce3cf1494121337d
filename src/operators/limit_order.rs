//! LIMIT over an ORDER BY by columns that nobody sees: the limit goes right above the sort.
//!
//! DataFusion's planner drops a sort when the projection above it hides its order, whatever takes the first rows of it.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Limit, LogicalPlan};
use std::sync::Arc;

/// Moves every limit below the projections that it stands on.
pub fn below_projections(plan: LogicalPlan) -> Result<LogicalPlan> {
    let moved = plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::Limit(limit) if hides_order(&limit.input) => {
            let Limit { skip, fetch, input } = limit;
            Arc::unwrap_or_clone(input).map_children(|input| {
                Ok(Transformed::yes(LogicalPlan::Limit(Limit {
                    skip: skip.clone(),
                    fetch: fetch.clone(),
                    input: Arc::new(input),
                })))
            })
        }
        node => Ok(Transformed::no(node)),
    })?;
    Ok(moved.data)
}

fn hides_order(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_))
}
