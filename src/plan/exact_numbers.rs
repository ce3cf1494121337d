//! What a written number is next to something else: a DECIMAL with its own digits beside a DECIMAL, else a DOUBLE.
//!
//! Owns: [`ExactOperands`], which tells it for operators while they are planned, so that types are known from the start, and
//! [`ExactMembers`], which tells it for IN, BETWEEN, CASE and functions that pass a value on, before types are made alike.
//! Guarantees: `1 + 0.19` is exact where the sum stands beside a DECIMAL, and a DOUBLE elsewhere; no kept number is left.
//! Depends on `sql::digits`, which keeps the digits.

use crate::plan::rewrite::with_names;
use crate::sql::digits::{self, KEPT};
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL128_MAX_SCALE, DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// The type of a kept number.
pub fn kept_type() -> FieldRef {
    let mark = [(KEPT.to_string(), String::new())];
    Arc::new(Field::new("", DataType::Float64, true).with_metadata(mark.into()))
}

/// Tells what kept numbers are that are operands.
#[derive(Debug)]
pub struct ExactOperands;

impl ExprPlanner for ExactOperands {
    fn plan_binary_op(&self, mut binary: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator::{Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Plus};
        let compares = matches!(binary.op, Eq | NotEq | Lt | LtEq | Gt | GtEq);
        if compares || matches!(binary.op, Plus | Minus | Multiply | Divide | Modulo) {
            let sides = &mut [&mut binary.left, &mut binary.right];
            settle(sides, compares, schema)?;
            as_doubles(sides, schema);
        }
        if binary.op == Divide
            && let Some(quotient) = wide_quotient(&binary, schema)
        {
            return Ok(PlannerResult::Planned(quotient));
        }
        Ok(PlannerResult::Original(binary))
    }
}

/// A DECIMAL beside a DOUBLE is a DOUBLE: DataFusion would make a DECIMAL(30, 15) of both, in which neither large nor small
/// DOUBLEs are. `true`: one was.
fn as_doubles(parts: &mut [&mut Expr], schema: &DFSchema) -> bool {
    let types: Vec<Option<DataType>> = parts.iter().map(|part| part.get_type(schema).ok()).collect();
    if !types.iter().flatten().any(DataType::is_floating) {
        return false;
    }
    let decimals = parts
        .iter_mut()
        .zip(types)
        .filter(|(_, of)| of.as_ref().is_some_and(DataType::is_decimal));
    let mut changed = false;
    for (decimal, _) in decimals {
        **decimal = cast(std::mem::take(*decimal), DataType::Float64);
        changed = true;
    }
    changed
}

/// A quotient of two DECIMALs, of which the dividend would have more than 38 digits on the way.
fn wide_quotient(binary: &RawBinaryExpr, schema: &DFSchema) -> Option<Expr> {
    let (DataType::Decimal128(digits, scale), DataType::Decimal128(_, by_scale)) =
        (binary.left.get_type(schema).ok()?, binary.right.get_type(schema).ok()?)
    else {
        return None;
    };
    let max = DECIMAL128_MAX_PRECISION;
    // Arrow adds four digits behind the point.
    let made = scale.saturating_add(4);
    let shifted = i16::from(digits) + i16::from(made) - i16::from(scale) + i16::from(by_scale);
    if shifted <= i16::from(max) || made > DECIMAL128_MAX_SCALE {
        return None;
    }
    let wide = |side: &Expr, scale| cast(side.clone(), DataType::Decimal256(max, scale));
    let quotient = wide(&binary.left, scale) / wide(&binary.right, by_scale);
    Some(cast(quotient, DataType::Decimal128(max, made)))
}

/// Tells what the other kept numbers are.
#[derive(Debug)]
pub struct ExactMembers;

impl AnalyzerRule for ExactMembers {
    fn name(&self) -> &str {
        "exact_numbers"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        let mut changed = false;
        plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let told = with_names(node, &mut |expr| expr.transform_down(|part| tell(part, &schema)))?;
            changed |= told.transformed;
            match changed {
                // What is made of a number that now has another type may have another as well.
                true => told.map_data(LogicalPlan::recompute_schema),
                false => Ok(told),
            }
        })
        .map(|plan| plan.data)
    }
}

/// Settles the numbers among the parts of an expression that become values of one type.
fn tell(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let changed = match &mut expr {
        Expr::InList(list) => {
            let mut parts: Vec<&mut Expr> = list.list.iter_mut().collect();
            parts.push(&mut list.expr);
            alike(&mut parts, true, schema)?
        }
        Expr::Between(between) => {
            let parts = &mut [&mut *between.expr, &mut *between.low, &mut *between.high];
            alike(parts, true, schema)?
        }
        // SQL's own comparison of NULLs is no operator to the planner.
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::IsDistinctFrom | Operator::IsNotDistinctFrom,
            right,
        }) => alike(&mut [left, right], true, schema)?,
        Expr::Case(case) => {
            let (mut compared, mut given): (Vec<&mut Expr>, Vec<&mut Expr>) = case
                .when_then_expr
                .iter_mut()
                .map(|(when, then)| (when.as_mut(), then.as_mut()))
                .unzip();
            compared.extend(case.expr.as_deref_mut());
            given.extend(case.else_expr.as_deref_mut());
            alike(&mut compared, true, schema)? | alike(&mut given, false, schema)?
        }
        Expr::ScalarFunction(function) if digits::PASSING_ON.contains(&function.func.name()) => {
            alike(&mut function.args.iter_mut().collect::<Vec<_>>(), false, schema)?
        }
        other => match digits_of(other) {
            Some(number) => {
                *other = double(number)?;
                true
            }
            None => false,
        },
    };
    Ok(if changed {
        Transformed::yes(expr)
    } else {
        Transformed::no(expr)
    })
}

