//! The LIMIT that ends a query, and those inside it. The first needs no state: an output counts its rows, and asks for no more
//! when it has them. The others cut off what stands below them, in its order.

use crate::plan::Refusal;
use crate::plan::unseen_order::keeps_order;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, FetchType, Limit, LogicalPlan, SkipType};
use std::sync::Arc;

/// More rows than a batch ever holds.
const EVERY_ROW: usize = u32::MAX as usize;

/// A plan without the LIMIT that ends it; how many rows are passed over, and how many shown at most.
///
/// What makes one row of each may stand above the LIMIT, as the casts of an INSERT do: it makes the same rows below.
pub fn without_limit(plan: &LogicalPlan) -> Result<(LogicalPlan, usize, Option<usize>)> {
    match (plan, &plan.inputs()[..]) {
        (LogicalPlan::Limit(limit), _) => {
            let (skip, fetch) = (number(&limit.skip)?.unwrap_or(0), number(&limit.fetch)?);
            let (below, skipped, fetched) = without_limit(&limit.input)?;
            let left = fetched.map(|fetched| fetched.saturating_sub(skip));
            let fetch = fetch.into_iter().chain(left).min();
            Ok((below, skipped.saturating_add(skip), fetch))
        }
        (LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_), [input]) => {
            let (below, skip, fetch) = without_limit(input)?;
            Ok((plan.with_new_exprs(plan.expressions(), vec![below])?, skip, fetch))
        }
        _ => Ok((plan.clone(), 0, None)),
    }
}

/// Whether a query ends, also over input that does not.
pub fn is_limited(plan: &LogicalPlan) -> bool {
    without_limit(plan).is_ok_and(|(_, _, fetch)| fetch.is_some())
}

/// A plan in which each sort below a LIMIT knows how many rows are asked of it.
///
/// DataFusion drops a sort that does not, if its keys are not shown: then the LIMIT would see no order.
pub fn with_sorts_held(plan: LogicalPlan) -> Result<LogicalPlan> {
    let held = plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::Limit(mut limit) => {
            let rows = rows_asked(&limit)?;
            limit.input = Arc::new(held(Arc::unwrap_or_clone(limit.input), rows)?);
            Ok(Transformed::yes(LogicalPlan::Limit(limit)))
        }
        node => Ok(Transformed::no(node)),
    })?;
    Ok(held.data)
}

fn rows_asked(limit: &Limit) -> Result<usize> {
    Ok(match (limit.get_skip_type()?, limit.get_fetch_type()?) {
        (SkipType::Literal(skip), FetchType::Literal(Some(fetch))) => skip.saturating_add(fetch).min(EVERY_ROW),
        _ => EVERY_ROW,
    })
}

fn held(plan: LogicalPlan, rows: usize) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Sort(mut sort) => {
            sort.fetch = Some(sort.fetch.unwrap_or(rows).min(rows));
            Ok(LogicalPlan::Sort(sort))
        }
        node if keeps_order(&node) => {
            // What a condition passes over is asked for too.
            let rows = if matches!(node, LogicalPlan::Filter(_)) {
                EVERY_ROW
            } else {
                rows
            };
            Ok(node.map_children(|below| held(below, rows).map(Transformed::yes))?.data)
        }
        node => Ok(node),
    }
}

fn number(expr: &Option<Box<Expr>>) -> Result<Option<usize>> {
    match expr.as_deref() {
        None => Ok(None),
        Some(Expr::Literal(ScalarValue::Int64(None), _)) => Ok(None),
        Some(Expr::Literal(ScalarValue::Int64(Some(n)), _)) => match usize::try_from(*n) {
            Ok(count) => Ok(Some(count)),
            Err(_) => {
                let message = format!("`OFFSET` takes a whole number from 0, not {n}");
                Err(Refusal::new("invalid_literal", message).into())
            }
        },
        Some(_) => Err(Refusal::new("not_yet", "LIMIT and OFFSET must be numbers").into()),
    }
}
