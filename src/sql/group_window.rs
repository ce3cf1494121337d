//! `GROUP BY hop(INTERVAL '2 seconds', INTERVAL '10 seconds'), auction`: windows spelled as a grouping.
//!
//! Owns: the rewrite to the table-function spelling, the only one that the planner knows:
//! FROM's relation with event time becomes `HOP(relation, __event_time, slide, size)`, the call in GROUP BY becomes
//! `window_start, window_end`, and the same call as a value `named_struct('start', window_start, 'end', window_end)`.
//! Guarantees: a query without such a call is left as it is. Does **not** guarantee: that the relation has an event
//! time when it is a subquery or CTE; the planner resolves [`EVENT_TIME`] from the input. Start at [`rewrite`].

use super::dialect::{call, derived, partitioned, query_of};
use super::tokens::Lines;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, GroupByExpr, Ident,
    ObjectName, OrderByKind, Query, Select, SelectItem, SetExpr, Spanned, TableFactor, TableWithJoins, VisitMut,
    VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// The name that stands for "the declared event time of this relation" in a rewritten query.
pub const EVENT_TIME: &str = "__event_time";

pub(super) const FUNCTIONS: &[&str] = &["tumble", "hop", "cumulate", "session"];

type Step<T = ()> = Result<T, Box<Diagnostic>>;

/// Rewrites all window calls in GROUP BY, in subqueries and CTEs as well.
///
/// `event_time`: the column with the event time of the table or view of that (normalised) name. `lines`: of the text that
/// the spans of the query count in. The error says which relation is missing or ambiguous.
pub fn rewrite(query: &mut Query, event_time: &dyn Fn(&str) -> Option<String>, lines: &Lines) -> Step {
    let mut names = CteNames::default();
    let _ = query.visit(&mut names);
    let mut rewriter = Rewriter {
        event_time,
        ctes: names.0,
        lines,
    };
    match query.visit(&mut rewriter) {
        ControlFlow::Break(diagnostic) => Err(diagnostic),
        ControlFlow::Continue(()) => Ok(()),
    }
}

#[derive(Default)]
struct CteNames(BTreeSet<String>);

impl VisitorMut for CteNames {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(ctes.map(|cte| normal(&cte.alias.name)));
        ControlFlow::Continue(())
    }
}

/// The first window call, with its name.
#[derive(Default)]
struct Calls(Option<(String, Span)>);

impl VisitorMut for Calls {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match window_call(expr) {
            Some(call) => {
                self.0 = Some((function_name(call).unwrap_or_default(), call.span()));
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        }
    }
}

struct Rewriter<'a> {
    event_time: &'a dyn Fn(&str) -> Option<String>,
    ctes: BTreeSet<String>,
    lines: &'a Lines<'a>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = Box<Diagnostic>;

    /// Behind the subqueries, so that the calls found here are this query's own.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let order_by = query.order_by.as_mut().map(|order_by| &mut order_by.kind);
        let done = match query.body.as_mut() {
            SetExpr::Select(select) => self.select(select, order_by),
            SetExpr::SetOperation { left, right, .. } => self.operand(left).and_then(|()| self.operand(right)),
            _ => Ok(()),
        };
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(diagnostic) => ControlFlow::Break(diagnostic),
        }
    }
}