/// Makes numbers that become values of one type alike. `true`: some were not.
fn alike(parts: &mut [&mut Expr], compares: bool, schema: &DFSchema) -> Result<bool> {
    let settled = settle(parts, compares, schema)?;
    Ok(settled | as_doubles(parts, schema) | as_signed(parts, schema))
}

/// What counts rows (`ntile`, `row_number`) beside another whole number is a BIGINT: DataFusion would make a DECIMAL of both.
fn as_signed(parts: &mut [&mut Expr], schema: &DFSchema) -> bool {
    let types: Vec<Option<DataType>> = parts.iter().map(|part| part.get_type(schema).ok()).collect();
    if !types.iter().flatten().any(DataType::is_signed_integer) {
        return false;
    }
    let mut changed = false;
    for (part, of) in parts.iter_mut().zip(types) {
        if of == Some(DataType::UInt64) {
            **part = cast(std::mem::take(*part), DataType::Int64);
            changed = true;
        }
    }
    changed
}

/// Makes the numbers among `parts` DECIMALs if another part is one, else DOUBLEs. Numbers that are alone are left. `true`: some
/// were made.
fn settle(parts: &mut [&mut Expr], compares: bool, schema: &DFSchema) -> Result<bool> {
    if !parts.iter().any(|part| holds_kept(part)) {
        return Ok(false);
    }
    let mut others = parts.iter().filter(|part| !is_number(part)).peekable();
    if others.peek().is_none() {
        return Ok(false);
    }
    let decimal = others
        .filter_map(|other| other.get_type(schema).ok())
        .filter(DataType::is_decimal)
        .reduce(|a, b| if bits(&a) < bits(&b) { b } else { a });
    for part in parts.iter_mut().filter(|part| is_number(part) && holds_kept(part)) {
        let told = std::mem::take(*part).transform_up(|part| number(part, decimal.as_ref(), compares))?;
        **part = told.data;
    }
    Ok(true)
}

/// A part of a number beside a DECIMAL, or (`None`) beside something else.
fn number(part: Expr, decimal: Option<&DataType>, compares: bool) -> Result<Transformed<Expr>> {
    let digits = match (&part, digits_of(&part)) {
        (_, Some(digits)) => digits.to_string(),
        (Expr::Literal(value, _), None) if decimal.is_some() && value.data_type().is_integer() => value.to_string(),
        _ => return Ok(Transformed::no(part)),
    };
    let exact = decimal.and_then(|beside| exact(&digits, beside, compares));
    Ok(Transformed::yes(match exact {
        Some(exact) => lit(exact),
        None => double(&digits)?,
    }))
}

/// The number as a DECIMAL that keeps all digits beside another. `None`: no DECIMAL has so many.
fn exact(number: &str, beside: &DataType, compares: bool) -> Option<ScalarValue> {
    let plain = digits::plain(number)?;
    let (precision, scale) = digits::own_digits(&plain)?;
    let (whole, behind) = match beside {
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => (i16::from(*p) - i16::from(*s), *s),
        _ => return None,
    };
    // What is compared becomes one type, with room for both.
    let room = whole.max(i16::from(precision) - i16::from(scale)) + i16::from(scale.max(behind));
    let max = i16::from(DECIMAL128_MAX_PRECISION);
    let to = if bits(beside) > 128 || i16::from(precision) > max || compares && room > max {
        DataType::Decimal256(precision, scale)
    } else {
        DataType::Decimal128(precision, scale)
    };
    ScalarValue::from(plain).cast_to(&to).ok()
}

fn double(number: &str) -> Result<Expr> {
    Ok(lit(ScalarValue::from(number).cast_to(&DataType::Float64)?))
}

/// Whether an expression is numbers alone: written ones, and what is computed of them.
fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.data_type().is_integer() && !value.is_null(),
        Expr::Negative(inner) => is_number(inner),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let computes = matches!(
                op,
                Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo
            );
            computes && is_number(left) && is_number(right)
        }
        other => digits_of(other).is_some(),
    }
}

fn holds_kept(expr: &Expr) -> bool {
    match expr {
        Expr::Negative(inner) => holds_kept(inner),
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => holds_kept(left) || holds_kept(right),
        other => digits_of(other).is_some(),
    }
}

/// The digits of a kept number.
fn digits_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Cast(cast) if cast.field.metadata().contains_key(KEPT) => match cast.expr.as_ref() {
            Expr::Literal(value, _) => value.try_as_str().flatten(),
            _ => None,
        },
        _ => None,
    }
}

fn bits(decimal: &DataType) -> u16 {
    match decimal {
        DataType::Decimal256(..) => 256,
        _ => 128,
    }
}
