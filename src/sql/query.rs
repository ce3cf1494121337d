//! Queries, and the clauses behind them that only streams have.
//!
//! The clauses are found in the tokens and cut off before sqlparser reads the query: it would take EMIT, LATE,
//! ALLOWED and IDLE for aliases, in one way or another, after almost anything.

use super::Parsed;
use super::cursor::Cursor;
use super::misused;
use super::parser::not_yet;
use super::refuse;
use super::statement::{Clause, ClauseKind, StreamQuery};
use super::unsupported;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

/// Whether a query begins here, perhaps in parentheses.
pub(super) fn starts_here(cursor: &Cursor) -> bool {
    let mut n = 0;
    while cursor.peek(n) == Some(&Token::LParen) {
        n += 1;
    }
    ["SELECT", "WITH", "VALUES", "FROM"]
        .iter()
        .any(|word| cursor.is_word(n, word))
}

/// A query and its clauses, up to the cursor's end or to what belongs to neither.
pub(super) fn stream_query(cursor: &mut Cursor) -> Parsed<StreamQuery> {
    refuse::spelling(cursor)?;
    let end = cursor.find(clause_starts);
    let mut body = cursor.until(end);
    body.check_chains()?;
    let before = body.at;
    let read = body
        .sqlparser(Parser::parse_query)
        .and_then(|query| match body.is_done() {
            true => Ok(query),
            false => Err(leftover(&body)),
        });
    let query = match read {
        Ok(query) => query,
        Err(outer) => {
            let whole = cursor.until(end);
            let innermost = inner_mistake(&whole, before).unwrap_or(outer);
            return Err(with_case_help(innermost, &whole));
        }
    };
    refuse::syntax(&query, &body, before)?;
    refuse::numbers(&query, &body)?;
    unsupported::syntax(&query, &body, before)?;
    misused::functions(&query, &body)?;
    cursor.at = body.at;
    let clauses = clauses(cursor)?;
    Ok(StreamQuery { query, clauses })
}

/// The mistake at the token where the query ended too early.
fn leftover(body: &Cursor) -> Box<Diagnostic> {
    let before = body.back();
    if before.is_word(0, "EMIT") {
        return unknown_emit(body);
    }
    if (body.is_word(0, "GROUP") || body.is_word(0, "ORDER")) && !body.is_word(1, "BY") {
        return Box::new(body.expected_at("`BY`", body.at + 1));
    }
    if body.is_word(0, "NOT") && before.is_word(0, "NOT") {
        return Box::new(body.too_deep());
    }
    let first = Cursor {
        at: body.first,
        ..body.clone()
    };
    let clause = ["WHERE", "GROUP", "ORDER", "LIMIT", "HAVING"]
        .iter()
        .any(|word| body.is_word(0, word));
    if clause && first.is_word(0, "FROM") {
        let diagnostic = body.expected("`SELECT`, or the end of the query");
        return Box::new(diagnostic.help("FROM t alone is SELECT * FROM t: with more clauses, write SELECT"));
    }
    match body.finish() {
        Err(diagnostic) => diagnostic,
        Ok(()) => body.expected("the end of the query"),
    }
}

/// sqlparser takes a CASE that it cannot read for a column of that name, and stumbles over what follows.
fn with_case_help(mut diagnostic: Box<Diagnostic>, body: &Cursor) -> Box<Diagnostic> {
    let count = |word: &str| {
        (body.at..body.end)
            .filter(|at| {
                Cursor {
                    at: *at,
                    ..body.clone()
                }
                .is_word(0, word)
            })
            .count()
    };
    if count("CASE") > count("END") {
        diagnostic.help.push("is `END` missing behind `CASE`?".to_string());
    }
    diagnostic
}

/// sqlparser tries several readings of a parenthesis and reports the last, so a mistake in a subquery is shown at
/// its beginning. Reading the subqueries one by one, the innermost first, finds the true place.
fn inner_mistake(query: &Cursor, start: usize) -> Option<Box<Diagnostic>> {
    // Each subquery is read once more: a bound keeps hostile texts cheap.
    const TRIED_MAX: usize = 32;
    let mut tried = 0;
    for at in (start..query.end).rev() {
        let opened = Cursor {
            at: at + 1,
            ..query.clone()
        };
        let is_subquery = query.script.tokens[at].token == Token::LParen
            && (opened.is_word(0, "SELECT") || opened.is_word(0, "WITH"));
        if !is_subquery {
            continue;
        }
        tried += 1;
        if tried > TRIED_MAX {
            return None;
        }
        let close = opened.find(|_| false);
        if close == query.end {
            continue;
        }
        let mut part = opened.until(close);
        match part.sqlparser(Parser::parse_query) {
            Err(diagnostic) => return Some(diagnostic),
            Ok(_) if !part.is_done() => return Some(part.expected("`)` or the rest of the subquery")),
            Ok(_) => {}
        }
    }
    None
}

/// The words that begin a clause. Two words each, so that `emit`, `late` … stay usable as names.
const CLAUSES: &[&[&str]] = &[
    &["ALLOWED", "LATENESS"],
    &["LATE", "ROWS"],
    &["IDLE", "TIMEOUT"],
    &["EMIT", "ON"],
    &["EMIT", "CHANGES"],
    &["EMIT", "EVERY"],
    &["EMIT", "FINAL"],
];

