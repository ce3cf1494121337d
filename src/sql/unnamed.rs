//! Columns without a name are called as they are written: `count(*)`, `a + 1`, and not what the planner makes of them.
//! DataFusion wants names that differ, so of two columns of one name the second is called `name_1`, as in DuckDB.

use super::dialect::call;
use super::group_window::normal;
use datafusion::sql::sqlparser::ast::{
    CeilFloorKind, DateTimeField, Expr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, Value, VisitMut,
    VisitorMut, visit_expressions_mut,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Names the expressions that have no name, wherever they stand, and the columns whose name is taken.
pub fn as_written(query: &mut Query) {
    let _: ControlFlow<()> = query.visit(&mut Selects);
}

struct Selects;

impl VisitorMut for Selects {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(select) = first_select(&query.body)
            && let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(keys) = &mut order.kind
        {
            keys.iter_mut()
                .for_each(|key| by_place(&mut key.expr, &select.projection));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let names = names(&select.projection);
        for (item, name) in select.projection.iter_mut().zip(names) {
            if let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }, Some(name)) = (&item, name)
            {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: Ident::with_quote('"', name),
                };
            }
        }
        ControlFlow::Continue(())
    }
}

/// A key of ORDER BY that is written like a column of SELECT is that column. DataFusion would look for its names among
/// those of SELECT, where `sum(a) AS a` hides the `a` of `ORDER BY sum(a)`.
fn by_place(key: &mut Expr, columns: &[SelectItem]) {
    if matches!(key, Expr::Identifier(_) | Expr::Value(_)) {
        return;
    }
    let written = folded(key);
    let expressions = columns.iter().map_while(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        // It stands for several columns: then nothing is known of places.
        _ => None,
    });
    match expressions.map(folded).position(|column| column == written) {
        Some(place) => *key = Expr::value(Value::Number((place + 1).to_string(), false)),
        None => by_name(key, columns),
    }
}

/// Within a key, what is written like a named column of SELECT is that column: `sum(a) + 1`. And a name that SELECT gives
/// to a column of a table stands for that column, also where DataFusion knows no other: `count(name)`.
fn by_name(key: &mut Expr, columns: &[SelectItem]) {
    let named: Vec<(&Expr, &Ident)> = columns
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } => Some((expr, alias)),
            _ => None,
        })
        .collect();
    let is_column = |expr: &Expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let _: ControlFlow<()> = visit_expressions_mut(key, |part| {
        let is_literal = matches!(part, Expr::Value(_) | Expr::Interval(_) | Expr::TypedString(_));
        if !is_column(part)
            && !is_literal
            && let Some((_, alias)) = named.iter().find(|(expr, _)| folded(expr) == folded(part))
        {
            *part = Expr::Identifier((*alias).clone());
        }
        ControlFlow::Continue(())
    });
    let is_given = |name: &Expr| match name {
        Expr::Identifier(ident) => named.iter().any(|(_, alias)| normal(alias) == normal(ident)),
        _ => false,
    };
    let _: ControlFlow<()> = visit_expressions_mut(key, |part| {
        if let Expr::Identifier(ident) = part
            && let Some((column, _)) = named.iter().find(|(_, alias)| normal(alias) == normal(ident))
            && is_column(column)
            && !is_given(column)
        {
            *part = (*column).clone();
        }
        ControlFlow::Continue(())
    });
}

/// An expression as text in which case counts only within quotes.
fn folded(expr: &Expr) -> String {
    let mut open = None;
    let fold = |letter: char| match open {
        Some(quote) => {
            open = (letter != quote).then_some(quote);
            letter
        }
        None => {
            open = Some(letter).filter(|letter| matches!(letter, '\'' | '"' | '`'));
            letter.to_ascii_lowercase()
        }
    };
    expr.to_string().chars().map(fold).collect()
}

/// Per column, the name that it is given: that of an expression that has none, or another when its own is taken.
pub fn names(columns: &[SelectItem]) -> Vec<Option<String>> {
    let own: Vec<Option<Own>> = columns.iter().map(Own::of).collect();
    let all: HashSet<&str> = own.iter().flatten().map(|own| own.key.as_str()).collect();
    let mut taken: HashSet<String> = HashSet::new();
    let mut name = |own: &Own| {
        if taken.insert(own.key.clone()) {
            return own.is_expression.then(|| own.name.clone());
        }
        let mut others = (1..).map(|n| (format!("{}_{n}", own.key), format!("{}_{n}", own.name)));
        let (_, name) = others.find(|(key, _)| !all.contains(key.as_str()) && taken.insert(key.clone()))?;
        Some(name)
    };
    own.iter().map(|own| own.as_ref().and_then(&mut name)).collect()
}

/// What a column would be called if no other were.
struct Own {
    name: String,
    /// Equal for names that are taken for one.
    key: String,
    /// It has no name but its text.
    is_expression: bool,
}

impl Own {
    /// `None`: it stands for several columns.
    fn of(item: &SelectItem) -> Option<Own> {
        let named = |ident: &Ident| Own {
            name: normal(ident),
            key: normal(ident),
            is_expression: false,
        };
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(named(ident)),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(named),
            SelectItem::ExprWithAlias { alias, .. } => Some(named(alias)),
            SelectItem::UnnamedExpr(expr) => {
                let name = written(expr);
                Some(Own {
                    key: name.to_lowercase(),
                    name,
                    is_expression: true,
                })
            }
            _ => None,
        }
    }
}

/// The text of an expression, in which `ceil` and `floor` are functions like any other and no words in capitals.
fn written(expr: &Expr) -> String {
    let mut expr = expr.clone();
    let plain = |field: &CeilFloorKind| matches!(field, CeilFloorKind::DateTimeField(DateTimeField::NoDateTime));
    let _: ControlFlow<()> = visit_expressions_mut(&mut expr, |part| {
        let (name, of) = match part {
            Expr::Ceil { expr, field } if plain(field) => ("ceil", expr),
            Expr::Floor { expr, field } if plain(field) => ("floor", expr),
            _ => return ControlFlow::Continue(()),
        };
        *part = call(Ident::new(name), [of.as_ref().clone()]);
        ControlFlow::Continue(())
    });
    expr.to_string()
}

/// What columns without a name of their own are called: as they are written, not as the planner spells them.
pub fn titles(query: &Query) -> Vec<Option<String>> {
    let Some(select) = first_select(&query.body) else {
        return Vec::new();
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

/// The SELECT that names the columns: of a UNION the first.
fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOperation { left, .. } => first_select(left),
        SetExpr::Query(inner) => first_select(&inner.body),
        _ => None,
    }
}
