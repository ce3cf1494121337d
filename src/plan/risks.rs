//! Where a statement computes what may fail on some row: its arithmetic and casts. When one fails, the message is of a
//! value, and these tell where it came from.

use crate::error::wording::sql_types;
use crate::error::{Diagnostic, Error, Place, place_of};
use crate::sql::{Lines, function_name, plan_type};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Query, Spanned, UnaryOperator, Visit, Visitor};
use std::ops::{ControlFlow, Range};

/// A part of a statement that may fail.
#[derive(Debug, Clone)]
pub struct Risk {
    fails: Fails,
    /// As it is written.
    written: String,
    span: Range<usize>,
    place: Place,
}

#[derive(Debug, Clone)]
enum Fails {
    /// A division: by zero, or as the next.
    Divides,
    /// By an overflow, whose message has this in it.
    Overflows(&'static str),
    /// A cast to this type.
    Casts(String),
}

/// Functions that may overflow, and what the message has in it.
const FUNCTIONS: [(&str, &str); 2] = [("abs", "abs("), ("sum", "the sum ")];

/// The arithmetic and casts of a query that stands in `text`.
pub fn risks(query: &Query, lines: &Lines, text: &str) -> Vec<Risk> {
    let mut search = Search {
        lines,
        text,
        found: Vec::new(),
    };
    let _: ControlFlow<()> = query.visit(&mut search);
    search.found
}

/// The error with the place that it came from, if one is known.
pub fn placed(mut error: Error, risks: &[Risk]) -> Error {
    let may_be: Vec<&Risk> = risks.iter().filter(|risk| risk.explains(&error.message)).collect();
    let [first, others @ ..] = &may_be[..] else {
        return error;
    };
    if !error.diagnostics.is_empty() {
        return error;
    }
    let mut told = Diagnostic::error("not_computable", error.message.clone()).at(first.span.clone());
    told.place = Some(first.place);
    if !others.is_empty() {
        let places = may_be.iter().map(|risk| {
            let Place { line, column } = risk.place;
            format!("{} ({line}:{column})", risk.written)
        });
        told = told.note(format!("it was one of {}", places.collect::<Vec<_>>().join(", ")));
    }
    error.diagnostics = vec![told];
    error
}

impl Risk {
    fn explains(&self, message: &str) -> bool {
        let overflow = message.strip_prefix("overflow: ");
        let to = match &self.fails {
            Fails::Divides if message == "division by zero" => return true,
            Fails::Divides => return overflow.is_some_and(|of| of.contains(" / ")),
            Fails::Overflows(sign) => return overflow.is_some_and(|of| of.contains(sign)),
            Fails::Casts(_) if overflow.is_some() => return false,
            Fails::Casts(to) => to,
        };
        let is_time = to.starts_with("TIMESTAMP") && message.ends_with(" is no time");
        let overflows = message.contains(" does not fit: ") && to.starts_with("DECIMAL");
        is_time
            || overflows
            || [" is no ", " does not fit into "]
                .iter()
                .any(|link| message.rsplit_once(link).is_some_and(|(_, given)| given == to))
    }
}

struct Search<'a> {
    lines: &'a Lines<'a>,
    text: &'a str,
    found: Vec<Risk>,
}

impl Visitor for Search<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Some(fails) = fails(expr) else {
            return ControlFlow::Continue(());
        };
        if let Some(span) = self.lines.span(expr.span()) {
            self.found.push(Risk {
                fails,
                written: expr.to_string(),
                place: place_of(self.text, span.start),
                span,
            });
        }
        ControlFlow::Continue(())
    }
}

fn fails(expr: &Expr) -> Option<Fails> {
    let is_written = |expr: &Expr| matches!(expr, Expr::Value(_));
    Some(match expr {
        Expr::BinaryOp { op, left, right } => match op {
            BinaryOperator::Divide | BinaryOperator::Modulo if !is_written(right) => Fails::Divides,
            _ if is_written(left) && is_written(right) => return None,
            BinaryOperator::Plus => Fails::Overflows(" + "),
            BinaryOperator::Minus => Fails::Overflows(" - "),
            BinaryOperator::Multiply => Fails::Overflows(" * "),
            _ => return None,
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } if !is_written(expr) => Fails::Overflows("-("),
        Expr::Function(call) => {
            let name = function_name(call);
            let (_, sign) = FUNCTIONS.iter().find(|(function, _)| *function == name)?;
            Fails::Overflows(sign)
        }
        Expr::Cast { data_type, .. } => Fails::Casts(sql_types(&plan_type(data_type).ok()?.to_string())),
        _ => return None,
    })
}
