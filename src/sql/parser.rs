//! The entry: a text to all of its statements and all of its mistakes.

use super::cursor::Cursor;
use super::keywords::{self, STATEMENTS};
use super::statement::{Located, Statement};
use super::tokens::Script;
use super::{Parsed, commands, copy, create, query};
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::tokenizer::Token;

/// All statements of a text, and all mistakes, each in the order of the text. A statement with a mistake is left
/// out; reading goes on behind its `;`. The diagnostics have their span and place.
pub fn parse_script(text: &str) -> (Vec<Located>, Vec<Diagnostic>) {
    let script = Script::new(text);
    let mut statements = Vec::new();
    let mut diagnostics = Vec::new();
    for tokens in script.statements() {
        let span = script.bytes_of(&tokens);
        match whole(&mut Cursor::new(&script, tokens)) {
            Ok(statement) => statements.push(Located { statement, span }),
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    diagnostics.extend(script.broken.as_ref().map(|broken| broken.diagnostic(text)));
    let placed = diagnostics.into_iter().map(|d| d.placed(text)).collect();
    (statements, placed)
}

fn whole(cursor: &mut Cursor) -> Parsed<Statement> {
    let statement = statement(cursor)?;
    cursor.finish()?;
    Ok(statement)
}

/// The statement that begins here.
pub(super) fn statement(cursor: &mut Cursor) -> Parsed<Statement> {
    if cursor.peek(0) == Some(&Token::LParen) {
        return Ok(Statement::Query(query::stream_query(cursor)?));
    }
    let word = cursor.word(0).unwrap_or_default().to_uppercase();
    match word.as_str() {
        "SELECT" | "WITH" | "VALUES" | "FROM" => Ok(Statement::Query(query::stream_query(cursor)?)),
        "CREATE" => create::create(cursor),
        "INSERT" => commands::insert(cursor),
        "COPY" => copy::copy(cursor),
        "EXPLAIN" => commands::explain(cursor),
        "DROP" => commands::drop(cursor),
        "SHOW" => commands::show(cursor),
        "DESCRIBE" | "DESC" => commands::describe(cursor),
        "SET" => commands::set(cursor),
        "RESET" => commands::reset(cursor),
        _ => Err(Box::new(unknown(cursor, &word))),
    }
}

fn unknown(cursor: &Cursor, word: &str) -> Diagnostic {
    let span = cursor.span();
    if let Some((name, _)) = LATER.iter().find(|(_, words)| cursor.are_words(words)) {
        return not_yet(name).at(span);
    }
    if let Some((_, instead)) = FOREIGN.iter().find(|(words, _)| words.contains(&word)) {
        let message = format!("`{word}` is not part of streaming SQL");
        return Diagnostic::error("unsupported", message).at(span).help(*instead);
    }
    if word.is_empty() {
        return *cursor.expected("a statement");
    }
    let diagnostic = Diagnostic::error("unknown_statement", format!("there is no statement `{word}`")).at(span);
    match keywords::closest(word, STATEMENTS) {
        Some(nearest) => diagnostic.help(format!("did you mean `{nearest}`?")),
        None => diagnostic.help(format!("statements begin with one of: {}", STATEMENTS.join(", "))),
    }
}

/// The diagnostic for what belongs to the language but cannot be run by this version.
pub(super) fn not_yet(what: &str) -> Diagnostic {
    Diagnostic::error("not_yet", format!("`{what}` is not built yet"))
}

/// Statements of the language that this version does not run, by the words that they begin with.
const LATER: &[(&str, &[&str])] = &[
    ("SUBSCRIBE", &["SUBSCRIBE"]),
    ("PAUSE", &["PAUSE"]),
    ("RESUME", &["RESUME"]),
    ("CANCEL", &["CANCEL"]),
    ("TEST", &["TEST"]),
];

/// Statements of other databases, and what to write here.
const FOREIGN: &[(&[&str], &str)] = &[
    (
        &["UPDATE", "DELETE", "MERGE", "TRUNCATE", "REPLACE", "UPSERT"],
        "a stream is only added to, with INSERT INTO; what should change is written as a query over it",
    ),
    (
        &["BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "ABORT", "END"],
        "there are no transactions: every interval is committed as one, over all sources of the query",
    ),
    (&["ALTER"], "use CREATE OR REPLACE with the new definition"),
    (&["USE", "ATTACH", "DETACH"], "there is one catalog and no schemas"),
    (
        &["GRANT", "REVOKE", "DENY"],
        "there are no users: access is that of the process",
    ),
    (
        &["PREPARE", "EXECUTE", "DEALLOCATE", "DECLARE", "FETCH", "CALL"],
        "write the query itself; the library takes a query once and runs it until it is stopped",
    ),
    (
        &[
            "ANALYZE", "VACUUM", "OPTIMIZE", "REFRESH", "REINDEX", "CACHE", "UNCACHE",
        ],
        "nothing needs upkeep here: leave it out",
    ),
    (&["TABLE"], "write SELECT * FROM and the name"),
    (&["KILL", "STOP"], "Ctrl-C stops a running query"),
    (
        &["QUIT", "EXIT"],
        "in the shell it stands alone on a line; a script ends by itself",
    ),
];