impl Rewriter<'_> {
    /// The SELECTs of a UNION; its parenthesised queries have been visited already.
    fn operand(&self, body: &mut SetExpr) -> Step {
        // Chains of UNION lean to the left: a stack of our own instead of recursion.
        let mut open = vec![body];
        while let Some(body) = open.pop() {
            match body {
                SetExpr::Select(select) => self.select(select, None)?,
                SetExpr::SetOperation { left, right, .. } => open.extend([left.as_mut(), right.as_mut()]),
                _ => {}
            }
        }
        Ok(())
    }

    fn select(&self, select: &mut Select, order_by: Option<&mut OrderByKind>) -> Step {
        let mut columns = vec!["window_start", "window_end"];
        if asks_for_time(select) || order_by.as_ref().is_some_and(|keys| asks_for_time(*keys)) {
            columns.push("window_time");
        }
        let Some(call) = self.take_call(select, &columns)? else {
            return self.no_call_left(select);
        };
        let keys = self.session_keys(select, &call)?;
        self.wrap_relation(select, &call, keys)?;
        let mut values = Values { call: &call };
        for item in &mut select.projection {
            values.item(item);
        }
        let _ = select.having.visit(&mut values);
        let _ = select.qualify.visit(&mut values);
        if let Some(OrderByKind::Expressions(keys)) = order_by {
            let _ = keys.visit(&mut values);
        }
        self.no_call_left(select)
    }

    /// A window call among the values is that of GROUP BY, or a mistake.
    fn no_call_left(&self, select: &mut Select) -> Step {
        let mut calls = Calls::default();
        let _ = select.projection.visit(&mut calls);
        let _ = select.having.visit(&mut calls);
        match calls.0 {
            None => Ok(()),
            Some((name, span)) => {
                let message = format!("this `{name}` is not among the keys of GROUP BY");
                let diagnostic = Diagnostic::error("window_not_grouped", message)
                    .maybe_at(self.lines.span(span))
                    .help("write the same call, with the same intervals, into GROUP BY");
                Err(Box::new(diagnostic))
            }
        }
    }

    /// Replaces the one window call of GROUP BY (written there, in each of GROUPING SETS, or named by an alias or a
    /// position of SELECT) by the window's columns, and returns it.
    fn take_call(&self, select: &mut Select, columns: &[&str]) -> Step<Option<Function>> {
        let GroupByExpr::Expressions(keys, _) = &mut select.group_by else {
            return Ok(None);
        };
        let mut found = None;
        self.take_from(keys, columns, &select.projection, &mut found)?;
        for key in keys {
            match key {
                Expr::GroupingSets(sets) => {
                    for set in sets {
                        self.take_from(set, columns, &select.projection, &mut found)?;
                    }
                }
                Expr::Rollup(_) | Expr::Cube(_) => self.no_call_in(key)?,
                _ => {}
            }
        }
        Ok(found)
    }

    /// ROLLUP and CUBE make sets without some of their keys: the window is in all.
    fn no_call_in(&self, key: &mut Expr) -> Step {
        let mut calls = Calls::default();
        let _ = key.visit(&mut calls);
        let Some((name, span)) = calls.0 else {
            return Ok(());
        };
        let message = format!("`{name}` in ROLLUP or CUBE would be left out of some groups");
        let diagnostic = Diagnostic::error("window_arguments", message)
            .maybe_at(self.lines.span(span))
            .help(format!("write it beside: GROUP BY {name}(…), ROLLUP (k)"));
        Err(Box::new(diagnostic))
    }

    /// `found`: the call of other keys, of which this one's is a copy.
    fn take_from(
        &self,
        keys: &mut Vec<Expr>,
        columns: &[&str],
        projection: &[SelectItem],
        found: &mut Option<Function>,
    ) -> Step {
        let mut taken = None;
        for (at, key) in keys.iter().enumerate() {
            let Some(call) = window_call(resolve(key, projection)) else {
                continue;
            };
            let other = found.as_ref().is_some_and(|found| !is_same(call, found));
            if taken.is_some() || other {
                let diagnostic = Diagnostic::error("two_windows", "GROUP BY has two windows")
                    .maybe_at(self.lines.span(key.span()))
                    .help("window the inner query first, then window its result by window_time");
                return Err(Box::new(diagnostic));
            }
            taken = Some((at, call.clone()));
        }
        if let Some((at, call)) = taken {
            let span = call.span();
            keys.splice(at..=at, columns.iter().map(|name| column(name, span)));
            *found = Some(call);
        }
        Ok(())
    }

    /// Puts the window function around the relation with event time.
    fn wrap_relation(&self, select: &mut Select, call: &Function, keys: Option<Vec<Expr>>) -> Step {
        let inner = select.selection.is_some().then(|| select.clone());
        let mut all = Vec::new();
        for table in &mut select.from {
            relations(table, &mut all);
        }
        let only = all.len() == 1;
        let mut timed: Vec<&mut TableFactor> = all.into_iter().filter(|r| self.is_timed(r, only)).collect();
        match (timed.pop(), timed.len()) {
            (Some(relation), 0) => {
                if keys.is_some()
                    && let Some(inner) = inner
                {
                    filtered(relation, inner);
                    select.selection = None;
                }
                wrap(relation, call, keys.unwrap_or_default());
                Ok(())
            }
            (None, _) => Err(self
                .ambiguous(call, "no relation of FROM has an event time")
                .help("declare one: WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, in the table's column list")
                .help("a table made by CREATE TABLE … AS has none: create it with its columns, then INSERT INTO it SELECT …")
                .into()),
            (Some(relation), _) => {
                let around = self.around(timed.first().map_or(relation, |first| first), call);
                Err(self
                    .ambiguous(call, "several relations of FROM have an event time")
                    .help(format!("write the window around the one that is meant: {around}"))
                    .into())
            }
        }
    }

    /// Of a session, the other keys of GROUP BY: rows of equal keys share sessions. `None` for other windows.
    fn session_keys(&self, select: &Select, call: &Function) -> Step<Option<Vec<Expr>>> {
        if function_name(call).as_deref() != Some("session") {
            return Ok(None);
        }
        let one_relation = select.from.len() == 1 && select.from.iter().all(|t| t.joins.is_empty());
        let GroupByExpr::Expressions(keys, modifiers) = &select.group_by else {
            return Ok(None);
        };
        let sets = |key: &Expr| matches!(key, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_));
        if !one_relation || !modifiers.is_empty() || keys.iter().any(sets) {
            let message =
                "`session` in GROUP BY takes its keys from GROUP BY, over one relation and without grouping sets";
            let diagnostic = Diagnostic::error("window_arguments", message)
                .maybe_at(self.lines.span(call.span()))
                .help("write the session around the relation: FROM SESSION((SELECT …) PARTITION BY k, ts, INTERVAL '10 seconds')");
            return Err(Box::new(diagnostic));
        }
        let window = ["window_start", "window_end", "window_time"].map(|name| Expr::Identifier(Ident::new(name)));
        let others = keys.iter().filter(|key| !window.contains(key));
        let relation = select.from.first().and_then(|table| alias_of(&table.relation));
        let relation = relation.map(|alias| normal(&alias.name));
        let bare = |key| unqualified(named_value(key, &select.projection), relation.as_deref());
        Ok(Some(others.map(bare).collect()))
    }

    fn ambiguous(&self, call: &Function, why: &str) -> Diagnostic {
        let name = function_name(call).unwrap_or_default();
        let message = format!("`{name}` in GROUP BY windows by the event time of FROM, but {why}");
        Diagnostic::error("no_event_time", message).maybe_at(self.lines.span(call.span()))
    }

    /// The window function around a relation, as it would be written.
    fn around(&self, relation: &TableFactor, call: &Function) -> String {
        let name = match relation {
            TableFactor::Table { name, .. } => relation_name(name).unwrap_or_default(),
            _ => "(…)".to_string(),
        };
        let time = (self.event_time)(&name).unwrap_or("ts".to_string());
        let function = function_name(call).unwrap_or_default().to_uppercase();
        let FunctionArguments::List(list) = &call.args else {
            return format!("FROM {function}({name}, {time}, …)");
        };
        let sizes: Vec<String> = list.args.iter().map(ToString::to_string).collect();
        format!("FROM {function}({name}, {time}, {})", sizes.join(", "))
    }

    /// Subqueries and CTEs count only when they are all there is: whether they carry an event time is not known here.
    fn is_timed(&self, relation: &TableFactor, only: bool) -> bool {
        match relation {
            TableFactor::Table { name, args: None, .. } => match relation_name(name) {
                Some(name) if self.ctes.contains(&name) => only,
                Some(name) => (self.event_time)(&name).is_some(),
                None => false,
            },
            TableFactor::Derived { .. } => only,
            _ => false,
        }
    }
}

