//! Letting sqlparser read a part of a statement, and its errors in our words.

use super::Parsed;
use super::cursor::Cursor;
use super::dialect::WaterwheelDialect;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token};

/// How deep brackets, subqueries and expressions may be nested. sqlparser recurses this deep, and so does all that
/// comes after it.
const NESTING_MAX: usize = 50;

/// How many operators may follow each other on one level: such a chain is as deep a tree, and copying it takes about
/// 1 KiB of stack for each, of the 2 MiB that threads have.
const CHAIN_MAX: usize = 600;

impl Cursor<'_> {
    /// Lets sqlparser read from here; it sees no further than this cursor's end.
    pub fn sqlparser<T>(&mut self, read: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>) -> Parsed<T> {
        let end = self.end.max(self.at);
        let tokens = self.script.tokens[self.at..end].to_vec();
        let mut parser = Parser::new(&WaterwheelDialect)
            .with_recursion_limit(NESTING_MAX)
            .with_tokens_with_locations(tokens);
        let result = read(&mut parser);
        let stopped = (self.at + parser.index()).min(end);
        match result {
            Ok(value) => {
                self.at = stopped;
                Ok(value)
            }
            Err(error) => Err(Box::new(self.translate(error, stopped))),
        }
    }

    /// An expression. It ends where sqlparser stops, at the latest before a comma or bracket of the surrounding list.
    pub fn expression(&mut self) -> Parsed<ast::Expr> {
        let end = self.find(|c| c.peek(0) == Some(&Token::Comma));
        let mut part = self.until(end);
        part.check_chains()?;
        let expr = part.sqlparser(Parser::parse_expr)?;
        self.at = part.at;
        Ok(expr)
    }

    /// Refuses chains of operators that would make a tree too deep to walk.
    pub fn check_chains(&self) -> Parsed<()> {
        let mut open: Vec<Links> = Vec::new();
        let mut links = Links::default();
        for at in self.at..self.end {
            match &self.script.tokens[at].token {
                Token::LParen | Token::LBracket | Token::LBrace => open.push(std::mem::take(&mut links)),
                Token::RParen | Token::RBracket | Token::RBrace => links = open.pop().unwrap_or(links),
                Token::Comma => links = Links::default(),
                token => links.add(token),
            }
            if links.depth() > CHAIN_MAX {
                let message = format!("more than {CHAIN_MAX} operators in one chain");
                let diagnostic = Diagnostic::error("too_deep", message)
                    .at(self.script.bytes[at].clone())
                    .help("write `x IN (…)` for many `x = … OR`, or put the values into a table and join it");
                return Err(Box::new(diagnostic));
            }
        }
        Ok(())
    }

    /// The parser goes no deeper.
    pub fn too_deep(&self) -> Diagnostic {
        Diagnostic::error("too_deep", format!("nested deeper than {NESTING_MAX} levels"))
            .at(self.span())
            .help("name the inner parts with WITH, or make views of them")
    }

    /// sqlparser's error as a diagnostic. `stopped`: the token it stood at, for errors that do not name a place.
    fn translate(&self, error: ParserError, stopped: usize) -> Diagnostic {
        let text = match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
            ParserError::RecursionLimitExceeded => {
                return self.until(self.end).too_deep();
            }
        };
        let (message, place) = take_place(&text);
        let at = place.and_then(|p| self.script.token_at(p));
        let expected = message
            .strip_prefix("Expected: ")
            .and_then(|m| m.rsplit_once(", found: "));
        match expected {
            Some((what, "EOF")) => self.expected_at(&plain(what), self.end),
            Some((what, found)) => {
                let at = at.unwrap_or(stopped);
                let wrong = self.expected_at(&plain(what), at);
                let before = Cursor {
                    at: at.saturating_sub(1),
                    ..self.clone()
                };
                match found == "<" && before.is_word(0, "MAP") {
                    true => wrong.help("in a cast the type is written MAP(STRING, INT)"),
                    false => wrong,
                }
            }
            None => {
                let place = Cursor {
                    at: at.unwrap_or(stopped),
                    ..self.clone()
                };
                if message.contains("infix parser for token") {
                    return no_operator(&place);
                }
                Diagnostic::error("syntax", plain(message)).at(place.span())
            }
        }
    }
}

