//! Windows with an inverse: which aggregates can be taken away again, and what is counted beside them.
//!
//! Exact numbers form a group under addition: a count or a sum of integers or decimals is taken away by adding its
//! negative. (Sums of floats are not: what is taken away leaves its rounding behind; docs/time.md.) Of other aggregates
//! the host can say what takes their states away; the plan carries the name.

use crate::dstream::graph::{Aggregation, Inverse};
use crate::plan::Refusal;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, lit};
use std::sync::Arc;

/// What is counted beside the aggregates of a query.
const COUNTED: &str = "__counted_";

/// Refuses an aggregate that has no exact inverse, and none that is registered.
pub fn check(aggregate: &Expr, input: &LogicalPlan, is_registered: impl Fn(&str) -> bool) -> Result<()> {
    let bare = aggregate.clone().unalias();
    let invertible = match &bare {
        Expr::AggregateFunction(f) if !f.params.distinct && f.params.order_by.is_empty() => match f.func.name() {
            "count" => true,
            "sum" => is_exact(&bare.get_type(input.schema())?),
            name => is_registered(name),
        },
        _ => false,
    };
    match invertible {
        true => Ok(()),
        false => {
            let message = format!("`{}` has no exact inverse", bare.schema_name());
            let refusal = Refusal::new("no_inverse", message);
            let help = "counts, and sums of integers and decimals have one; for an aggregate of your own register it \
                        (`Engine::register_inverse`); for others use `reduce_by_window`";
            Err(refusal.help(help).into())
        }
    }
}

fn is_exact(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..) | DataType::Decimal256(..)
    )
}

/// An aggregation with what its inverse needs: the rows of each group, and the values of each sum, are counted too.
pub fn with_inverse(aggregation: Aggregation) -> Result<Aggregation> {
    let LogicalPlan::Aggregate(template) = &aggregation.template else {
        return internal_err!("an aggregation without an aggregate");
    };
    let mut aggregates = template.aggr_expr.clone();
    let mut counted = |expr: AggregateFunction| {
        let place = aggregates.len();
        let func = count_udaf();
        aggregates.push(Expr::AggregateFunction(AggregateFunction { func, ..expr }).alias(format!("{COUNTED}{place}")));
        place
    };
    let all = AggregateFunction::new_udf(count_udaf(), vec![lit(1i64)], false, None, Vec::new(), None);
    let rows = counted(all);
    let (mut sums, mut registered) = (Vec::new(), Vec::new());
    for (place, expr) in template.aggr_expr.iter().enumerate() {
        let Expr::AggregateFunction(function) = expr.clone().unalias() else {
            return internal_err!("an aggregate that is none");
        };
        match function.func.name() {
            "count" => {}
            "sum" => sums.push((place, counted(function))),
            name => registered.push((place, name.to_string())),
        }
    }
    let template = Aggregate::try_new(Arc::clone(&template.input), template.group_expr.clone(), aggregates)?;
    Ok(Aggregation {
        template: LogicalPlan::Aggregate(template),
        inverse: Some(Inverse { rows, sums, registered }),
        ..aggregation
    })
}
