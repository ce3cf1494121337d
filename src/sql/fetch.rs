//! `FETCH FIRST n ROWS ONLY` is LIMIT in the words of the standard.

use datafusion::sql::sqlparser::ast::{Expr, LimitClause, Query, Value, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Writes it as LIMIT, wherever it stands.
pub fn as_limit(query: &mut Query) {
    let _: ControlFlow<()> = query.visit(&mut Queries);
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Some(fetch) = query.fetch.take() else {
            return ControlFlow::Continue(());
        };
        let one = || Expr::value(Value::Number("1".into(), false));
        let count = fetch.quantity.unwrap_or_else(one);
        let offset = match query.limit_clause.take() {
            Some(LimitClause::LimitOffset { offset, .. }) => offset,
            _ => None,
        };
        query.limit_clause = Some(LimitClause::LimitOffset {
            limit: Some(count),
            offset,
            limit_by: Vec::new(),
        });
        ControlFlow::Continue(())
    }
}
