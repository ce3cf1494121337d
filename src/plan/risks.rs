//! Where a statement computes what may fail on some row: its arithmetic and casts, also those that nobody has written. When
//! one fails, the message is of a value, and these tell where it came from.

use crate::error::wording::{LEFT_OUT, sql_types};
use crate::error::{Diagnostic, Error, Place, place_of};
use crate::sql::{Lines, function_name, plan_type};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Query, Spanned, UnaryOperator, Visit, Visitor};
use std::ops::{ControlFlow, Range};

/// A part of a statement that may fail.
#[derive(Debug, Clone)]
pub struct Risk {
    kind: Kind,
    /// As it is written.
    written: String,
    span: Range<usize>,
    place: Place,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// A division: by zero, or as the next.
    Divides,
    /// By an overflow, whose message has this in it.
    Overflows(&'static str),
    /// To a type, by its name.
    Casts(String),
    /// From the local time of a zone.
    Zones,
    /// Its sides become values of one type, though nobody has written a cast.
    Compares,
}

/// Functions that may overflow, and what the message has in it.
const FUNCTIONS: [(&str, &str); 2] = [("abs", "abs("), ("sum", "the sum ")];

/// The arithmetic, casts, local times and comparisons of a query that stands in `text`.
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
    let explaining = |compares: bool| {
        let kind = risks
            .iter()
            .filter(move |risk| (risk.kind == Kind::Compares) == compares);
        kind.filter(|risk| risk.explains(&error.message))
            .collect::<Vec<&Risk>>()
    };
    let mut may_be = explaining(false);
    if may_be.is_empty() {
        may_be = explaining(true);
    }
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
        let to = match &self.kind {
            Kind::Divides if message == "division by zero" => return true,
            Kind::Divides => return overflow.is_some_and(|of| of.contains(" / ")),
            Kind::Overflows(sign) => return overflow.is_some_and(|of| of.contains(sign)),
            _ if overflow.is_some() => return false,
            Kind::Casts(to) => to,
            Kind::Zones => return message == LEFT_OUT,
            Kind::Compares => return message.contains(" is no ") || message.contains(" does not fit into "),
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
        let Some(kind) = kind(expr) else {
            return ControlFlow::Continue(());
        };
        if let Some(span) = self.lines.span(expr.span()) {
            self.found.push(Risk {
                kind,
                written: expr.to_string(),
                place: place_of(self.text, span.start),
                span,
            });
        }
        ControlFlow::Continue(())
    }
}

fn kind(expr: &Expr) -> Option<Kind> {
    use BinaryOperator::*;
    let is_written = |expr: &Expr| matches!(expr, Expr::Value(_));
    Some(match expr {
        Expr::BinaryOp { op, left, right } => match op {
            Eq | NotEq | Lt | LtEq | Gt | GtEq => Kind::Compares,
            Divide | Modulo if !is_written(right) => Kind::Divides,
            _ if is_written(left) && is_written(right) => return None,
            Plus => Kind::Overflows(" + "),
            Minus => Kind::Overflows(" - "),
            Multiply => Kind::Overflows(" * "),
            _ => return None,
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } if !is_written(expr) => Kind::Overflows("-("),
        Expr::Function(call) => {
            let name = function_name(call);
            let (_, sign) = FUNCTIONS.iter().find(|(function, _)| *function == name)?;
            Kind::Overflows(sign)
        }
        Expr::Cast { data_type, .. } => Kind::Casts(sql_types(&plan_type(data_type).ok()?.to_string())),
        Expr::AtTimeZone { .. } => Kind::Zones,
        Expr::InList { .. } | Expr::Between { .. } => Kind::Compares,
        _ => return None,
    })
}
