//! `CREATE EXTERNAL TABLE` in DataFusion's words: `STORED AS … LOCATION … OPTIONS (…)`, in any order.

use super::Parsed;
use super::cursor::Cursor;
use super::options;
use super::parser::not_yet;
use super::statement::{Name, OptionDef};
use datafusion::sql::sqlparser::tokenizer::Token;

/// The clauses as the options that `WITH` would have named: `connector`, `path`, `format`, `compression` and those
/// of OPTIONS, `has_header` as `header` and without the prefix `format.`.
pub(super) fn clauses(cursor: &mut Cursor) -> Parsed<Vec<OptionDef>> {
    let mut found = Vec::new();
    while !cursor.is_done() {
        let start = cursor.at;
        if cursor.eat_words(&["STORED", "AS"]) {
            found.push(word_option(cursor, start, "format", "a format")?);
        } else if cursor.eat_word("LOCATION") {
            found.push(location(cursor, start)?);
        } else if cursor.eat_words(&["COMPRESSION", "TYPE"]) {
            found.push(word_option(cursor, start, "compression", "a compression")?);
        } else if cursor.eat_words(&["WITH", "HEADER", "ROW"]) {
            let key = Name {
                value: "header".to_string(),
                span: cursor.span_from(start),
            };
            found.push(OptionDef {
                value_span: key.span.clone(),
                key,
                value: "true".to_string(),
            });
        } else if cursor.eat_word("OPTIONS") {
            found.extend(option_list(cursor)?);
        } else if cursor.is_word(0, "PARTITIONED") {
            return Err(Box::new(not_yet("PARTITIONED BY").at(cursor.span())));
        } else if cursor.are_words(&["WITH", "ORDER"]) {
            return Err(Box::new(not_yet("WITH ORDER").at(cursor.span())));
        } else {
            break;
        }
    }
    let Some(path) = found.iter().find(|option| option.key.value == "path") else {
        return Err(cursor.expected("`STORED AS … LOCATION '…'` or `WITH (…)`"));
    };
    let connector = OptionDef {
        key: Name {
            value: "connector".to_string(),
            span: path.key.span.clone(),
        },
        value: "file".to_string(),
        value_span: path.key.span.clone(),
    };
    found.push(connector);
    options::no_duplicates(&found)?;
    Ok(found)
}

/// `LOCATION 'path'`.
fn location(cursor: &mut Cursor, start: usize) -> Parsed<OptionDef> {
    let span = cursor.span_from(start);
    match cursor.peek(0) {
        Some(Token::SingleQuotedString(_)) => options::value(
            cursor,
            Name {
                value: "path".to_string(),
                span,
            },
        ),
        _ => Err(cursor.expected("a path in quotes")),
    }
}

/// A clause with one word as its value, quoted or not: `STORED AS CSV`.
fn word_option(cursor: &mut Cursor, start: usize, key: &str, what: &str) -> Parsed<OptionDef> {
    let key = Name {
        value: key.to_string(),
        span: cursor.span_from(start),
    };
    let value = match cursor.peek(0) {
        Some(Token::Word(word)) => word.value.to_lowercase(),
        Some(Token::SingleQuotedString(text)) => text.to_lowercase(),
        _ => return Err(cursor.expected(what)),
    };
    let value = if value == "ndjson" || value == "jsonl" {
        "json".to_string()
    } else {
        value
    };
    let value_span = cursor.span();
    cursor.at += 1;
    Ok(OptionDef { key, value, value_span })
}

/// `( key value, … )`; an `=` between them is taken as well.
fn option_list(cursor: &mut Cursor) -> Parsed<Vec<OptionDef>> {
    cursor.expect(&Token::LParen)?;
    let options = cursor.list(|c| {
        let mut key = options::key(c)?;
        if let Some(bare) = key.value.strip_prefix("format.") {
            key.value = bare.to_string();
        }
        if key.value == "has_header" {
            key.value = "header".to_string();
        }
        c.eat(&Token::Eq);
        options::value(c, key)
    })?;
    cursor.close_list()?;
    Ok(options)
}
