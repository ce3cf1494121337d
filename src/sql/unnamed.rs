//! Columns without a name are called as they are written: `count(*)`, `a + 1`, and not what the planner makes of them.
//! DataFusion wants names that differ, so the second `random()` of a SELECT is called `random()_1`, as in DuckDB. Columns
//! that are named, or written as names, stay as they are.

use super::group_window::normal;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, Select, SelectItem, SetExpr, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Names the expressions that have no name, wherever they stand.
pub fn as_written(query: &mut Query) {
    let _: ControlFlow<()> = query.visit(&mut Selects);
}

struct Selects;

impl VisitorMut for Selects {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let names = names(&select.projection);
        for (item, name) in select.projection.iter_mut().zip(names) {
            if let (SelectItem::UnnamedExpr(expr), Some(name)) = (&item, name) {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: Ident::with_quote('"', name),
                };
            }
        }
        ControlFlow::Continue(())
    }
}

/// Per column, the name of an expression that has none.
pub fn names(columns: &[SelectItem]) -> Vec<Option<String>> {
    let mut before: Vec<String> = Vec::new();
    let mut name = |item: &SelectItem| {
        let SelectItem::UnnamedExpr(expr) = item else {
            return None;
        };
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            return None;
        }
        let (written, bare) = (expr.to_string(), expr.to_string().to_lowercase());
        let times = before.iter().filter(|other| **other == bare).count();
        before.push(bare);
        Some(match times {
            0 => written,
            _ => format!("{written}_{times}"),
        })
    };
    columns.iter().map(&mut name).collect()
}

/// What columns without a name of their own are called: as they are written, not as the planner spells them.
pub fn titles(query: &Query) -> Vec<Option<String>> {
    // A UNION has the names of its first SELECT.
    let mut body = query.body.as_ref();
    while let SetExpr::SetOperation { left, .. } = body {
        body = left;
    }
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::Query(inner) => return titles(inner),
        _ => return Vec::new(),
    };
    let title = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(_)) => Some(None),
        // A column of a table, or a field of a struct: both are called by their own name.
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => Some(parts.last().map(normal)),
        SelectItem::ExprWithAlias { .. } => Some(None),
        _ => None,
    };
    let unnamed = names(&select.projection);
    let title = |(item, unnamed): (&SelectItem, Option<String>)| match unnamed {
        Some(name) => Some(Some(name)),
        None => title(item),
    };
    // A wildcard stands for several columns: then nothing is known of places.
    let items = select.projection.iter().zip(unnamed);
    items.map(title).collect::<Option<_>>().unwrap_or_default()
}
