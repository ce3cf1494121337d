//! How types of columns are written: SQL's own through sqlparser, and ARRAY<>, MAP<,>, STRUCT<>, ROW() through us.

use super::Parsed;
use super::cursor::Cursor;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType, Ident, StructBracketKind, StructField, TimezoneInfo,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

/// No type without nested ones is longer: `TIMESTAMP ( 3 ) WITHOUT TIME ZONE [ ] [ ]` with room to spare.
const LEAF_TOKENS_MAX: usize = 24;

const NESTING_MAX: usize = 20;

/// A type. Its meaning is [`plan_type`](super::plan_type)'s.
pub(super) fn data_type(cursor: &mut Cursor) -> Parsed<DataType> {
    let mut reader = Reader { half: false, depth: 0 };
    let data_type = reader.read(cursor)?;
    if reader.half {
        cursor.at -= 1;
        return Err(cursor.expected("one `>`"));
    }
    Ok(data_type)
}

/// `half`: of a `>>` token, one `>` has been used.
struct Reader {
    half: bool,
    depth: usize,
}

impl Reader {
    fn read(&mut self, cursor: &mut Cursor) -> Parsed<DataType> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            let message = format!("types are nested deeper than {NESTING_MAX} levels");
            return Err(Box::new(Diagnostic::error("too_deep", message).at(cursor.span())));
        }
        let mut data_type = self.without_suffix(cursor)?;
        // Behind half a `>>` the type is over.
        while !self.half && suffix(cursor)? {
            data_type = DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(data_type), None));
        }
        self.depth -= 1;
        Ok(data_type)
    }

    fn without_suffix(&mut self, cursor: &mut Cursor) -> Parsed<DataType> {
        let angle = cursor.peek(1) == Some(&Token::Lt);
        let paren = cursor.peek(1) == Some(&Token::LParen);
        if cursor.is_word(0, "ARRAY") && angle {
            cursor.at += 2;
            let item = self.read(cursor)?;
            self.close_angle(cursor)?;
            return Ok(DataType::Array(ArrayElemTypeDef::AngleBracket(Box::new(item))));
        }
        if cursor.is_word(0, "MAP") && (angle || paren) {
            cursor.at += 2;
            let key = self.read(cursor)?;
            cursor.expect(&Token::Comma)?;
            let value = self.read(cursor)?;
            self.close(cursor, angle)?;
            return Ok(DataType::Map(Box::new(key), Box::new(value)));
        }
        if (cursor.is_word(0, "STRUCT") || cursor.is_word(0, "ROW")) && (angle || paren) {
            cursor.at += 2;
            let fields = self.fields(cursor)?;
            self.close(cursor, angle)?;
            return Ok(DataType::Struct(fields, StructBracketKind::AngleBrackets));
        }
        leaf(cursor)
    }

    fn fields(&mut self, cursor: &mut Cursor) -> Parsed<Vec<StructField>> {
        let mut fields = Vec::new();
        loop {
            let quote = match cursor.peek(0) {
                Some(Token::Word(word)) => word.quote_style,
                _ => None,
            };
            let span = cursor.script.tokens.get(cursor.at).map(|t| t.span);
            let name = cursor.name("the name of a field")?;
            cursor.eat(&Token::Colon);
            let mut ident = Ident::new(name.value);
            ident.quote_style = quote;
            ident.span = span.unwrap_or(ident.span);
            let field_type = self.read(cursor)?;
            fields.push(StructField {
                field_name: Some(ident),
                field_type,
                options: None,
            });
            if self.half || !cursor.eat(&Token::Comma) {
                return Ok(fields);
            }
        }
    }

    fn close(&mut self, cursor: &mut Cursor, angle: bool) -> Parsed<()> {
        if angle {
            self.close_angle(cursor)
        } else {
            cursor.expect(&Token::RParen)
        }
    }

    fn close_angle(&mut self, cursor: &mut Cursor) -> Parsed<()> {
        if self.half {
            self.half = false;
        } else if cursor.eat(&Token::ShiftRight) {
            self.half = true;
        } else {
            cursor.expect(&Token::Gt)?;
        }
        Ok(())
    }
}

/// Takes one `[]`, `[3]` or `ARRAY` behind a type.
fn suffix(cursor: &mut Cursor) -> Parsed<bool> {
    if !cursor.eat(&Token::LBracket) {
        return Ok(cursor.eat_word("ARRAY"));
    }
    if matches!(cursor.peek(0), Some(Token::Number(..))) {
        cursor.at += 1;
    }
    cursor.expect(&Token::RBracket)?;
    Ok(true)
}

/// A type without types in it.
fn leaf(cursor: &mut Cursor) -> Parsed<DataType> {
    if cursor.word(0).is_none() {
        return Err(cursor.expected("a type"));
    }
    if let Some(local) = local_timestamp(cursor)? {
        return Ok(local);
    }
    let mut part = cursor.until(cursor.at + LEAF_TOKENS_MAX);
    let data_type = part.sqlparser(Parser::parse_data_type)?;
    cursor.at = part.at;
    Ok(data_type)
}

/// `TIMESTAMP(3) WITH LOCAL TIME ZONE` and `TIMESTAMP_LTZ(3)`: Flink's names of TIMESTAMP WITH TIME ZONE.
fn local_timestamp(cursor: &mut Cursor) -> Parsed<Option<DataType>> {
    let short = cursor.is_word(0, "TIMESTAMP_LTZ");
    let precision = match (cursor.peek(1), cursor.peek(2), cursor.peek(3)) {
        (Some(Token::LParen), Some(Token::Number(digits, _)), Some(Token::RParen)) => digits.parse::<u64>().ok(),
        _ => None,
    };
    let length = if precision.is_some() { 4 } else { 1 };
    let behind = Cursor {
        at: cursor.at + length,
        ..cursor.clone()
    };
    let long = cursor.is_word(0, "TIMESTAMP") && behind.are_words(&["WITH", "LOCAL"]);
    if !short && !long {
        return Ok(None);
    }
    cursor.at += length;
    if long {
        cursor.expect_words(&["WITH", "LOCAL", "TIME", "ZONE"])?;
    }
    Ok(Some(DataType::Timestamp(precision, TimezoneInfo::WithTimeZone)))
}
