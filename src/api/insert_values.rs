//! `INSERT … VALUES`: each cell becomes a value of its column's type before the rows are put together, so rows need not be
//! written alike. What does not fit is found before anything runs, each with its place.

use super::conversion;
use super::planning::{Planned, Planning};
use crate::error::Diagnostic;
use crate::error::wording::plain;
use crate::formats::type_name;
use crate::sql::digits;
use crate::sql::statement::{Insert, Name};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array, new_null_array,
};
use datafusion::arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{self, Parens, SetExpr, Spanned, Value, Values};
use std::ops::Range;
use std::sync::Arc;

/// A column that VALUES fill.
pub(super) struct Column<'a> {
    pub field: &'a Field,
    /// No NULL may stand in it.
    pub required: bool,
}

impl Planning<'_> {
    /// The rows of `VALUES` with the types of `columns`; `None` when the query is another, or more than that.
    ///
    /// Errors: every cell that its column does not take.
    pub(super) fn values(
        &mut self,
        insert: &Insert,
        columns: &[Column],
        span: &Range<usize>,
    ) -> Planned<Option<LogicalPlan>> {
        let query = &insert.query.query;
        let alone = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
        if !alone || !matches!(query.body.as_ref(), SetExpr::Values(values) if !values.value_keyword) {
            return Ok(None);
        }
        let SetExpr::Values(Values { rows, .. }) = *self.rewritten(&insert.query, span)?.body else {
            return Ok(None);
        };
        let (mut cells, mut wrong) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            match self.row(row, columns, &insert.target, span) {
                Ok(row) => cells.push(row),
                Err(mistakes) => wrong.extend(mistakes),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        // A NULL that is computed is found when the row is written.
        let nullable = |column: &Column| column.field.clone().with_nullable(true);
        let schema = DFSchema::try_from(Schema::new(columns.iter().map(nullable).collect::<Vec<_>>()));
        let built = schema.and_then(|schema| LogicalPlanBuilder::values_with_schema(cells, &Arc::new(schema))?.build());
        let built = built.and_then(|plan| self.repeatable(plan, Some(query)));
        built.map(Some).map_err(|e| vec![self.diagnosed(&e, span)])
    }

    fn row(
        &self,
        row: Parens<Vec<ast::Expr>>,
        columns: &[Column],
        target: &Name,
        statement: &Range<usize>,
    ) -> Planned<Vec<Expr>> {
        let place = self
            .lines
            .span(row.opening_token.0.span.union(&row.closing_token.0.span));
        let place = place.unwrap_or(statement.clone());
        if row.content.len() != columns.len() {
            let (takes, given) = (columns.len(), row.content.len());
            let message = format!("`{}` takes {takes} columns, the row has {given}", target.value);
            let names: Vec<&str> = columns.iter().map(|c| c.field.name().as_str()).collect();
            let uneven = Diagnostic::error("column_count", message).at(place);
            return Err(vec![uneven.note(format!("the columns are: {}", names.join(", ")))]);
        }
        let (mut cells, mut wrong) = (Vec::with_capacity(columns.len()), Vec::new());
        for (cell, column) in row.content.into_iter().zip(columns) {
            // The parser keeps no places of some expressions.
            let place = self.lines.span(cell.span()).unwrap_or(place.clone());
            match self.cell(cell, column, place, statement) {
                Ok(cell) => cells.push(cell),
                Err(mistake) => wrong.push(mistake),
            }
        }
        if wrong.is_empty() { Ok(cells) } else { Err(wrong) }
    }

    /// A cell as a value of its column.
    fn cell(
        &self,
        mut cell: ast::Expr,
        column: &Column,
        place: Range<usize>,
        statement: &Range<usize>,
    ) -> Result<Expr, Diagnostic> {
        let (name, to) = (column.field.name(), column.field.data_type());
        let wrong = |message: String| Diagnostic::error("invalid_literal", message).at(place.clone());
        if to.is_integer()
            && let Some(number) = digits::written(&cell)
            && has_fraction(&number)
        {
            let message = format!(
                "column `{name}`: {number} has a fraction, and {} has none",
                type_name(to)
            );
            return Err(wrong(message));
        }
        if let Some(value) = literal(&cell, to) {
            if column.required && *value.data_type() == DataType::Null {
                return Err(wrong(format!("column `{name}` takes no NULL")));
            }
            if spells(&value, &cell, to) {
                let fitted = fitted(&value, to).map_err(|e| wrong(format!("column `{name}`: {}", said(&cell, &e, to))));
                return fitted.map(|value| Expr::Literal(value, None));
            }
        }
        digits::exact(&mut cell, to);
        let names = self.names();
        let schema = DFSchema::empty();
        let planned = SqlToRel::new(&names).sql_to_expr(cell, &schema, &mut PlannerContext::new());
        let planned = planned.and_then(|planned| Ok((planned.get_type(&schema)?, planned)));
        let (from, planned) = planned.map_err(|e| {
            let found = self.diagnosed(&e, statement);
            // What has no place of its own is told at the cell, not at the whole statement.
            if found.span.as_ref() == Some(statement) {
                found.at(place.clone())
            } else {
                found
            }
        })?;
        if let Some(mismatch) = conversion::refused(column.field, &from) {
            return Err(mismatch.at(place));
        }
        let value = cast(planned, to.clone());
        match self.computed(&value) {
            Ok(()) => Ok(value),
            Err(e) => Err(wrong(format!("column `{name}`: {}", e.message))),
        }
    }
}

