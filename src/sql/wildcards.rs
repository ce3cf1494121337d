//! What stands beside `*` and behind it, where DataFusion is of no help: `*, a` would give `a` twice under one name, and
//! `* REPLACE (… AS x)` ignores an `x` that is not there.

use super::group_window::normal;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use std::ops::ControlFlow;

/// Gives another name to the column `name` that stands beside a wildcard with a column of that name. `false`: no SELECT has
/// one, or it is not known which is meant.
pub fn rename_beside(query: &mut Query, name: &str) -> bool {
    let mut count = Beside {
        name,
        rename: false,
        found: 0,
    };
    let _ = query.visit(&mut count);
    if count.found != 1 {
        return false;
    }
    let _ = query.visit(&mut Beside {
        name,
        rename: true,
        found: 0,
    });
    true
}

struct Beside<'a> {
    name: &'a str,
    rename: bool,
    found: usize,
}

impl VisitorMut for Beside<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let items = &mut select.projection;
        if !items.iter().any(|item| options(item).is_some()) {
            return ControlFlow::Continue(());
        }
        let taken: Vec<String> = items.iter().filter_map(name_of).collect();
        let Some(item) = items
            .iter_mut()
            .rev()
            .find(|item| name_of(item).as_deref() == Some(self.name))
        else {
            return ControlFlow::Continue(());
        };
        self.found += 1;
        if let (true, SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = (self.rename, &item) {
            let mut others = (1..).map(|n| format!("{}_{n}", self.name));
            let free = others.find(|other| !taken.contains(other)).unwrap_or_default();
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::with_quote('"', free),
            };
        }
        ControlFlow::Continue(())
    }
}

fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) | SelectItem::ExprWithAlias { alias: name, .. } => {
            Some(normal(name))
        }
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(normal),
        _ => None,
    }
}

fn options(item: &SelectItem) -> Option<&WildcardAdditionalOptions> {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => Some(options),
        _ => None,
    }
}

/// The query with each column of REPLACE in place of what replaces it: planned, it tells the first that is not there. `None`:
/// nothing is replaced. The names of those columns come with it.
pub fn replaced(query: &Query) -> Option<(Query, Vec<String>)> {
    let mut query = query.clone();
    let mut replaced = Replaced { names: Vec::new() };
    let _ = query.visit(&mut replaced);
    (!replaced.names.is_empty()).then_some((query, replaced.names))
}

struct Replaced {
    names: Vec<String>,
}

impl VisitorMut for Replaced {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            let (SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options)) = item else {
                continue;
            };
            for element in options.opt_replace.iter_mut().flat_map(|replace| &mut replace.items) {
                element.expr = Expr::Identifier(element.column_name.clone());
                self.names.push(normal(&element.column_name));
            }
        }
        ControlFlow::Continue(())
    }
}
