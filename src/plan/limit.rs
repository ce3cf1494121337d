//! The LIMIT that ends a query. It needs no state: an output counts its rows, and asks for no more when it has them.

use crate::plan::Refusal;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan};

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
