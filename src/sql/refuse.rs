//! What is refused while reading: syntax that sqlparser reads and DataFusion would silently ignore, and syntax of
//! ours that neither knows yet. Everything else that cannot run is refused by the planner.

use super::Parsed;
use super::cursor::Cursor;
use super::query::{clause_starts, later, misplaced};
use super::tokens::Lines;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::ast::{self, Spanned, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer::{Span, Token};
use std::ops::ControlFlow;

/// Looks at the words of a query before it is parsed.
pub(super) fn spelling(cursor: &Cursor) -> Parsed<()> {
    let mut probe = cursor.clone();
    let mut depth = 0usize;
    while let Some(token) = probe.peek(0) {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(_) => word(&probe, depth)?,
            _ => {}
        }
        probe.at += 1;
    }
    Ok(())
}

/// `0b11` would be a 0 called `b11`.
fn behind_number(probe: &Cursor) -> Parsed<()> {
    let before = probe.back();
    let start = before.span().start;
    let Some(Token::Number(digits, _)) = before.peek(0) else {
        return Ok(());
    };
    if probe.at == probe.first || before.span().end != probe.span().start {
        return Ok(());
    }
    let written = &probe.script.text[start..probe.span().end];
    let wrong = Diagnostic::error("invalid_literal", format!("`{written}` is no number")).at(start..probe.span().end);
    let radix = match probe.word(0).and_then(|word| word.chars().next()) {
        Some('b' | 'B') if digits == "0" => 2,
        Some('o' | 'O') if digits == "0" => 8,
        _ => return Err(Box::new(wrong.help("put a space between a number and a name"))),
    };
    let number = u64::from_str_radix(&written[2..].replace('_', ""), radix);
    Err(Box::new(match number {
        Ok(number) => wrong.help(format!(
            "write it with decimal or hexadecimal digits: {number}, 0x{number:X}"
        )),
        Err(_) => wrong,
    }))
}

fn word(probe: &Cursor, depth: usize) -> Parsed<()> {
    behind_number(probe)?;
    if depth > 0 && clause_starts(probe) {
        return Err(misplaced(probe));
    }
    if probe.are_words(&["FOR", "SYSTEM_TIME", "AS", "OF"]) {
        return Err(later("FOR SYSTEM_TIME AS OF", probe));
    }
    let past = probe.is_word(2, "INTERVAL") || probe.is_word(2, "TIMESTAMP");
    if probe.are_words(&["AS", "OF"]) && past {
        return Err(later("AS OF", probe));
    }
    if probe.is_word(0, "TABLESAMPLE") {
        return Err(Box::new(ignored("TABLESAMPLE").at(probe.span())));
    }
    Ok(())
}

fn ignored(what: &str) -> Diagnostic {
    Diagnostic::error("unsupported", format!("`{what}` is not supported")).help("leave it out")
}

/// Looks at a parsed query for what DataFusion's planner would drop without a word.
pub(super) fn syntax(query: &ast::Query, cursor: &Cursor, start: usize) -> Parsed<()> {
    let mut check = Ignored { found: None };
    let _ = query.visit(&mut check);
    match check.found {
        None => Ok(()),
        Some((what, span)) => {
            let whole = cursor.script.bytes_of(&(start..cursor.end));
            let place = Lines::new(cursor.script.text).span(span).unwrap_or(whole);
            Err(Box::new(ignored(what).at(place)))
        }
    }
}

/// `1e400` would be infinite.
pub(super) fn numbers(query: &ast::Query, cursor: &Cursor) -> Parsed<()> {
    let mut infinite = Infinite {
        lines: Lines::new(cursor.script.text),
    };
    match query.visit(&mut infinite) {
        ControlFlow::Break(wrong) => Err(wrong),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Infinite<'a> {
    lines: Lines<'a>,
}

impl Visitor for Infinite<'_> {
    type Break = Box<Diagnostic>;

    fn pre_visit_value(&mut self, value: &ast::ValueWithSpan) -> ControlFlow<Box<Diagnostic>> {
        match &value.value {
            ast::Value::Number(digits, _) if digits.parse::<f64>().is_ok_and(f64::is_infinite) => {
                let message = "the number is larger than any type holds";
                let wrong = Diagnostic::error("invalid_literal", message).help("the largest DOUBLE is about 1.8e308");
                ControlFlow::Break(Box::new(wrong.maybe_at(self.lines.span(value.span))))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

struct Ignored {
    found: Option<(&'static str, Span)>,
}

impl Ignored {
    fn check(&mut self, wrong: &[(bool, &'static str)], span: impl FnOnce() -> Span) -> ControlFlow<()> {
        match wrong.iter().find(|(present, _)| *present) {
            Some((_, what)) => {
                self.found = Some((what, span()));
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Ignored {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        let fetch = query.fetch.as_ref();
        let is_limited = matches!(
            query.limit_clause,
            Some(ast::LimitClause::LimitOffset { limit: Some(_), .. } | ast::LimitClause::OffsetCommaLimit { .. })
        );
        let wrong = [
            (fetch.is_some_and(|fetch| fetch.with_ties), "FETCH … WITH TIES"),
            (fetch.is_some_and(|fetch| fetch.percent), "FETCH … PERCENT"),
            (fetch.is_some() && is_limited, "FETCH beside LIMIT"),
            (!query.locks.is_empty(), "FOR UPDATE"),
            (query.for_clause.is_some(), "FOR XML"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
        ];
        self.check(&wrong, || query.span())
    }

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<()> {
        let wrong = [
            (select.into.is_some(), "SELECT … INTO"),
            (select.prewhere.is_some(), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
            (select.exclude.is_some(), "EXCLUDE behind the columns"),
            (select.select_modifiers.is_some(), "a modifier of SELECT"),
            (select.value_table_mode.is_some(), "SELECT AS"),
            (!select.optimizer_hints.is_empty(), "an optimizer hint"),
        ];
        self.check(&wrong, || select.span())
    }

    fn pre_visit_table_factor(&mut self, factor: &ast::TableFactor) -> ControlFlow<()> {
        let ast::TableFactor::Table {
            with_hints,
            version,
            with_ordinality,
            partitions,
            sample,
            index_hints,
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let wrong = [
            (!with_hints.is_empty(), "WITH (hint)"),
            (version.is_some(), "a version of a table"),
            (*with_ordinality, "WITH ORDINALITY"),
            (!partitions.is_empty(), "PARTITION (…)"),
            (sample.is_some(), "TABLESAMPLE"),
            (!index_hints.is_empty(), "an index hint"),
        ];
        self.check(&wrong, || factor.span())
    }
}
