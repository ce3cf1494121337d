//! The small statements: INSERT, EXPLAIN, DROP, SHOW, DESCRIBE, SET, RESET.

use super::Parsed;
use super::cursor::Cursor;
use super::keywords::{self, EXPLAIN_KINDS, STATEMENTS};
use super::parser::{self, not_yet};
use super::query;
use super::statement::{DropObject, Explain, Insert, Name, Statement};
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::tokenizer::Token;

/// The kinds of relation that can be created, shown and dropped by name.
const KINDS: &[&str] = &["TABLE", "SOURCE", "SINK", "VIEW"];

/// `INSERT INTO target [(columns)] SELECT … | VALUES …`.
pub(super) fn insert(cursor: &mut Cursor) -> Parsed<Statement> {
    cursor.expect_words(&["INSERT"])?;
    if cursor.is_word(0, "OVERWRITE") {
        let diagnostic = Diagnostic::error("unsupported", "INSERT OVERWRITE is not part of streaming SQL")
            .at(cursor.span())
            .help("write INSERT INTO; a file sink takes WITH (overwrite = true)");
        return Err(Box::new(diagnostic));
    }
    cursor.expect_words(&["INTO"])?;
    cursor.eat_word("TABLE");
    let target = cursor.relation("the name of a table or sink")?;
    let columns = if cursor.peek(0) == Some(&Token::LParen) && !query::starts_here(cursor) {
        cursor.name_list("the name of a column")?
    } else {
        Vec::new()
    };
    if !query::starts_here(cursor) {
        return Err(cursor.expected("`SELECT`, `WITH` or `VALUES`"));
    }
    let query = Box::new(query::stream_query(cursor)?);
    Ok(Statement::Insert(Insert { target, columns, query }))
}

/// `EXPLAIN [kind] statement`.
pub(super) fn explain(cursor: &mut Cursor) -> Parsed<Statement> {
    cursor.expect_words(&["EXPLAIN"])?;
    let kind = explain_kind(cursor)?;
    if cursor.is_word(0, "EXPLAIN") {
        return Err(cursor.expected("a query, INSERT or CREATE"));
    }
    let statement = Box::new(parser::statement(cursor)?);
    Ok(Statement::Explain(Explain { kind, statement }))
}

fn explain_kind(cursor: &mut Cursor) -> Parsed<Option<Name>> {
    let Some(word) = cursor.word(0).map(str::to_uppercase) else {
        return Ok(None);
    };
    if STATEMENTS.contains(&word.as_str()) {
        return Ok(None);
    }
    let span = cursor.span();
    if !EXPLAIN_KINDS.contains(&word.as_str()) {
        // `EXPLAIN SELCT …`: the mistake is in the statement, not in the kind.
        if keywords::closest(&word, STATEMENTS).is_some() {
            return Ok(None);
        }
        let diagnostic = Diagnostic::error("unknown_explain", format!("EXPLAIN has no kind `{word}`"))
            .at(span)
            .note(format!("the kinds are: {}", EXPLAIN_KINDS.join(", ")))
            .suggest(&word, EXPLAIN_KINDS.iter().copied());
        return Err(Box::new(diagnostic));
    }
    cursor.at += 1;
    if let Some(second) = cursor
        .word(0)
        .filter(|w| EXPLAIN_KINDS.iter().any(|k| k.eq_ignore_ascii_case(w)))
    {
        let message = format!(
            "EXPLAIN takes one kind at a time, not `{word}` and `{}`",
            second.to_uppercase()
        );
        return Err(Box::new(Diagnostic::error("syntax", message).at(cursor.span())));
    }
    Ok(Some(Name { value: word, span }))
}

/// `DROP TABLE | SOURCE | SINK | VIEW [IF EXISTS] name [, name …]`.
pub(super) fn drop(cursor: &mut Cursor) -> Parsed<Statement> {
    cursor.expect_words(&["DROP"])?;
    for (words, name) in [
        (&["MATERIALIZED"][..], "DROP MATERIALIZED VIEW"),
        (&["FUNCTION"], "DROP FUNCTION"),
    ] {
        if cursor.are_words(words) {
            return Err(Box::new(not_yet(name).at(cursor.span())));
        }
    }
    cursor.eat_word("EXTERNAL");
    let kind = object_kind(cursor)?;
    let if_exists = cursor.eat_words(&["IF", "EXISTS"]);
    let names = cursor.list(|c| c.relation("the name of a relation"))?;
    if cursor.is_word(0, "CASCADE") || cursor.is_word(0, "RESTRICT") {
        let diagnostic = Diagnostic::error("unsupported", "DROP takes neither CASCADE nor RESTRICT")
            .at(cursor.span())
            .help("drop what reads the relation first");
        return Err(Box::new(diagnostic));
    }
    Ok(Statement::Drop(DropObject { kind, if_exists, names }))
}

