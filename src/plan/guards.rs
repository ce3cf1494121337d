//! Conditions guard those behind them: with `x <> 0 AND 1 / x = 1` nothing is divided by 0, and neither is with
//! `x = 0 OR 1 / x = 1`, nor where a subquery leaves out `x = 0`.
//!
//! DataFusion 55 computes both sides of AND and OR unless few rows need the second. So a query would fail or not as its
//! input is cut.

use crate::plan::rewrite::with_names;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, Operator, lit, when};
use std::sync::Arc;

/// Functions that fail on no value. Others may, those of the host among them.
const SAFE: [&str; 36] = [
    "array_element",
    "array_has",
    "array_length",
    "btrim",
    "ceil",
    "character_length",
    "coalesce",
    "concat",
    "concat_ws",
    "contains",
    "date_part",
    "ends_with",
    "floor",
    "get_field",
    "greatest",
    "initcap",
    "isnan",
    "json_as_text",
    "json_get",
    "json_get_str",
    "least",
    "lower",
    "ltrim",
    "named_struct",
    "nullif",
    "nvl",
    "octet_length",
    "replace",
    "reverse",
    "round",
    "rtrim",
    "starts_with",
    "strpos",
    "struct",
    "trunc",
    "upper",
];

/// An optimised plan in which what may fail is computed of the rows that the conditions before it let pass.
pub fn kept(plan: LogicalPlan) -> Result<LogicalPlan> {
    let guarded = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(filter) => conditions(filter),
        // DataFusion plans the keys of functions over rows twice, and compares them as they are written.
        LogicalPlan::Window(_) => Ok(Transformed::no(node)),
        other => {
            let schema = merge_schema(&other.inputs());
            with_names(other, &mut |expr| guarded(expr, &schema))
        }
    })?;
    Ok(guarded.data)
}

/// A condition that cannot fail comes first, wherever it was written: the optimizer merges and moves them.
fn conditions(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let Filter { predicate, input, .. } = filter;
    let (mut safe, mut fallible) = (Vec::new(), Vec::new());
    let mut changed = false;
    for condition in split_conjunction_owned(predicate) {
        let condition = guarded(condition, input.schema())?;
        changed |= condition.transformed;
        match may_fail(&condition.data, input.schema())? {
            true => fallible.push(condition.data),
            false => safe.push(condition.data),
        }
    }
    changed |= fallible.len() > 1 || !(safe.is_empty() || fallible.is_empty());
    let mut plan = input;
    for condition in conjunction(safe).into_iter().chain(fallible) {
        plan = Arc::new(LogicalPlan::Filter(Filter::try_new(condition, plan)?));
    }
    let plan = Arc::unwrap_or_clone(plan);
    Ok(if changed {
        Transformed::yes(plan)
    } else {
        Transformed::no(plan)
    })
}

/// An expression whose ANDs and ORs compute their right side only where the left has not decided.
fn guarded(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|part| {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &part else {
            return Ok(Transformed::no(part));
        };
        let decided = match op {
            Operator::And => left.as_ref().clone().is_false(),
            Operator::Or => left.as_ref().clone().is_true(),
            _ => return Ok(Transformed::no(part)),
        };
        match may_fail(right, schema)? {
            true => {
                let answer = lit(*op == Operator::Or);
                when(decided, answer).otherwise(part).map(Transformed::yes)
            }
            false => Ok(Transformed::no(part)),
        }
    })
}

fn may_fail(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    expr.exists(|part| {
        Ok(match part {
            Expr::BinaryExpr(BinaryExpr {
                op: Operator::Divide | Operator::Modulo,
                right,
                ..
            }) => !is_divisor(right) && part.get_type(schema).is_ok_and(|t| !t.is_floating()),
            Expr::Cast(cast) => !always_fits(&cast.expr.get_type(schema)?, cast.field.data_type()),
            Expr::ScalarFunction(call) => !SAFE.contains(&call.func.name()),
            _ => false,
        })
    })
}

fn is_divisor(expr: &Expr) -> bool {
    let zero = |value: &ScalarValue| ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value);
    matches!(expr, Expr::Literal(value, _) if !zero(value))
}

/// Whether every value of one type can be cast to another.
fn always_fits(from: &DataType, to: &DataType) -> bool {
    match (whole_digits(from), whole_digits(to)) {
        _ if from == to || from.is_null() => true,
        _ if from.is_nested() || to.is_nested() => false,
        _ if to.is_string() => true,
        _ if from.is_temporal() => to.is_temporal(),
        (Some(given), Some(taken)) if to.is_integer() => {
            given < taken && (to.is_signed_integer() || from.is_unsigned_integer())
        }
        (Some(given), Some(taken)) => given < taken || given == taken && from.is_integer(),
        (Some(_), None) => to.is_floating(),
        (None, _) => to.is_floating() && from.is_floating(),
    }
}

/// How many digits the numbers of a type may have before the point.
fn whole_digits(number: &DataType) -> Option<i16> {
    use DataType::{Decimal128, Decimal256, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    match number {
        Int8 | UInt8 => Some(3),
        Int16 | UInt16 => Some(5),
        Int32 | UInt32 => Some(10),
        Int64 => Some(19),
        UInt64 => Some(20),
        Decimal128(digits, scale) | Decimal256(digits, scale) => Some(i16::from(*digits) - i16::from(*scale)),
        _ => None,
    }
}
