//! Reading the tokens of one statement from left to right.

use super::Parsed;
use super::statement::Name;
use super::tokens::Script;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::tokenizer::Token;
use std::ops::Range;

/// A place in the tokens `at..end` of a script; all of one statement, or of a part of it.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    pub script: &'a Script<'a>,
    /// The first token of the statement: nothing before it is looked at for suggestions.
    pub first: usize,
    pub at: usize,
    pub end: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(script: &'a Script<'a>, tokens: Range<usize>) -> Self {
        Cursor {
            script,
            first: tokens.start,
            at: tokens.start,
            end: tokens.end,
        }
    }

    /// The same place, reading no further than token `end`.
    pub fn until(&self, end: usize) -> Self {
        Cursor {
            end: end.min(self.end),
            ..self.clone()
        }
    }

    /// The same part, one token earlier (at its beginning: the same).
    pub fn back(&self) -> Self {
        let at = self.at.saturating_sub(1).max(self.first);
        Cursor { at, ..self.clone() }
    }

    pub fn is_done(&self) -> bool {
        self.at >= self.end
    }

    /// The token `n` places ahead.
    pub fn peek(&self, n: usize) -> Option<&'a Token> {
        let at = self.at + n;
        (at < self.end)
            .then(|| self.script.tokens.get(at).map(|t| &t.token))
            .flatten()
    }

    /// The unquoted word `n` places ahead, as it is written.
    pub fn word(&self, n: usize) -> Option<&'a str> {
        match self.peek(n)? {
            Token::Word(w) if w.quote_style.is_none() => Some(&w.value),
            _ => None,
        }
    }

    pub fn is_word(&self, n: usize, word: &str) -> bool {
        self.word(n).is_some_and(|w| w.eq_ignore_ascii_case(word))
    }

    pub fn are_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.is_word(n, word))
    }

    /// Takes these words, all or none.
    pub fn eat_words(&mut self, words: &[&str]) -> bool {
        let found = self.are_words(words);
        if found {
            self.at += words.len();
        }
        found
    }

    pub fn eat_word(&mut self, word: &str) -> bool {
        self.eat_words(&[word])
    }

    pub fn expect_words(&mut self, words: &[&str]) -> Parsed<()> {
        for word in words {
            if !self.eat_word(word) {
                return Err(self.expected(&format!("`{word}`")));
            }
        }
        Ok(())
    }

    pub fn eat(&mut self, token: &Token) -> bool {
        let found = self.peek(0) == Some(token);
        if found {
            self.at += 1;
        }
        found
    }

    pub fn expect(&mut self, token: &Token) -> Parsed<()> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.expected(&format!("`{token}`")))
        }
    }

    /// The bytes of the next token; at the end of the statement, the empty range behind it.
    pub fn span(&self) -> Range<usize> {
        if self.is_done() {
            let end = self.script.bytes_of(&(self.first..self.end)).end;
            return end..end;
        }
        self.script.bytes_of(&(self.at..self.at + 1))
    }

    /// The bytes from token `start` to the one just read.
    pub fn span_from(&self, start: usize) -> Range<usize> {
        self.script.bytes_of(&(start..self.at))
    }

    /// A name: lower case unless quoted.
    pub fn name(&mut self, what: &str) -> Parsed<Name> {
        let name = match self.peek(0) {
            Some(Token::Word(w)) if w.quote_style.is_some() => Name {
                value: w.value.clone(),
                span: self.span(),
            },
            Some(Token::Word(w)) if !is_reserved(&w.value) => Name {
                value: w.value.to_lowercase(),
                span: self.span(),
            },
            Some(Token::Word(w)) => {
                let help = format!("to use it as a name, quote it: \"{}\"", w.value);
                return Err(Box::new(self.expected(what).help(help)));
            }
            _ => return Err(self.expected(what)),
        };
        self.at += 1;
        Ok(name)
    }

    /// The name of a relation, which has one part only.
    pub fn relation(&mut self, what: &str) -> Parsed<Name> {
        let start = self.at;
        let name = self.name(what)?;
        if self.peek(0) != Some(&Token::Period) {
            return Ok(name);
        }
        while self.eat(&Token::Period) {
            self.at = (self.at + 1).min(self.end);
        }
        let diagnostic = Diagnostic::error("unsupported", "names of relations have one part: there are no schemas")
            .at(self.span_from(start))
            .help("a dot may stand in a quoted name: \"a.b\"");
        Err(Box::new(diagnostic))
    }

    /// `a, b, c`, each read by `item`.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `(a, b)`: names in parentheses.
    pub fn name_list(&mut self, what: &str) -> Parsed<Vec<Name>> {
        self.expect(&Token::LParen)?;
        let names = self.list(|c| c.name(what))?;
        self.close_list()?;
        Ok(names)
    }

    /// The `)` behind a list.
    pub fn close_list(&mut self) -> Parsed<()> {
        if self.eat(&Token::RParen) {
            Ok(())
        } else {
            Err(self.expected("`,` or `)`"))
        }
    }

    /// The first token from here on, outside all brackets, for which `stop` holds; the end when there is none.
    /// A closing bracket that was not opened here stops as well.
    pub fn find(&self, mut stop: impl FnMut(&Cursor<'a>) -> bool) -> usize {
        let mut depth = 0usize;
        let mut probe = self.clone();
        while let Some(token) = probe.peek(0) {
            match token {
                _ if depth == 0 && stop(&probe) => break,
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace if depth == 0 => break,
                Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
                _ => {}
            }
            probe.at += 1;
        }
        probe.at
    }

    /// "expected this, found that", with a help when a keyword was mistyped.
    pub fn expected(&self, what: &str) -> Box<Diagnostic> {
        Box::new(self.expected_at(what, self.at))
    }

    /// The same for the token `at`, which may be the end of this part.
    pub fn expected_at(&self, what: &str, at: usize) -> Diagnostic {
        let place = Cursor { at, ..self.clone() };
        let found = if self.script.tokens.get(at).is_some_and(|t| t.token != Token::SemiColon) {
            format!("`{}`", shorten(&self.script.text[self.script.bytes[at].clone()]))
        } else {
            "the end of the statement".to_string()
        };
        let span = match self.script.bytes.get(at) {
            Some(bytes) if found.starts_with('`') => bytes.clone(),
            _ => Cursor {
                at: place.end,
                ..place.clone()
            }
            .span(),
        };
        let diagnostic = Diagnostic::error("syntax", format!("expected {what}, found {found}")).at(span);
        match self.script.keyword_help(at, self.first) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }

    /// Nothing may follow.
    pub fn finish(&self) -> Parsed<()> {
        if self.is_done() {
            return Ok(());
        }
        let mut diagnostic = self.expected("`;` or the end of the statement");
        let starts = self.word(0).map(str::to_uppercase);
        if let Some(word) = starts.filter(|w| super::keywords::STATEMENTS.contains(&w.as_str())) {
            diagnostic.help.push(format!("is a `;` missing before `{word}`?"));
        }
        Err(diagnostic)
    }
}

/// Words that are surely not a name where a name is expected; quoted they may be.
fn is_reserved(word: &str) -> bool {
    const RESERVED: &[&str] = &[
        "AS", "CREATE", "DROP", "EXPLAIN", "FROM", "GROUP", "INSERT", "INTO", "ON", "ORDER", "SELECT", "TABLE",
        "UNION", "VALUES", "WHERE", "WITH",
    ];
    RESERVED.iter().any(|r| r.eq_ignore_ascii_case(word))
}

/// One line of at most 40 characters, for messages.
fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None if line.len() < text.len() => format!("{line}…"),
        None => line.to_string(),
    }
}