/// A value as it is written, for a column of type `to`; other expressions are computed.
fn literal(cell: &ast::Expr, to: &DataType) -> Option<ArrayRef> {
    if let Some(number) = digits::written(cell) {
        return numeric(&number, to);
    }
    match cell {
        ast::Expr::Nested(inner) => literal(inner, to),
        // There are no other defaults.
        ast::Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") => {
            Some(new_null_array(&DataType::Null, 1))
        }
        ast::Expr::Value(value) => match &value.value {
            Value::Null => Some(new_null_array(&DataType::Null, 1)),
            Value::Boolean(value) => Some(Arc::new(BooleanArray::from(vec![*value]))),
            Value::SingleQuotedString(text) => Some(Arc::new(StringArray::from(vec![text.as_str()]))),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a literal is a way to write a value of type `to`: a time is text, and of numbers 0 and 1 are BOOLEANs.
fn spells(value: &ArrayRef, cell: &ast::Expr, to: &DataType) -> bool {
    let number = digits::written(cell);
    let fits = match to {
        _ if value.data_type().is_null() => true,
        DataType::Boolean => number.is_none_or(|number| ["0", "1"].contains(&number.as_str())),
        _ if to.is_nested() => false,
        _ if to.is_temporal() => number.is_none() && *value.data_type() != DataType::Boolean,
        _ if to.is_numeric() => *value.data_type() != DataType::Boolean,
        _ => true,
    };
    fits && can_cast_types(value.data_type(), to)
}

/// A number: as text where a DOUBLE would lose digits of it.
fn numeric(number: &str, to: &DataType) -> Option<ArrayRef> {
    let exact = match to {
        DataType::Decimal128(..) | DataType::Decimal256(..) => digits::plain(number),
        DataType::Utf8 if !number.contains(['e', 'E']) => Some(number.to_string()),
        _ => None,
    };
    Some(match (exact, number.parse::<i64>(), number.parse::<u64>()) {
        (Some(exact), ..) => Arc::new(StringArray::from(vec![exact])),
        (None, Ok(whole), _) => Arc::new(Int64Array::from(vec![whole])),
        (None, _, Ok(whole)) => Arc::new(UInt64Array::from(vec![whole])),
        (None, ..) => Arc::new(Float64Array::from(vec![number.parse::<f64>().ok()?])),
    })
}

/// Whether something is lost when a number becomes a whole one.
fn has_fraction(number: &str) -> bool {
    let plain = digits::plain(number);
    let behind = plain.as_deref().and_then(|plain| plain.split_once('.'));
    behind.is_some_and(|(_, behind)| behind.contains(|digit| digit != '0'))
}

fn fitted(value: &ArrayRef, to: &DataType) -> Result<ScalarValue, ArrowError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let fitted = cast_with_options(value, to, &options)?;
    ScalarValue::try_from_array(&fitted, 0).map_err(|e| ArrowError::CastError(e.to_string()))
}

/// Why a literal does not fit.
fn said(cell: &ast::Expr, error: &ArrowError, to: &DataType) -> String {
    match (digits::written(cell), error) {
        (Some(number), _) => format!("{number} does not fit into {}", type_name(to)),
        (None, ArrowError::CastError(message) | ArrowError::ParseError(message)) => plain(message),
        (None, other) => plain(&other.to_string()),
    }
}
