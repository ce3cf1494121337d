//! Syntax of other databases that sqlparser reads and that has another spelling here. DataFusion would answer with its syntax
//! tree, or not at all.

use super::Parsed;
use super::cursor::Cursor;
use super::function_name;
use super::group_window;
use super::tokens::Lines;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Interval, JoinOperator, OrderByKind, Query, Select, SelectItem, SetExpr,
    Spanned, TableFactor, TopQuantity, Value, Visit, Visitor, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use std::ops::{ControlFlow, Range};

/// Refuses the first such part of a query.
pub(super) fn syntax(query: &Query, cursor: &Cursor, start: usize) -> Parsed<()> {
    let mut foreign = Foreign {
        lines: Lines::new(cursor.script.text),
        whole: cursor.script.bytes_of(&(start..cursor.end)),
    };
    match query.visit(&mut foreign) {
        ControlFlow::Break(diagnostic) => Err(diagnostic),
        ControlFlow::Continue(()) => Ok(()),
    }
}

type Step = ControlFlow<Box<Diagnostic>>;

struct Foreign<'a> {
    lines: Lines<'a>,
    whole: Range<usize>,
}

impl Foreign<'_> {
    fn refuse(&self, code: &'static str, message: impl Into<String>, help: impl Into<String>, at: Span) -> Step {
        let place = self.lines.span(at).unwrap_or(self.whole.clone());
        ControlFlow::Break(Box::new(Diagnostic::error(code, message).help(help).at(place)))
    }

    fn unknown(&self, what: &str, help: &str, at: Span) -> Step {
        self.refuse("unsupported", format!("`{what}` is not supported"), help, at)
    }

    fn joins(&self, select: &Select) -> Step {
        for join in select.from.iter().flat_map(|table| &table.joins) {
            let (what, help) = match &join.join_operator {
                JoinOperator::CrossApply | JoinOperator::OuterApply => {
                    ("APPLY", "write CROSS JOIN UNNEST(list), or JOIN (SELECT …) AS s ON …")
                }
                JoinOperator::AsOf { .. } => ("ASOF JOIN", "join with a condition on the times, and rank what fits"),
                JoinOperator::StraightJoin(_) => ("STRAIGHT_JOIN", "write JOIN"),
                _ => continue,
            };
            self.unknown(what, help, join.relation.span())?;
        }
        ControlFlow::Continue(())
    }

    fn wildcard(&self, options: &WildcardAdditionalOptions) -> Step {
        let at = options.wildcard_token.0.span;
        if options.opt_rename.is_some() {
            self.unknown("* RENAME", "name the columns: SELECT a AS z, b …", at)?;
        }
        if options.opt_ilike.is_some() {
            self.unknown("* ILIKE", "name the columns: SELECT a, b …", at)?;
        }
        ControlFlow::Continue(())
    }

    /// A column of SELECT that is named by its place is there.
    fn place(&self, clause: &str, key: &Expr, columns: Option<usize>) -> Step {
        let (Expr::Value(value), Some(columns)) = (key, columns) else {
            return ControlFlow::Continue(());
        };
        let Value::Number(place, _) = &value.value else {
            return ControlFlow::Continue(());
        };
        if place.parse().is_ok_and(|place| (1..=columns).contains(&place)) {
            return ControlFlow::Continue(());
        }
        let message = format!("{clause} {place} names no column of SELECT by its place");
        let help = match columns {
            1 => "SELECT has one column".to_string(),
            _ => format!("SELECT has columns 1 to {columns}"),
        };
        self.refuse("invalid_literal", message, help, value.span)
    }
}

