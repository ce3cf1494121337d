//! `WITH (key = value, …)`.

use super::Parsed;
use super::cursor::Cursor;
use super::statement::{Name, OptionDef};
use crate::dstream::table::join_texts;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::tokenizer::Token;
use std::ops::Range;

/// The options behind `WITH`, or none when there is no `WITH (`.
pub(super) fn with_clause(cursor: &mut Cursor) -> Parsed<Vec<OptionDef>> {
    if !cursor.eat_word("WITH") {
        return Ok(Vec::new());
    }
    cursor.expect(&Token::LParen)?;
    if cursor.eat(&Token::RParen) {
        return Ok(Vec::new());
    }
    let options = cursor.list(|c| {
        let key = key(c)?;
        c.expect(&Token::Eq)?;
        value(c, key)
    })?;
    cursor.close_list()?;
    no_duplicates(&options)?;
    Ok(options)
}

/// Each option once: which of two should count is not for us to say.
pub(super) fn no_duplicates(options: &[OptionDef]) -> Parsed<()> {
    for (at, option) in options.iter().enumerate() {
        if options[..at].iter().any(|other| other.key.value == option.key.value) {
            let message = format!("option `{}` is given twice", option.key.value);
            return Err(Box::new(
                Diagnostic::error("duplicate", message).at(option.key.span.clone()),
            ));
        }
    }
    Ok(())
}

/// `key`, `a.b`, `'key'` or `"key"`. Bare and quoted mean the same, so both are lower case.
pub(super) fn key(cursor: &mut Cursor) -> Parsed<Name> {
    let start = cursor.at;
    let mut value = key_part(cursor)?;
    while cursor.eat(&Token::Period) {
        value.push('.');
        value.push_str(&key_part(cursor)?);
    }
    Ok(Name {
        value,
        span: cursor.span_from(start),
    })
}

fn key_part(cursor: &mut Cursor) -> Parsed<String> {
    let part = match cursor.peek(0) {
        Some(Token::Word(word)) => word.value.to_lowercase(),
        Some(Token::SingleQuotedString(text)) => text.to_lowercase(),
        _ => return Err(cursor.expected("the name of an option")),
    };
    cursor.at += 1;
    Ok(part)
}

/// A string, a number, `true`, `false`, or a list of strings in brackets.
pub(super) fn value(cursor: &mut Cursor, key: Name) -> Parsed<OptionDef> {
    let start = cursor.at;
    if cursor.eat(&Token::LBracket) {
        let texts = cursor.list(|c| match c.peek(0) {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => {
                let text = text.clone();
                c.at += 1;
                Ok(text)
            }
            _ => Err(c.expected("a string in quotes")),
        })?;
        cursor.expect(&Token::RBracket)?;
        return Ok(OptionDef {
            key,
            value: join_texts(texts.iter().map(String::as_str)),
            value_span: cursor.span_from(start),
        });
    }
    let negative = cursor.eat(&Token::Minus);
    let value = match cursor.peek(0) {
        Some(Token::Number(number, _)) if negative => format!("-{number}"),
        Some(Token::Number(number, _)) => number.clone(),
        Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) if !negative => text.clone(),
        Some(Token::DollarQuotedString(text)) if !negative => text.value.clone(),
        Some(Token::Word(word)) if !negative && is_flag(&word.value) => word.value.to_lowercase(),
        _ => return Err(bare_value(cursor, start)),
    };
    cursor.at += 1;
    // `5ms` is a number and a word.
    let value_span = cursor.span_from(start);
    if cursor.word(0).is_some() && value_span.end == cursor.span().start {
        return Err(bare_value(cursor, start));
    }
    Ok(OptionDef { key, value, value_span })
}

fn is_flag(word: &str) -> bool {
    word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false")
}

/// The mistake of a value without quotes, with the value in quotes as the help.
fn bare_value(cursor: &Cursor, start: usize) -> Box<Diagnostic> {
    let diagnostic = cursor.expected("a string in quotes, a number, `true` or `false`");
    let end = cursor.find(|c| c.peek(0) == Some(&Token::Comma));
    let written: Range<usize> = cursor.script.bytes_of(&(start..end));
    let text = cursor.script.text.get(written).map(|text| text.trim_matches('"'));
    match text.filter(|text| !text.is_empty() && !text.contains(['\'', '\n'])) {
        Some(text) => Box::new(diagnostic.help(format!("put it into quotes: '{text}'"))),
        None => diagnostic,
    }
}
