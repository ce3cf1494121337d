//! `FROM t` without SELECT: every column of `t`, as in DuckDB.

use datafusion::sql::sqlparser::ast::WildcardAdditionalOptions;
use datafusion::sql::sqlparser::ast::{Query, Select, SelectFlavor, SelectItem, SetExpr, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Writes out the SELECT that is left out, wherever it is.
pub fn select_all(query: &mut Query) {
    let _: ControlFlow<()> = query.visit(&mut Queries);
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        each(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn each(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => all_columns(select),
        SetExpr::SetOperation { left, right, .. } => {
            each(left);
            each(right);
        }
        _ => {}
    }
}

fn all_columns(select: &mut Select) {
    if select.flavor == SelectFlavor::FromFirstNoSelect {
        select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        select.flavor = SelectFlavor::Standard;
    }
}
