//! What helps while a statement is typed: when Enter ends it, and what Tab completes.

use super::meta;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Result};
use waterwheel::sql::{grammar, is_complete};

/// Words of queries; those that begin statements come from the grammar.
const WORDS: &[&str] = &[
    "AND",
    "AS",
    "BETWEEN",
    "BY",
    "CASE",
    "COUNT",
    "CUMULATE",
    "DESC",
    "DESCRIPTOR",
    "DISTINCT",
    "ELSE",
    "END",
    "FROM",
    "GROUP",
    "HAVING",
    "HOP",
    "IN",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "THEN",
    "TIMESTAMP",
    "TUMBLE",
    "UNION",
    "VALUES",
    "WATERMARK",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Validates and completes.
#[derive(Default)]
pub struct Assistant {
    /// Relations and their columns.
    pub names: Vec<String>,
}

impl Validator for Assistant {
    /// Complete or incomplete, never invalid: rustyline would lose what follows an invalid statement. Mistakes are
    /// told after Enter.
    fn validate(&self, context: &mut ValidationContext) -> Result<ValidationResult> {
        let complete = meta::is_meta(context.input()) || is_complete(context.input());
        Ok(match complete {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Completer for Assistant {
    type Candidate = String;

    /// Names that begin with the word before the cursor, then words of SQL in its case.
    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> Result<(usize, Vec<String>)> {
        let before = &line[..at];
        if before.starts_with('\\') && !before.contains(' ') {
            let commands = meta::names().filter(|n| n.starts_with(before));
            return Ok((0, commands.map(str::to_string).collect()));
        }
        let start = before
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |i| i + before[i..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        if word.is_empty() {
            return Ok((at, Vec::new()));
        }
        let lower = word.to_lowercase();
        let names = self
            .names
            .iter()
            .filter(|n| n.to_lowercase().starts_with(&lower))
            .cloned();
        let statements = grammar::statements();
        let titles = statements.iter().flat_map(|s| s.split(' '));
        let keywords = WORDS.iter().copied().chain(titles).map(str::to_lowercase);
        let keywords = keywords.filter(|k| k.starts_with(&lower)).map(|k| match word == lower {
            true => k,
            false => k.to_uppercase(),
        });
        let mut found: Vec<String> = names.collect();
        found.extend(keywords);
        found.sort();
        found.dedup();
        Ok((start, found))
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {}

impl Helper for Assistant {}
