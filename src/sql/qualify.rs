//! QUALIFY beside a function with OVER in SELECT may be a condition on anything.
//!
//! (DataFusion 55 looks for such functions in QUALIFY alone.)

use super::misused::windowed;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Query, Select, SelectItem, Value, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Names a function of SELECT in the conditions that have none, wherever they stand, so that it changes nothing.
pub fn with_windows(query: &mut Query) {
    let _: ControlFlow<()> = query.visit(&mut Selects);
}

struct Selects;

impl VisitorMut for Selects {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let columns = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => windowed(expr),
            _ => None,
        });
        let window = columns.map(Expr::Function).next();
        if let (Some(condition), Some(window)) = (&mut select.qualify, window)
            && windowed(condition).is_none()
        {
            let written = std::mem::replace(condition, Expr::value(Value::Null));
            let always = both(
                Expr::IsNull(Box::new(window)),
                BinaryOperator::Or,
                Expr::value(Value::Boolean(true)),
            );
            *condition = both(written, BinaryOperator::And, always);
        }
        ControlFlow::Continue(())
    }
}

fn both(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(left))),
        op,
        right: Box::new(Expr::Nested(Box::new(right))),
    }
}