/// Whether `window_time` is among the values: only then it is a key.
fn asks_for_time(part: &impl ast::Visit) -> bool {
    let found = ast::visit_expressions(part, |expr| {
        let name = match expr {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(names) => names.last(),
            _ => None,
        };
        match name.map(normal).as_deref() {
            Some("window_time") => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    found.is_break()
}

/// The relations of one item of FROM, joined ones included.
fn relations<'a>(table: &'a mut TableWithJoins, into: &mut Vec<&'a mut TableFactor>) {
    let joined = table.joins.iter_mut().map(|join| &mut join.relation);
    for relation in std::iter::once(&mut table.relation).chain(joined) {
        match relation {
            TableFactor::NestedJoin { table_with_joins, .. } => relations(table_with_joins, into),
            other => into.push(other),
        }
    }
}

/// `bid AS b` becomes `HOP(bid, __event_time, …) AS b`; without an alias the relation keeps its own name.
fn wrap(relation: &mut TableFactor, call: &Function, keys: Vec<Expr>) {
    let span = call.span();
    let (data, alias) = match relation {
        TableFactor::Table { name, alias, .. } => {
            let idents: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
            (
                Expr::CompoundIdentifier(idents),
                alias.take().or_else(|| own_alias(name)),
            )
        }
        TableFactor::Derived { subquery, alias, .. } => (Expr::Subquery(subquery.clone()), alias.take()),
        _ => return,
    };
    let data = match data {
        Expr::CompoundIdentifier(mut idents) if idents.len() == 1 => Expr::Identifier(idents.remove(0)),
        other => other,
    };
    let data = if keys.is_empty() { data } else { partitioned(data, keys) };
    let time = Expr::Identifier(Ident::with_span(span, EVENT_TIME));
    let given = arguments(call);
    let named = given.iter().any(|arg| matches!(arg, FunctionArg::Named { .. }));
    let mut args = if named {
        vec![named_argument("DATA", data), named_argument("TIMECOL", time)]
    } else {
        vec![positional(data), positional(time)]
    };
    args.extend(given.iter().cloned());
    *relation = TableFactor::Table {
        name: call.name.clone(),
        alias,
        args: Some(ast::TableFunctionArgs { args, settings: None }),
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
}

/// The relation with WHERE inside (`select` is the query, before it is rewritten): sessions in GROUP BY are made of the
/// rows that are left.
fn filtered(relation: &mut TableFactor, mut select: Select) {
    let alias = alias_of(relation);
    select.projection = vec![SelectItem::Wildcard(ast::WildcardAdditionalOptions::default())];
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    (select.distinct, select.having, select.qualify) = (None, None, None);
    select.named_window.clear();
    *relation = derived(query_of(select), alias);
}

/// A relation without an alias keeps its own name.
fn own_alias(name: &ObjectName) -> Option<ast::TableAlias> {
    let name = name.0.last()?.as_ident()?.clone();
    Some(ast::TableAlias {
        explicit: true,
        name,
        columns: Vec::new(),
        at: None,
    })
}

/// The name of a relation in its query.
fn alias_of(relation: &TableFactor) -> Option<ast::TableAlias> {
    match relation {
        TableFactor::Table { name, alias, .. } => alias.clone().or_else(|| own_alias(name)),
        TableFactor::Derived { alias, .. } => alias.clone(),
        _ => None,
    }
}

/// Without the name of the relation: inside the session there is no other. The names of fields stay.
fn unqualified(key: &Expr, relation: Option<&str>) -> Expr {
    let mut key = key.clone();
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut key, |expr| {
        if let Expr::CompoundIdentifier(parts) = expr
            && parts.first().map(normal).as_deref() == relation
        {
            parts.remove(0);
            if let [only] = &parts[..] {
                *expr = Expr::Identifier(only.clone());
            }
        }
        ControlFlow::Continue(())
    });
    key
}

fn positional(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

fn named_argument(name: &str, expr: Expr) -> FunctionArg {
    FunctionArg::Named {
        name: Ident::new(name),
        arg: FunctionArgExpr::Expr(expr),
        operator: FunctionArgOperator::RightArrow,
    }
}

fn column(name: &str, span: Span) -> Expr {
    Expr::Identifier(Ident::with_span(span, name))
}

/// A key of GROUP BY; an alias or position of SELECT that stands for a window stands for its call.
fn resolve<'a>(key: &'a Expr, projection: &'a [SelectItem]) -> &'a Expr {
    let target = Some(named_value(key, projection));
    target.filter(|expr| window_call(expr).is_some()).unwrap_or(key)
}

/// A key of GROUP BY; an alias or position of SELECT stands for its expression.
fn named_value<'a>(key: &'a Expr, projection: &'a [SelectItem]) -> &'a Expr {
    let named = |name: &Ident| {
        projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if normal(alias) == normal(name) => Some(expr),
            _ => None,
        })
    };
    let placed = |position: usize| match projection.get(position.checked_sub(1)?)? {
        SelectItem::ExprWithAlias { expr, .. } | SelectItem::UnnamedExpr(expr) => Some(expr),
        _ => None,
    };
    let target = match key {
        Expr::Identifier(name) => named(name),
        Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => digits.parse().ok().and_then(placed),
            _ => None,
        },
        _ => None,
    };
    target.unwrap_or(key)
}

