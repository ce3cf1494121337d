//! The column list of CREATE: columns, computed columns, the watermark, the primary key.

use super::Parsed;
use super::cursor::Cursor;
use super::parser::not_yet;
use super::statement::{ColumnDef, ColumnKind, Name, WatermarkDef};
use super::type_syntax;
use super::types::TYPE_NAMES;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

/// What stands between the parentheses.
#[derive(Default)]
pub(super) struct TableElements {
    pub columns: Vec<ColumnDef>,
    pub primary_key: Vec<Name>,
    pub watermark: Option<WatermarkDef>,
}

/// `( element [, element …] )`, or nothing at all.
pub(super) fn table_elements(cursor: &mut Cursor) -> Parsed<TableElements> {
    let mut elements = TableElements::default();
    if cursor.eat(&Token::LParen) {
        cursor.list(|c| element(c, &mut elements))?;
        cursor.close_list()?;
    }
    Ok(elements)
}

fn element(cursor: &mut Cursor, into: &mut TableElements) -> Parsed<()> {
    let start = cursor.at;
    if cursor.is_word(0, "WATERMARK") && is_watermark(cursor) {
        let watermark = watermark(cursor)?;
        if into.watermark.is_some() {
            return Err(twice("WATERMARK", cursor, start, "a table has one event time"));
        }
        into.watermark = Some(watermark);
    } else if cursor.are_words(&["PRIMARY", "KEY"]) || cursor.is_word(0, "CONSTRAINT") {
        if cursor.eat_word("CONSTRAINT") {
            cursor.name("the name of the constraint")?;
        }
        cursor.expect_words(&["PRIMARY", "KEY"])?;
        let key = cursor.name_list("the name of a column")?;
        set_key(cursor, start, key, into)?;
    } else if cursor.peek(1) == Some(&Token::LParen) && (cursor.is_word(0, "UNIQUE") || cursor.is_word(0, "CHECK")) {
        return Err(unchecked(cursor));
    } else {
        column(cursor, into)?;
    }
    Ok(())
}

/// A column may be called `watermark`, but `WATERMARK ts AS …` is one without its FOR.
fn is_watermark(cursor: &Cursor) -> bool {
    let is_type = |word: &str| TYPE_NAMES.iter().any(|name| name.eq_ignore_ascii_case(word));
    cursor.is_word(1, "FOR") || (cursor.is_word(2, "AS") && cursor.word(1).is_some_and(|word| !is_type(word)))
}

/// `WATERMARK FOR column AS expr`.
fn watermark(cursor: &mut Cursor) -> Parsed<WatermarkDef> {
    let start = cursor.at;
    cursor.expect_words(&["WATERMARK", "FOR"])?;
    let column = cursor.name("the name of a column")?;
    if cursor.peek(0) == Some(&Token::Period) {
        let diagnostic = Diagnostic::error("unsupported", "event time is a column, not a part of one")
            .at(cursor.span_from(start))
            .help("compute a column first: ts AS payload.ts, and declare the watermark for it");
        return Err(Box::new(diagnostic));
    }
    cursor.expect_words(&["AS"])?;
    let expr = cursor.expression()?;
    Ok(WatermarkDef {
        column,
        expr,
        span: cursor.span_from(start),
    })
}

/// `name type [constraint …]`, `name AS expr`, `name type AS expr`, `name type GENERATED ALWAYS AS (expr)`.
fn column(cursor: &mut Cursor, into: &mut TableElements) -> Parsed<()> {
    let name = cursor.name("the name of a column")?;
    let kind = if cursor.is_word(0, "AS") {
        computed(cursor, None)?
    } else {
        let start = cursor.at;
        let data_type = type_syntax::data_type(cursor)?;
        let span = cursor.span_from(start);
        if cursor.is_word(0, "AS") || cursor.is_word(0, "GENERATED") {
            computed(cursor, Some(data_type))?
        } else {
            let nullable = constraints(cursor, &name, into)?;
            ColumnKind::Typed {
                data_type,
                nullable,
                span,
            }
        }
    };
    into.columns.push(ColumnDef { name, kind });
    Ok(())
}

/// The expression of a computed column; a declared type is a cast of it.
fn computed(cursor: &mut Cursor, data_type: Option<ast::DataType>) -> Parsed<ColumnKind> {
    if cursor.eat_word("GENERATED") {
        cursor.expect_words(&["ALWAYS"])?;
    }
    cursor.expect_words(&["AS"])?;
    let start = cursor.at;
    let expr = cursor.expression()?;
    let span = cursor.span_from(start);
    if !cursor.eat_word("STORED") {
        cursor.eat_word("VIRTUAL");
    }
    let expr = match data_type {
        Some(data_type) => ast::Expr::Cast {
            kind: ast::CastKind::Cast,
            expr: Box::new(expr),
            data_type,
            array: false,
            format: None,
        },
        None => expr,
    };
    Ok(ColumnKind::Computed { expr, span })
}

/// What follows the type of a column; returns whether it may be NULL.
fn constraints(cursor: &mut Cursor, name: &Name, into: &mut TableElements) -> Parsed<bool> {
    let mut nullable = true;
    loop {
        let start = cursor.at;
        if cursor.eat_word("NOT") {
            cursor.expect_words(&["NULL"])?;
            nullable = false;
        } else if cursor.eat_words(&["PRIMARY", "KEY"]) {
            set_key(cursor, start, vec![name.clone()], into)?;
        } else if cursor.is_word(0, "DEFAULT") || cursor.is_word(0, "METADATA") {
            let what = cursor.word(0).unwrap_or_default().to_uppercase();
            return Err(Box::new(not_yet(&what).at(cursor.span())));
        } else if ["UNIQUE", "CHECK", "REFERENCES"].iter().any(|w| cursor.is_word(0, w)) {
            return Err(unchecked(cursor));
        } else if !cursor.eat_word("NULL") {
            return Ok(nullable);
        }
    }
}

fn set_key(cursor: &mut Cursor, start: usize, key: Vec<Name>, into: &mut TableElements) -> Parsed<()> {
    cursor.eat_words(&["NOT", "ENFORCED"]);
    if !into.primary_key.is_empty() {
        let help = "name all its columns in one: PRIMARY KEY (a, b)";
        return Err(twice("PRIMARY KEY", cursor, start, help));
    }
    into.primary_key = key;
    Ok(())
}

fn twice(what: &str, cursor: &Cursor, start: usize, help: &str) -> Box<Diagnostic> {
    let diagnostic = Diagnostic::error("duplicate", format!("`{what}` is given twice")).at(cursor.span_from(start));
    Box::new(diagnostic.help(help))
}

fn unchecked(cursor: &Cursor) -> Box<Diagnostic> {
    let word = cursor.word(0).unwrap_or_default().to_uppercase();
    let diagnostic = Diagnostic::error("unsupported", format!("`{word}` cannot be checked on a stream"));
    Box::new(
        diagnostic
            .at(cursor.span())
            .help("leave it out, or filter with WHERE in a view"),
    )
}