/// Operators counted on one level of brackets, the weakest first: UNION, OR, AND, all others. An operator ends the
/// chains of those that bind stronger: `a = 1 OR b = 2` is two links deep, not three.
#[derive(Default, Clone, Copy)]
struct Links([usize; 4]);

impl Links {
    fn add(&mut self, token: &Token) {
        if starts_clause(token) {
            // A chain of UNION goes on over the clauses of its queries.
            self.0[1..].fill(0);
        } else if let Some(level) = link_level(token) {
            self.0[level] += 1;
            self.0[level + 1..].fill(0);
        }
    }

    fn depth(&self) -> usize {
        self.0.iter().sum()
    }
}

/// FROM is not among them: `a IS DISTINCT FROM b IS DISTINCT FROM c` is one chain.
fn starts_clause(token: &Token) -> bool {
    const CLAUSES: &[&str] = &["SELECT", "WHERE", "HAVING", "ON"];
    matches!(token, Token::Word(w) if w.quote_style.is_none() && CLAUSES.iter().any(|k| k.eq_ignore_ascii_case(&w.value)))
}

fn link_level(token: &Token) -> Option<usize> {
    const LEVELS: &[&[&str]] = &[
        &["UNION", "EXCEPT", "INTERSECT", "MINUS"],
        &["OR", "XOR"],
        &["AND"],
        &[
            "NOT", "IS", "IN", "LIKE", "ILIKE", "SIMILAR", "BETWEEN", "COLLATE", "AT", "DIV", "OVERLAPS", "RLIKE",
            "REGEXP",
        ],
    ];
    match token {
        Token::Word(w) if w.quote_style.is_some() => None,
        Token::Word(w) => LEVELS
            .iter()
            .position(|words| words.iter().any(|k| k.eq_ignore_ascii_case(&w.value))),
        Token::Number(..) | Token::Period | Token::SemiColon => None,
        // Operators have no letters, quotes or digits; literals of all kinds do, or are quoted.
        other => {
            let mut first = First::default();
            // Writing stops after the first character: a literal is not copied to look at its beginning.
            let _ = std::fmt::write(&mut first, format_args!("{other}"));
            let operator = |c: char| c.is_ascii_punctuation() && !matches!(c, '\'' | '"' | '$' | '`');
            first.0.is_some_and(operator).then_some(LEVELS.len() - 1)
        }
    }
}

/// Keeps the first character that is written to it.
#[derive(Default)]
struct First(Option<char>);

impl std::fmt::Write for First {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.0 = self.0.or_else(|| s.chars().next());
        if self.0.is_some() { Err(std::fmt::Error) } else { Ok(()) }
    }
}

/// Splits `… at Line: 3, Column: 7` into the message and the place.
fn take_place(text: &str) -> (&str, Option<Location>) {
    let place = |tail: &str| {
        let (line, column) = tail.split_once(", Column: ")?;
        Some(Location::new(line.parse().ok()?, column.parse().ok()?))
    };
    match text.rsplit_once(" at Line: ") {
        Some((message, tail)) => (message, place(tail)),
        None => (text, None),
    }
}

/// What stands between two values, and combines none.
fn no_operator(place: &Cursor) -> Diagnostic {
    let span = place.span();
    let written = &place.script.text[span.clone()];
    let wrong = Diagnostic::error("syntax", format!("`{written}` is no operator here")).at(span);
    match written.to_ascii_uppercase().as_str() {
        "DIV" => wrong.help("whole numbers are divided without a fraction: a / b"),
        "MOD" => wrong.help("the rest of a division is a % b"),
        "#" => wrong.help("the exclusive OR of bits is a ^ b"),
        _ => wrong,
    }
}

/// A message of sqlparser without its capital; a sign alone is quoted.
fn plain(message: &str) -> String {
    let mut words = message.trim().to_string();
    if !words.contains(char::is_alphanumeric) {
        return format!("`{words}`");
    }
    let second_is_small = words.chars().nth(1).is_some_and(char::is_lowercase);
    if let Some(first) = words.get_mut(..1).filter(|_| second_is_small) {
        first.make_ascii_lowercase();
    }
    words
}
