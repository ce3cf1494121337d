//! `SELECT b AS a FROM t ORDER BY t.a` sorts by the column of the table, not by that of SELECT.
//!
//! DataFusion 55 sets such a key beside the columns of SELECT, of which one has its name. Here the key gets a name of its
//! own, `__order_1`, and is taken off the rows when they are in order.

use super::dialect::{derived, query_of};
use super::group_window::normal;
use super::misused::function_name;
use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, Expr, GroupByExpr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, TableAlias,
    TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use std::mem::replace;
use std::ops::ControlFlow;

/// Names the keys of tables whose names SELECT gives to something else, wherever they stand. `is_aggregate`: what such a
/// function takes is a column of a table anyway.
pub fn name_apart(query: &mut Query, is_aggregate: &dyn Fn(&str) -> bool) {
    let _: ControlFlow<()> = query.visit(&mut Queries { is_aggregate });
}

struct Queries<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
}

impl VisitorMut for Queries<'_> {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let SetExpr::Select(select) = query.body.as_mut() else {
            return ControlFlow::Continue(());
        };
        let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind) else {
            return ControlFlow::Continue(());
        };
        // Behind DISTINCT rows are sorted by columns of SELECT alone.
        if select.distinct.is_some() {
            return ControlFlow::Continue(());
        }
        let mut hidden = Keys {
            is_aggregate: self.is_aggregate,
            taken: taken(&select.projection),
            found: Vec::new(),
            inside: 0,
        };
        let _ = keys.visit(&mut hidden);
        if !hidden.found.is_empty() {
            let names: Vec<Ident> = hidden.found.iter().map(|(_, name)| name.clone()).collect();
            let keys = hidden.found.into_iter();
            let keys = keys.map(|(expr, alias)| SelectItem::ExprWithAlias { expr, alias });
            select.projection.extend(keys);
            without(query, names);
        }
        ControlFlow::Continue(())
    }
}

/// What SELECT gives a name to.
fn taken(columns: &[SelectItem]) -> Vec<(String, Expr)> {
    let given = columns.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => Some((normal(alias), expr.clone())),
        _ => None,
    });
    given.collect()
}

struct Keys<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
    taken: Vec<(String, Expr)>,
    found: Vec<(Expr, Ident)>,
    /// Aggregates, windows and subqueries around.
    inside: usize,
}

impl Keys<'_> {
    fn stands_apart(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Function(call) if call.over.is_some() || (self.is_aggregate)(&function_name(call)))
    }

    /// The name for a column of a table whose own is taken.
    fn name(&mut self, column: &Expr) -> Option<Ident> {
        let Expr::CompoundIdentifier(parts) = column else {
            return None;
        };
        let own = parts.last().map(normal)?;
        if !self.taken.iter().any(|(name, expr)| *name == own && expr != column) {
            return None;
        }
        if let Some((_, name)) = self.found.iter().find(|(known, _)| known == column) {
            return Some(name.clone());
        }
        let name = Ident::new(format!("__order_{}", self.found.len() + 1));
        self.found.push((column.clone(), name.clone()));
        Some(name)
    }
}

impl VisitorMut for Keys<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.inside += usize::from(self.stands_apart(expr));
        if self.inside == 0
            && let Some(name) = self.name(expr)
        {
            *expr = Expr::Identifier(name);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.inside -= usize::from(self.stands_apart(expr));
        ControlFlow::Continue(())
    }
}

/// The rows of a query without some of their columns: `SELECT * EXCEPT (…) FROM (…)`.
fn without(query: &mut Query, mut columns: Vec<Ident>) {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return;
    };
    let first = columns.remove(0);
    let mut around: Select = select.as_ref().clone();
    around.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions {
        opt_except: Some(ExceptSelectItem {
            first_element: first,
            additional_elements: columns,
        }),
        ..WildcardAdditionalOptions::default()
    })];
    around.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    (around.selection, around.having, around.qualify) = (None, None, None);
    around.named_window.clear();
    around.from.clear();
    let sorted = replace(query, query_of(around.clone()));
    let alias = TableAlias {
        explicit: true,
        name: Ident::new("__ordered"),
        columns: Vec::new(),
        at: None,
    };
    around.from = vec![TableWithJoins {
        relation: derived(sorted, Some(alias)),
        joins: Vec::new(),
    }];
    *query.body = SetExpr::Select(Box::new(around));
}