/// The call, if `expr` is a window function over intervals only (a table function has a relation first).
fn window_call(expr: &Expr) -> Option<&Function> {
    let Expr::Function(call) = expr else {
        return None;
    };
    let known = function_name(call).is_some_and(|name| FUNCTIONS.contains(&name.as_str()));
    let is_interval = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(arg) | FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } => {
            matches!(arg, FunctionArgExpr::Expr(Expr::Interval(_)))
        }
    };
    let args = arguments(call);
    (known && call.over.is_none() && !args.is_empty() && args.iter().all(is_interval)).then_some(call)
}

fn arguments(call: &Function) -> &[FunctionArg] {
    match &call.args {
        FunctionArguments::List(list) => &list.args,
        _ => &[],
    }
}

/// The values of SELECT, HAVING and ORDER BY that are the call of GROUP BY.
struct Values<'a> {
    call: &'a Function,
}

impl Values<'_> {
    /// A bare call keeps the function's name as the name of its column.
    fn item(&mut self, item: &mut SelectItem) {
        let alias = match item {
            SelectItem::UnnamedExpr(Expr::Function(call)) if is_same(call, self.call) => function_name(call),
            _ => None,
        };
        let _ = item.visit(self);
        if let (Some(alias), SelectItem::UnnamedExpr(expr)) = (alias, &*item) {
            let alias = Ident::with_span(self.call.span(), alias);
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias,
            };
        }
    }
}

/// Spans do not count in the comparison, nor does the case of the function's name.
fn is_same(call: &Function, other: &Function) -> bool {
    function_name(call) == function_name(other) && call.args == other.args && call.over.is_none()
}

impl VisitorMut for Values<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(call) = expr
            && is_same(call, self.call)
        {
            *expr = window_struct(call.span());
        }
        ControlFlow::Continue(())
    }
}

/// `named_struct('start', window_start, 'end', window_end)`.
fn window_struct(span: Span) -> Expr {
    let text = |s: &str| Expr::Value(ast::Value::SingleQuotedString(s.to_string()).with_span(span));
    let args = [
        text("start"),
        column("window_start", span),
        text("end"),
        column("window_end", span),
    ];
    call(Ident::with_span(span, "named_struct"), args)
}

/// A name as it counts: in lower case unless quoted.
pub fn normal(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn relation_name(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(normal),
        _ => None,
    }
}

/// The name of a function, in lower case.
fn function_name(call: &Function) -> Option<String> {
    match call.name.0.as_slice() {
        [part] => part.as_ident().map(|ident| ident.value.to_lowercase()),
        _ => None,
    }
}
