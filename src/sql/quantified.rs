//! What DataFusion plans and answers wrongly: `= ANY (SELECT …)` becomes IN, other comparisons with ANY and ALL of a
//! query are refused, and so are EXCEPT ALL and INTERSECT ALL. `= ANY ([…])` of a written list is IN as well.
//!
//! (DataFusion 55: ANY and ALL compare a query that names the same table as the one around it with itself, and EXCEPT ALL
//! and INTERSECT ALL are joins that do not count.)

use super::tokens::Lines;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Query, SetExpr, SetOperator, SetQuantifier, Spanned, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Rewrites what has another spelling.
///
/// Errors: what has none, with its place in the text that `lines` counts.
pub fn rewrite(query: &mut Query, lines: &Lines) -> Result<(), Diagnostic> {
    match query.visit(&mut Rewriter { lines }) {
        ControlFlow::Break(diagnostic) => Err(*diagnostic),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter<'a> {
    lines: &'a Lines<'a>,
}

impl Rewriter<'_> {
    fn refuse(&self, node: &impl Spanned, message: String, help: &str) -> ControlFlow<Box<Diagnostic>> {
        let refused = Diagnostic::error("not_yet", message).help(help);
        ControlFlow::Break(Box::new(refused.maybe_at(self.lines.span(node.span()))))
    }

    fn set_operations(&self, body: &SetExpr) -> ControlFlow<Box<Diagnostic>> {
        let SetExpr::SetOperation {
            op,
            set_quantifier,
            left,
            right,
        } = body
        else {
            return ControlFlow::Continue(());
        };
        let counts = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
        if counts && matches!(op, SetOperator::Except | SetOperator::Intersect | SetOperator::Minus) {
            let message = format!("{op} ALL is not built yet: rows would not be counted");
            return self.refuse(body, message, &format!("{op} without ALL compares distinct rows"));
        }
        self.set_operations(left)?;
        self.set_operations(right)
    }
}

impl VisitorMut for Rewriter<'_> {
    type Break = Box<Diagnostic>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.set_operations(&query.body)
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let (left, op, right, any) = match expr {
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => (left, compare_op, right, true),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => (left, compare_op, right, false),
            _ => return ControlFlow::Continue(()),
        };
        // DataFusion would look for the value among texts where one of the list is text.
        if let (Expr::Array(array), BinaryOperator::Eq, true) | (Expr::Array(array), BinaryOperator::NotEq, false) =
            (right.as_ref(), &op, any)
            && !array.elem.is_empty()
        {
            *expr = Expr::InList {
                expr: left.clone(),
                list: array.elem.clone(),
                negated: !any,
            };
            return ControlFlow::Continue(());
        }
        let Expr::Subquery(subquery) = right.as_ref() else {
            return ControlFlow::Continue(());
        };
        let negated = match (any, &op) {
            (true, BinaryOperator::Eq) => false,
            (false, BinaryOperator::NotEq) => true,
            _ => {
                let word = if any { "ANY" } else { "ALL" };
                let message = format!("`{op} {word}` of a query is not built yet");
                let help = "compare with its least or greatest value: x > (SELECT min(y) FROM …)";
                return self.refuse(expr, message, help);
            }
        };
        *expr = Expr::InSubquery {
            expr: left.clone(),
            subquery: subquery.clone(),
            negated,
        };
        ControlFlow::Continue(())
    }
}
