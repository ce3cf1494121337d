//! `INSERT … VALUES`: literals that do not fit their columns, found before anything runs, each with its place.

use super::planning::{Planned, Planning};
use crate::dstream::table::TableSpec;
use crate::error::Diagnostic;
use crate::error::wording::plain;
use crate::sql::statement::{Insert, StreamQuery};
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, UInt64Array};
use datafusion::arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::arrow::error::ArrowError;
use datafusion::sql::sqlparser::ast::{self, CastKind, ExactNumberInfo, Expr, SetExpr, Spanned, UnaryOperator, Value};
use datafusion::sql::sqlparser::tokenizer::Span;
use std::sync::Arc;

impl Planning<'_> {
    /// The query of an INSERT, with the digits of literals for DECIMAL columns as they are written: a number with a point
    /// would be a DOUBLE on its way.
    ///
    /// Errors: every literal of the VALUES that its column does not take.
    pub(super) fn values(&self, insert: &Insert, spec: &TableSpec) -> Planned<StreamQuery> {
        let mut query = insert.query.as_ref().clone();
        let SetExpr::Values(values) = query.query.body.as_mut() else {
            return Ok(query);
        };
        let (schema, required) = (spec.physical_schema(), spec.required());
        let columns: Vec<(usize, &Field)> = match insert.columns.is_empty() {
            true => schema.fields().iter().map(|f| f.as_ref()).enumerate().collect(),
            false => insert
                .columns
                .iter()
                .filter_map(|name| schema.column_with_name(&name.value))
                .collect(),
        };
        let mut wrong = Vec::new();
        for row in &mut values.rows {
            for (expr, (place, field)) in row.content.iter_mut().zip(&columns) {
                if let Some(message) = fault(expr, field, required.contains(place)) {
                    let diagnostic = Diagnostic::error("invalid_literal", message);
                    wrong.push(diagnostic.maybe_at(self.lines.span(expr.span())));
                }
                if let (DataType::Decimal128(p, s) | DataType::Decimal256(p, s), Some(digits)) =
                    (field.data_type(), digits(expr))
                {
                    *expr = decimal(digits, *p, *s, expr.span());
                }
            }
        }
        if wrong.is_empty() { Ok(query) } else { Err(wrong) }
    }
}

/// `CAST('12.50' AS DECIMAL(p, s))`.
fn decimal(digits: String, precision: u8, scale: i8, span: Span) -> Expr {
    let exact = ExactNumberInfo::PrecisionAndScale(precision.into(), scale.into());
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Value(Value::SingleQuotedString(digits).with_span(span))),
        data_type: ast::DataType::Decimal(exact),
        array: false,
        format: None,
    }
}

/// A number with a point, as it is written.
fn digits(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => digits(inner),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => digits(expr).map(|digits| format!("-{digits}")),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.contains('.') && !digits.contains(['e', 'E']) => Some(digits.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Why a column does not take a literal.
fn fault(expr: &Expr, field: &Field, required: bool) -> Option<String> {
    match literal(expr)? {
        Literal::Null if required => Some(format!("column `{}` takes no NULL", field.name())),
        Literal::Null => None,
        Literal::Of(value) => {
            let error = cast(&value, field.data_type()).err()?;
            Some(format!("column `{}`: {}", field.name(), plain(&said(&error))))
        }
    }
}

enum Literal {
    Null,
    /// One value.
    Of(ArrayRef),
}

/// Other expressions are judged when they run.
fn literal(expr: &Expr) -> Option<Literal> {
    match expr {
        Expr::Nested(inner) => literal(inner),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => number(&format!("-{digits}")),
                _ => None,
            },
            _ => None,
        },
        Expr::Value(value) => match &value.value {
            Value::Null => Some(Literal::Null),
            Value::Number(digits, _) => number(digits),
            Value::SingleQuotedString(text) => Some(Literal::Of(Arc::new(StringArray::from(vec![text.as_str()])))),
            _ => None,
        },
        _ => None,
    }
}

fn number(digits: &str) -> Option<Literal> {
    if let Ok(whole) = digits.parse::<i64>() {
        return Some(Literal::Of(Arc::new(Int64Array::from(vec![whole]))));
    }
    if let Ok(whole) = digits.parse::<u64>() {
        return Some(Literal::Of(Arc::new(UInt64Array::from(vec![whole]))));
    }
    let float: f64 = digits.parse().ok()?;
    Some(Literal::Of(Arc::new(Float64Array::from(vec![float]))))
}

fn cast(value: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    // What the planner refuses or converts by itself is its own to judge.
    if !can_cast_types(value.data_type(), to) {
        return Ok(Arc::clone(value));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(value, to, &options)
}

fn said(error: &ArrowError) -> String {
    match error {
        ArrowError::CastError(message) | ArrowError::ParseError(message) => message.clone(),
        other => other.to_string(),
    }
}