fn object_kind(cursor: &mut Cursor) -> Parsed<&'static str> {
    match KINDS.iter().find(|kind| cursor.is_word(0, kind)) {
        Some(kind) => {
            cursor.at += 1;
            Ok(kind)
        }
        None => Err(cursor.expected("`TABLE`, `SOURCE`, `SINK` or `VIEW`")),
    }
}

/// `SHOW TABLES`, `SHOW PROGRESS`, `SHOW CREATE TABLE name`, `SHOW ALL`, `SHOW setting`.
pub(super) fn show(cursor: &mut Cursor) -> Parsed<Statement> {
    cursor.expect_words(&["SHOW"])?;
    if cursor.eat_word("TABLES") {
        return Ok(Statement::ShowTables);
    }
    if cursor.eat_word("PROGRESS") {
        return Ok(Statement::ShowProgress);
    }
    if cursor.eat_word("CREATE") {
        object_kind(cursor)?;
        return Ok(Statement::ShowCreate(cursor.relation("the name of a relation")?));
    }
    if cursor.eat_word("ALL") {
        return Ok(Statement::Show(None));
    }
    let word = cursor.word(0).unwrap_or_default().to_uppercase();
    match word.as_str() {
        "QUERIES" | "FUNCTIONS" | "INTERVALS" | "STATE" | "LATE" => {
            Err(Box::new(not_yet(&format!("SHOW {word}")).at(cursor.span())))
        }
        "SOURCES" | "SINKS" | "VIEWS" | "MATERIALIZED" | "DATABASES" | "SCHEMAS" | "COLUMNS" => {
            let help = if word == "COLUMNS" {
                "DESCRIBE name"
            } else {
                "SHOW TABLES: it lists them all"
            };
            let message = format!("there is no `SHOW {word}`");
            let diagnostic = Diagnostic::error("unsupported", message).at(cursor.span());
            Err(Box::new(diagnostic.help(format!("write {help}"))))
        }
        "" if cursor.is_done() => {
            Err(cursor.expected("`TABLES`, `PROGRESS`, `CREATE TABLE`, `ALL` or the name of a setting"))
        }
        _ => Ok(Statement::Show(Some(setting(cursor)?))),
    }
}

/// `DESCRIBE [TABLE] name`.
pub(super) fn describe(cursor: &mut Cursor) -> Parsed<Statement> {
    cursor.at += 1;
    if KINDS.iter().any(|kind| cursor.is_word(0, kind)) && matches!(cursor.peek(1), Some(Token::Word(_))) {
        cursor.at += 1;
    }
    if query::starts_here(cursor) {
        let diagnostic = cursor.expected("the name of a relation");
        return Err(Box::new(diagnostic.help("EXPLAIN shows how a query would run")));
    }
    Ok(Statement::Describe(cursor.relation("the name of a relation")?))
}

/// `SET name = value`, `SET name TO value`.
pub(super) fn set(cursor: &mut Cursor) -> Parsed<Statement> {
    cursor.expect_words(&["SET"])?;
    let name = setting(cursor)?;
    if !cursor.eat(&Token::Eq) && !cursor.eat_word("TO") {
        return Err(cursor.expected("`=` or `TO`"));
    }
    let start = cursor.at;
    if let Some(Token::SingleQuotedString(value) | Token::EscapedStringLiteral(value)) = cursor.peek(0) {
        cursor.at += 1;
        return Ok(Statement::Set {
            name,
            value: value.clone(),
        });
    }
    // Bare values are taken as they are written: 10, 5ms, 512MiB, -1, true, Europe/Berlin.
    while let Some(Token::Number(..) | Token::Word(_) | Token::Minus | Token::Plus | Token::Div | Token::Period) =
        cursor.peek(0)
    {
        cursor.at += 1;
    }
    if cursor.at == start {
        return Err(cursor.expected("a value"));
    }
    let value = cursor.script.text[cursor.span_from(start)]
        .trim_matches('"')
        .to_string();
    Ok(Statement::Set { name, value })
}

/// `RESET name`, `RESET ALL`.
pub(super) fn reset(cursor: &mut Cursor) -> Parsed<Statement> {
    cursor.expect_words(&["RESET"])?;
    if cursor.eat_word("ALL") {
        return Ok(Statement::Reset(None));
    }
    Ok(Statement::Reset(Some(setting(cursor)?)))
}

/// The name of a setting, perhaps as text; its parts may be joined by dots.
fn setting(cursor: &mut Cursor) -> Parsed<Name> {
    let start = cursor.at;
    if let Some(Token::SingleQuotedString(value)) = cursor.peek(0) {
        cursor.at += 1;
        return Ok(Name {
            value: value.clone(),
            span: cursor.span_from(start),
        });
    }
    let mut value = cursor.name("the name of a setting")?.value;
    while cursor.eat(&Token::Period) {
        value.push('.');
        value.push_str(&cursor.name("the name of a setting")?.value);
    }
    Ok(Name {
        value,
        span: cursor.span_from(start),
    })
}