impl Visitor for Foreign<'_> {
    type Break = Box<Diagnostic>;

    fn pre_visit_query(&mut self, query: &Query) -> Step {
        let Some(order) = &query.order_by else {
            return ControlFlow::Continue(());
        };
        match &order.kind {
            OrderByKind::All(_) => {
                self.unknown("ORDER BY ALL", "name the columns, or their places: 1, 2", order.span())
            }
            OrderByKind::Expressions(keys) => {
                let columns = columns(&query.body);
                keys.iter()
                    .try_for_each(|key| self.place("ORDER BY", &key.expr, columns))
            }
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> Step {
        if let Some(top) = &select.top {
            let rows = match &top.quantity {
                Some(TopQuantity::Constant(rows)) => rows.to_string(),
                _ => "n".to_string(),
            };
            self.unknown(
                "TOP",
                &format!("write LIMIT {rows} behind the query"),
                select.select_token.0.span,
            )?;
        }
        let mut all = select.projection.iter().filter_map(|item| match item {
            SelectItem::Wildcard(options) => Some(options),
            _ => None,
        });
        if let Some(second) = all.nth(1) {
            let message = "`*` stands twice: each column would be there twice";
            let at = second.wildcard_token.0.span;
            self.refuse(
                "duplicate_column",
                message,
                "name the columns that are wanted again: a AS a2",
                at,
            )?;
        }
        for item in &select.projection {
            if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item {
                self.wildcard(options)?;
            }
        }
        if let GroupByExpr::Expressions(keys, _) = &select.group_by {
            let columns = width(select);
            keys.iter().try_for_each(|key| self.place("GROUP BY", key, columns))?;
        }
        self.joins(select)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Step {
        let (what, help) = match factor {
            TableFactor::TableFunction { expr, .. } if !is_window(expr) => (
                "TABLE(…)",
                "write what stands in it into FROM: FROM (SELECT …), or FROM function(…)",
            ),
            TableFactor::Pivot { .. } => (
                "PIVOT",
                "write a column for each value: sum(x) FILTER (WHERE k = 'a') AS a",
            ),
            TableFactor::Unpivot { .. } => (
                "UNPIVOT",
                "write a list of the columns: CROSS JOIN UNNEST([a, b]) AS u(x)",
            ),
            TableFactor::MatchRecognize { .. } => {
                ("MATCH_RECOGNIZE", "compare neighbours with lag(x) OVER (ORDER BY …)")
            }
            TableFactor::JsonTable { .. } | TableFactor::OpenJsonTable { .. } | TableFactor::XmlTable { .. } => {
                ("a table of JSON or XML", "read parts of JSON: column ->> 'name'")
            }
            _ => return ControlFlow::Continue(()),
        };
        self.unknown(what, help, factor.span())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Step {
        let at = expr.span();
        match expr {
            Expr::Collate { .. } => self.unknown(
                "COLLATE",
                "text is compared by its characters; lower(text) leaves out case",
                at,
            ),
            Expr::Convert { .. } => self.unknown("CONVERT", "write: CAST(value AS type)", at),
            Expr::Interval(Interval {
                last_field: Some(_), ..
            }) => self.unknown(
                "TO in an interval",
                "write its parts out: INTERVAL '1 year 2 months'",
                at,
            ),
            Expr::BinaryOp {
                op: BinaryOperator::DuckIntegerDivide | BinaryOperator::MyIntegerDivide,
                ..
            } => self.unknown("//", "whole numbers are divided without a fraction: a / b", at),
            Expr::Substring {
                substring_from: None,
                substring_for: None,
                ..
            } => {
                let message = "`substr` takes a text and where its part begins";
                self.refuse("function_arguments", message, "write: substr(text, from, length)", at)
            }
            Expr::Like { any: true, .. } | Expr::ILike { any: true, .. } => {
                self.unknown("LIKE ANY", "write the patterns out: t LIKE 'a%' OR t LIKE 'b%'", at)
            }
            Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
                let message = "there are no parameters here";
                self.refuse("unsupported", message, "write the value itself", value.span)
            }
            Expr::Identifier(name) if name.quote_style.is_none() && name.value.starts_with('@') => self.refuse(
                "unsupported",
                "there are no variables here",
                "write the value itself",
                name.span,
            ),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn is_window(expr: &Expr) -> bool {
    match expr {
        Expr::Function(call) => group_window::FUNCTIONS.contains(&function_name(call).as_str()),
        _ => false,
    }
}

/// How many columns a query has, if it names them all.
fn columns(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => width(select),
        SetExpr::SetOperation { left, .. } => columns(left),
        SetExpr::Query(inner) => columns(&inner.body),
        _ => None,
    }
}

fn width(select: &Select) -> Option<usize> {
    let single = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Function(call))
        | SelectItem::ExprWithAlias {
            expr: Expr::Function(call),
            ..
        } => {
            // It may stand for the fields of a struct.
            !call.name.to_string().eq_ignore_ascii_case("unnest")
        }
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => true,
        _ => false,
    };
    let all = !select.projection.is_empty() && select.projection.iter().all(single);
    all.then_some(select.projection.len())
}
