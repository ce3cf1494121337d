//! Patterns that DataFusion does not read as SQL does: an ESCAPE of LIKE becomes backslashes, and what stands behind
//! SIMILAR TO a regular expression of the whole text. Of a pattern that is computed a function makes them, row by row
//! (`plan::patterns`).

use super::dialect::call;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Spanned, Value, ValueWithSpan, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::tokenizer::Span;
use std::ops::ControlFlow;

/// The functions that rewrite computed patterns: the pattern and the character of ESCAPE, which may be none.
pub const LIKE_PATTERN: &str = "__like_pattern";
pub const SIMILAR_PATTERN: &str = "__similar_pattern";

/// What is read as it is only behind a backslash, in a regular expression.
const SIGNS: &str = "\\.+*?()|[]{}^$#&-~";

/// A pattern that cannot be rewritten.
pub struct Unwritten {
    pub span: Span,
    pub message: &'static str,
    pub help: &'static str,
}

/// Errors: an ESCAPE of more than one character.
pub fn rewrite(node: &mut impl VisitMut) -> Result<(), Unwritten> {
    match node.visit(&mut Patterns) {
        ControlFlow::Break(unwritten) => Err(unwritten),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Patterns;

fn refuse(node: &Expr, message: &'static str, help: &'static str) -> ControlFlow<Unwritten> {
    let span = node.span();
    ControlFlow::Break(Unwritten { span, message, help })
}

impl VisitorMut for Patterns {
    type Break = Unwritten;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let (pattern, escape, similar) = match expr {
            Expr::Like {
                pattern, escape_char, ..
            }
            | Expr::ILike {
                pattern, escape_char, ..
            } if escape_char.is_some() => (pattern, escape_char, false),
            Expr::SimilarTo {
                pattern, escape_char, ..
            } => (pattern, escape_char, true),
            _ => return ControlFlow::Continue(()),
        };
        let sign = match escape.as_ref().map(one_character) {
            None => Some('\\'),
            Some(Some(sign)) => sign,
            Some(None) => return refuse(expr, "ESCAPE takes one character", "write: ESCAPE '!'"),
        };
        let written = match pattern.as_mut() {
            Expr::Value(value) => value.value.clone().into_string(),
            _ => None,
        };
        let span = pattern.span();
        let text = |text: String| Expr::Value(Value::SingleQuotedString(text).with_span(span));
        **pattern = match (written, similar) {
            (Some(written), true) => text(regular(&written, sign)),
            (Some(written), false) => text(with_backslashes(&written, sign)),
            (None, _) => {
                let function = if similar { SIMILAR_PATTERN } else { LIKE_PATTERN };
                let sign = text(sign.map(String::from).unwrap_or_default());
                call(
                    Ident::new(function),
                    [std::mem::replace(pattern.as_mut(), sign.clone()), sign],
                )
            }
        };
        *escape = None;
        ControlFlow::Continue(())
    }
}

/// `ESCAPE ''` is no character: then every one of the pattern is read as it is.
fn one_character(escape: &ValueWithSpan) -> Option<Option<char>> {
    let text = escape.value.clone().into_string()?;
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (first, None) => Some(first),
        _ => None,
    }
}

/// A pattern of LIKE in which `sign` stands before what is read as it is.
pub fn with_backslashes(pattern: &str, sign: Option<char>) -> String {
    let mut made = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(next) = rest.next() {
        let escaped = Some(next) == sign;
        let next = if escaped { rest.next().unwrap_or(next) } else { next };
        if next == '\\' || (escaped && ['%', '_'].contains(&next)) {
            made.push('\\');
        }
        made.push(next);
    }
    made
}

/// A pattern of SIMILAR TO as a regular expression that the whole text has to match.
pub fn regular(pattern: &str, sign: Option<char>) -> String {
    let mut made = String::from("^(?s:");
    let mut in_class = false;
    let mut rest = pattern.chars().peekable();
    while let Some(next) = rest.next() {
        if Some(next) == sign {
            as_it_is(rest.next().unwrap_or(next), &mut made);
        } else if in_class {
            in_class = next != ']';
            match next {
                ']' | '^' | '-' => made.push(next),
                // The name of a class: [[:alpha:]].
                '[' if rest.peek() == Some(&':') => {
                    made.push('[');
                    made.extend(rest.by_ref().take_while(|c| *c != ']'));
                    made.push(']');
                }
                _ => as_it_is(next, &mut made),
            }
        } else {
            in_class = next == '[';
            match next {
                '%' => made.push_str(".*"),
                '_' => made.push('.'),
                '(' => made.push_str("(?:"),
                '|' | '*' | '+' | '?' | '{' | '}' | ')' | '[' => made.push(next),
                _ => as_it_is(next, &mut made),
            }
        }
    }
    made.push_str(")$");
    made
}

fn as_it_is(character: char, made: &mut String) {
    if SIGNS.contains(character) {
        made.push('\\');
    }
    made.push(character);
}
