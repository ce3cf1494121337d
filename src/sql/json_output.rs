//! `p -> 'a'` as a column of a result: JSON as text. Within an expression its type is left open, so that a cast or a
//! comparison decides it.

use super::dialect::call;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, OrderByKind, Query, Select, SelectItem, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// The function that gives a part of a JSON text as it is written there.
const AS_WRITTEN: &str = "json_get_json";

/// Makes text of JSON that is a column, a key of GROUP BY, or a key of ORDER BY. Columns have their names by then.
pub fn as_text(query: &mut Query) {
    let _: ControlFlow<()> = query.visit(&mut Results);
}

struct Results;

impl VisitorMut for Results {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(keys) = &mut order.kind
        {
            keys.iter_mut().for_each(|key| text(&mut key.expr));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::ExprWithAlias { expr, .. } = item {
                text(expr);
            }
        }
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            keys.iter_mut().for_each(text);
        }
        ControlFlow::Continue(())
    }
}

fn text(expr: &mut Expr) {
    match expr {
        Expr::Nested(inner) => text(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Arrow,
            right,
        } => {
            *expr = call(AS_WRITTEN, [left.as_ref().clone(), right.as_ref().clone()]);
        }
        _ => {}
    }
}
