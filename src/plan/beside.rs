//! UNION ALL of unlike inputs at the top of a query: rows, closed windows and tables that do not change stand beside each
//! other, and each gives what it has when it has it.

use super::branch::{branches, shown_by_session};
use super::facts::{Class, facts, holds_query};
use super::unseen_order::keeps_order;
use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;

/// A part of such a query, by how it runs.
pub enum Part {
    /// Row by row.
    Rows(LogicalPlan),
    /// Rows that are shown as their windows close.
    WindowRows(LogicalPlan),
    Closed(LogicalPlan),
    /// There from the start.
    Fixed(LogicalPlan),
}

/// The parts of a UNION ALL below nothing but projections and filters; `None` for anything else, and when some part
/// waits for the end of its input.
pub fn parts(plan: &LogicalPlan) -> Result<Option<Vec<Part>>> {
    if !is_union(plan) {
        return Ok(None);
    }
    Ok(branches(plan)?.into_iter().map(part).collect())
}

fn part(plan: LogicalPlan) -> Option<Part> {
    let facts = facts(&plan);
    Some(match facts.class {
        Class::Batch(_) => return None,
        Class::Static => Part::Fixed(plan),
        Class::Stream if facts.assigned || shown_by_session(&plan) => Part::WindowRows(plan),
        Class::Stream => Part::Rows(plan),
        Class::Closed => Part::Closed(plan),
    })
}

fn is_union(plan: &LogicalPlan) -> bool {
    let is_row_by_row = keeps_order(plan) && !holds_query(plan);
    matches!(plan, LogicalPlan::Union(_)) || is_row_by_row && plan.inputs().into_iter().all(is_union)
}