/// Whether a clause begins here: its two words, not where an expression must stand.
pub(super) fn clause_starts(cursor: &Cursor) -> bool {
    if !CLAUSES.iter().any(|words| cursor.are_words(words)) || cursor.at == cursor.first {
        return false;
    }
    let before = cursor.back();
    let operand_expected = ["SELECT", "WHERE", "BY", "FROM", "AND", "OR", "NOT", "ON", "AS", "JOIN"];
    !matches!(before.peek(0), Some(Token::Comma | Token::Eq | Token::Period))
        && !operand_expected.iter().any(|word| before.is_word(0, word))
}

fn clauses(cursor: &mut Cursor) -> Parsed<Vec<Clause>> {
    let mut clauses: Vec<Clause> = Vec::new();
    while clause_starts(cursor) {
        let start = cursor.at;
        // The clause ends before the next one, so that an interval cannot swallow its words.
        let next = Cursor {
            at: start + 2,
            ..cursor.clone()
        }
        .find(clause_starts);
        let mut part = cursor.until(next);
        let kind = clause(&mut part)?;
        cursor.at = part.at;
        let span = cursor.span_from(start);
        if let Some(other) = clauses.iter().find(|other| same_place(&other.kind, &kind)) {
            let message = format!("`{}` is given twice", cursor.script.text[span.clone()].trim());
            let note = format!("the query has `{}` already", &cursor.script.text[other.span.clone()]);
            return Err(Box::new(Diagnostic::error("duplicate", message).at(span).note(note)));
        }
        clauses.push(Clause { kind, span });
    }
    Ok(clauses)
}

/// Whether two clauses say the same thing or contradict each other.
fn same_place(a: &ClauseKind, b: &ClauseKind) -> bool {
    let place = |kind: &ClauseKind| match kind {
        ClauseKind::AllowedLateness(_) => 0,
        ClauseKind::LateRowsInto(_) => 1,
        ClauseKind::IdleTimeout(_) => 2,
        ClauseKind::EmitOnWindowClose
        | ClauseKind::EmitChanges
        | ClauseKind::EmitEveryRows(_)
        | ClauseKind::EmitEvery(_) => 3,
    };
    place(a) == place(b)
}

fn clause(cursor: &mut Cursor) -> Parsed<ClauseKind> {
    if cursor.eat_words(&["ALLOWED", "LATENESS"]) {
        return Ok(ClauseKind::AllowedLateness(interval(cursor)?));
    }
    if cursor.eat_words(&["LATE", "ROWS"]) {
        cursor.expect_words(&["INTO"])?;
        return Ok(ClauseKind::LateRowsInto(cursor.relation("the name of a table")?));
    }
    if cursor.eat_words(&["IDLE", "TIMEOUT"]) {
        return Ok(ClauseKind::IdleTimeout(interval(cursor)?));
    }
    cursor.expect_words(&["EMIT"])?;
    if cursor.eat_word("CHANGES") {
        return Ok(ClauseKind::EmitChanges);
    }
    if cursor.eat_word("ON") {
        cursor.expect_words(&["WINDOW", "CLOSE"])?;
        return Ok(ClauseKind::EmitOnWindowClose);
    }
    if !cursor.eat_word("EVERY") {
        return Err(unknown_emit(cursor));
    }
    let Some(Token::Number(number, _)) = cursor.peek(0) else {
        return Ok(ClauseKind::EmitEvery(interval(cursor)?));
    };
    let rows = number.parse::<u64>().ok().filter(|rows| *rows > 0);
    let Some(rows) = rows else {
        return Err(cursor.expected("a whole number from 1"));
    };
    cursor.at += 1;
    if !cursor.eat_word("ROWS") && !cursor.eat_word("ROW") {
        let diagnostic = cursor.expected("`ROWS`");
        return Err(Box::new(
            diagnostic.help("a duration is written as INTERVAL '1 second'"),
        ));
    }
    Ok(ClauseKind::EmitEveryRows(rows))
}

fn unknown_emit(cursor: &Cursor) -> Box<Diagnostic> {
    let diagnostic = cursor.expected("`ON WINDOW CLOSE`, `CHANGES` or `EVERY`");
    Box::new(diagnostic.help("EMIT ON WINDOW CLOSE gives each window once, when it is final"))
}

fn interval(cursor: &mut Cursor) -> Parsed<datafusion::sql::sqlparser::ast::Expr> {
    if !cursor.is_word(0, "INTERVAL") {
        let diagnostic = cursor.expected("`INTERVAL`");
        return Err(Box::new(
            diagnostic.help("a duration is written as INTERVAL '5' SECOND"),
        ));
    }
    cursor.expression()
}

/// A clause in a subquery: the clauses belong to the whole query.
pub(super) fn misplaced(cursor: &Cursor) -> Box<Diagnostic> {
    let words = [cursor.word(0), cursor.word(1)]
        .map(|w| w.unwrap_or_default().to_uppercase())
        .join(" ");
    let diagnostic = Diagnostic::error(
        "syntax",
        format!("`{words}` belongs after the whole query, not into a subquery"),
    );
    Box::new(diagnostic.at(cursor.span()).help("move it to the end of the statement"))
}

/// A spelling of the language that cannot be run by this version.
pub(super) fn later(what: &str, cursor: &Cursor) -> Box<Diagnostic> {
    Box::new(not_yet(what).at(cursor.span()))
}
