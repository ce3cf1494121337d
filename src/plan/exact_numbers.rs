//! What a written number is next to something else: a DECIMAL with its own digits beside a DECIMAL, else a DOUBLE.
//!
//! Owns: [`ExactOperands`], which tells it for operators while they are planned, so that types are known from the start, and
//! [`ExactMembers`], which tells it for IN, BETWEEN, CASE and functions that pass a value on, before types are made alike.
//! Guarantees: `1 + 0.19` is exact where the sum stands beside a DECIMAL, and a DOUBLE elsewhere; no kept number is left.
//! Depends on `sql::digits`, which keeps the digits.

use crate::sql::digits::{self, KEPT};
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
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
            settle(&mut [&mut binary.left, &mut binary.right], compares, schema)?;
            as_doubles(&mut binary, schema);
        }
        Ok(PlannerResult::Original(binary))
    }
}

/// A DECIMAL beside a DOUBLE is a DOUBLE: DataFusion would make a DECIMAL(30, 15) of both, in which neither large nor small
/// DOUBLEs are.
fn as_doubles(binary: &mut RawBinaryExpr, schema: &DFSchema) {
    let types = (binary.left.get_type(schema), binary.right.get_type(schema));
    let decimal = match types {
        (Ok(left), Ok(right)) if left.is_decimal() && right.is_floating() => &mut binary.left,
        (Ok(left), Ok(right)) if left.is_floating() && right.is_decimal() => &mut binary.right,
        _ => return,
    };
    *decimal = cast(std::mem::take(decimal), DataType::Float64);
}

/// Tells what the other kept numbers are.
#[derive(Debug)]
pub struct ExactMembers;

impl AnalyzerRule for ExactMembers {
    fn name(&self) -> &str {
        "exact_numbers"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let mut kept = false;
            node.apply_expressions(|expr| {
                kept |= expr.exists(|part| Ok(digits_of(part).is_some()))?;
                Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
            })?;
            if !kept {
                return Ok(Transformed::no(node));
            }
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let told = expr.transform_down(|part| tell(part, &schema))?;
                Ok(told.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        })
        .map(|plan| plan.data)
    }
}

/// Settles the numbers among the parts of an expression that become values of one type.
fn tell(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match &mut expr {
        Expr::InList(list) => {
            let mut parts: Vec<&mut Expr> = list.list.iter_mut().collect();
            parts.push(&mut list.expr);
            settle(&mut parts, true, schema)?;
        }
        Expr::Between(between) => {
            let parts = &mut [&mut *between.expr, &mut *between.low, &mut *between.high];
            settle(parts, true, schema)?;
        }
        // SQL's own comparison of NULLs is no operator to the planner.
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::IsDistinctFrom | Operator::IsNotDistinctFrom,
            right,
        }) => settle(&mut [left, right], true, schema)?,
        Expr::Case(case) => {
            let (mut compared, mut given): (Vec<&mut Expr>, Vec<&mut Expr>) = case
                .when_then_expr
                .iter_mut()
                .map(|(when, then)| (when.as_mut(), then.as_mut()))
                .unzip();
            compared.extend(case.expr.as_deref_mut());
            given.extend(case.else_expr.as_deref_mut());
            settle(&mut compared, true, schema)?;
            settle(&mut given, false, schema)?;
        }
        Expr::ScalarFunction(function) if digits::PASSING_ON.contains(&function.func.name()) => {
            settle(&mut function.args.iter_mut().collect::<Vec<_>>(), false, schema)?;
        }
        kept => {
            if let Some(number) = digits_of(kept) {
                *kept = double(number)?;
            }
        }
    }
    Ok(Transformed::yes(expr))
}

/// Makes the numbers among `parts` DECIMALs if another part is one, else DOUBLEs. Numbers that are alone are left.
fn settle(parts: &mut [&mut Expr], compares: bool, schema: &DFSchema) -> Result<()> {
    if !parts.iter().any(|part| holds_kept(part)) {
        return Ok(());
    }
    let mut others = parts.iter().filter(|part| !is_number(part)).peekable();
    if others.peek().is_none() {
        return Ok(());
    }
    let decimal = others
        .filter_map(|other| other.get_type(schema).ok())
        .filter(DataType::is_decimal)
        .reduce(|a, b| if bits(&a) < bits(&b) { b } else { a });
    for part in parts.iter_mut().filter(|part| is_number(part) && holds_kept(part)) {
        let told = std::mem::take(*part).transform_up(|part| number(part, decimal.as_ref(), compares))?;
        **part = told.data;
    }
    Ok(())
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
