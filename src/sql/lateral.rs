//! `LATERAL UNNEST(list)`: every UNNEST in FROM sees the tables before it, so the word adds nothing.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, ObjectName, Query, TableFactor, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Takes LATERAL away from UNNEST, wherever it stands. The parser reads the two as any function of that name.
pub fn as_unnest(query: &mut Query) {
    let _: ControlFlow<()> = query.visit(&mut Relations);
}

struct Relations;

impl VisitorMut for Relations {
    type Break = ();

    fn pre_visit_table_factor(&mut self, relation: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Function {
            lateral: true,
            name,
            args,
            with_ordinality,
            alias,
        } = relation
            && is_unnest(name)
            && let Some(array_exprs) = args.iter().map(value).collect()
        {
            *relation = TableFactor::UNNEST {
                alias: alias.take(),
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality: *with_ordinality,
            };
        }
        ControlFlow::Continue(())
    }
}

fn is_unnest(name: &ObjectName) -> bool {
    let part = match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    };
    part.is_some_and(|ident| ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("unnest"))
}

fn value(arg: &FunctionArg) -> Option<Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}
