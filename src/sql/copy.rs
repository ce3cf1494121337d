//! `COPY … TO 'path'`.

use super::cursor::Cursor;
use super::statement::{Copy, CopyInput, Name, OptionDef, Statement};
use super::{Parsed, options, query};
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::tokenizer::Token;

/// `COPY (SELECT …) | relation TO 'path' [[WITH] (option = value, …)]`.
pub(super) fn copy(cursor: &mut Cursor) -> Parsed<Statement> {
    cursor.expect_words(&["COPY"])?;
    let from = if cursor.eat(&Token::LParen) {
        if !query::starts_here(cursor) {
            return Err(cursor.expected("`SELECT`, `WITH` or `VALUES`"));
        }
        let end = cursor.find(|_| false);
        let mut part = cursor.until(end);
        let query = query::stream_query(&mut part)?;
        part.finish()?;
        cursor.at = part.at;
        cursor.expect(&Token::RParen)?;
        CopyInput::Query(Box::new(query))
    } else {
        CopyInput::Relation(cursor.relation("the name of a relation, or a query in parentheses")?)
    };
    if cursor.is_word(0, "FROM") {
        let diagnostic = Diagnostic::error("unsupported", "COPY only writes").at(cursor.span());
        let help = "read a file with CREATE TABLE … WITH (connector = 'file', path = '…'), or SELECT * FROM 'file.csv'";
        return Err(Box::new(diagnostic.help(help)));
    }
    if let (CopyInput::Relation(name), Some(Token::LParen)) = (&from, cursor.peek(0)) {
        let help = format!(
            "write the columns in a query: COPY (SELECT …, … FROM {}) TO …",
            name.value
        );
        return Err(Box::new(cursor.expected("`TO`").help(help)));
    }
    cursor.expect_words(&["TO"])?;
    let path = match cursor.peek(0) {
        Some(Token::SingleQuotedString(path)) => Name {
            value: path.clone(),
            span: cursor.span(),
        },
        _ => return Err(cursor.expected("a path in quotes, such as 'out.csv'")),
    };
    cursor.at += 1;
    Ok(Statement::Copy(Copy {
        from,
        path,
        options: copy_options(cursor)?,
    }))
}

/// As behind WITH, and as PostgreSQL and DuckDB write them: `(FORMAT csv, HEADER true)`.
fn copy_options(cursor: &mut Cursor) -> Parsed<Vec<OptionDef>> {
    cursor.eat_word("WITH");
    if !cursor.eat(&Token::LParen) {
        let behind_with = cursor.back().is_word(0, "WITH");
        return if behind_with {
            Err(cursor.expected("`(`"))
        } else {
            Ok(Vec::new())
        };
    }
    let defs = cursor.list(|c| {
        let key = options::key(c)?;
        let equals = c.eat(&Token::Eq);
        match c.peek(0) {
            Some(Token::Word(word)) if !equals => {
                let (value, value_span) = (word.value.to_lowercase(), c.span());
                c.at += 1;
                Ok(OptionDef { key, value, value_span })
            }
            _ => options::value(c, key),
        }
    })?;
    cursor.close_list()?;
    options::no_duplicates(&defs)?;
    Ok(defs)
}
