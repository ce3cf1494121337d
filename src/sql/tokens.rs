//! A text as tokens: where statements begin and end, and which bytes a place means.

use super::dialect::WaterwheelDialect;
use super::keywords::suggest_keyword;
use crate::error::Diagnostic;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, TokenizerError};
use std::ops::Range;

/// Line and column (as syntax trees count them: from 1, in characters) to bytes of one text.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    text: &'a str,
    /// The byte at which each line begins.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Lines { text, starts }
    }

    /// The byte at a line and column; beyond the end of the line, the end of the line. `None` for line or column 0
    /// ("nowhere") and for lines that the text does not have.
    pub fn byte_of(&self, line: u64, column: u64) -> Option<usize> {
        let index = usize::try_from(line.checked_sub(1)?).ok()?;
        let skip = usize::try_from(column.checked_sub(1)?).ok()?;
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        let line = &self.text[start..end];
        Some(start + line.char_indices().nth(skip).map_or(line.len(), |(at, _)| at))
    }

    /// The bytes of a span of the syntax tree; `None` for the empty span that made-up nodes have.
    pub fn span(&self, span: Span) -> Option<Range<usize>> {
        let start = self.byte_of(span.start.line, span.start.column)?;
        let end = self.byte_of(span.end.line, span.end.column)?;
        Some(start..end.max(start))
    }
}

/// The tokens of a text without white space and comments, each with its bytes.
pub(super) struct Script<'a> {
    pub text: &'a str,
    pub tokens: Vec<TokenWithSpan>,
    /// Parallel to `tokens`.
    pub bytes: Vec<Range<usize>>,
    /// Why the tokens end before the text does.
    pub broken: Option<Broken>,
}

/// A tokenizer error: the text behind `at` could not be read.
pub(super) struct Broken {
    message: String,
    at: usize,
    /// A quote or comment was never closed: more text could mend it.
    unfinished: bool,
}

impl<'a> Script<'a> {
    pub fn new(text: &'a str) -> Self {
        let mut all = Vec::new();
        let error = Tokenizer::new(&WaterwheelDialect, text)
            .tokenize_with_location_into_buf(&mut all)
            .err();
        let mut walk = Walk::new(text);
        let mut tokens = Vec::with_capacity(all.len() / 2);
        let mut bytes = Vec::with_capacity(all.len() / 2);
        for mut token in all {
            let start = walk.to(token.span.start);
            let end = walk.to(token.span.end);
            token.token = plain_number(token.token, &text[start..end]);
            if !matches!(token.token, Token::Whitespace(_)) {
                tokens.push(token);
                bytes.push(start..end);
            }
        }
        let broken = error.map(|error| Broken::new(error, &walk));
        Script {
            text,
            tokens,
            bytes,
            broken,
        }
    }

    /// The token ranges of the statements, without their `;`. Empty statements are left out; what stands before a
    /// place where the tokenizer failed is no statement.
    pub fn statements(&self) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut start = 0;
        for (at, token) in self.tokens.iter().enumerate() {
            if token.token == Token::SemiColon {
                found.push(start..at);
                start = at + 1;
            }
        }
        if self.broken.is_none() {
            found.push(start..self.tokens.len());
        }
        found.retain(|range| !range.is_empty());
        found
    }

    /// The bytes from the first to the last token of a range; nothing for an empty range.
    pub fn bytes_of(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.bytes.get(range.start).map_or(self.text.len(), |b| b.start);
        let last = range.end.checked_sub(1).filter(|last| *last >= range.start);
        let end = last.and_then(|last| self.bytes.get(last)).map_or(start, |b| b.end);
        start..end
    }

    /// The token that begins at a line and column.
    pub fn token_at(&self, at: Location) -> Option<usize> {
        self.tokens.binary_search_by(|t| t.span.start.cmp(&at)).ok()
    }

    /// A help for the word at `at`, or the one before it, when it looks like a mistyped keyword.
    pub fn keyword_help(&self, at: usize, first: usize) -> Option<String> {
        let word = |at: usize| match &self.tokens.get(at)?.token {
            Token::Word(w) if w.quote_style.is_none() => suggest_keyword(&w.value),
            _ => None,
        };
        let before = at.checked_sub(1).filter(|before| *before >= first);
        let keyword = word(at).or_else(|| before.and_then(word))?;
        Some(format!("did you mean `{keyword}`?"))
    }
}

/// `1_000` and `0x1F` in the digits that the planner reads; `written` is the token's own text.
fn plain_number(token: Token, written: &str) -> Token {
    match token {
        Token::Number(digits, long) if digits.contains('_') => Token::Number(digits.replace('_', ""), long),
        // `X'1F'` is one as well, and stands for bytes.
        Token::HexStringLiteral(digits) if written.starts_with('0') => {
            match u128::from_str_radix(&digits.replace('_', ""), 16) {
                Ok(number) => Token::Number(number.to_string(), false),
                Err(_) => Token::HexStringLiteral(digits),
            }
        }
        token => token,
    }
}

/// Places to bytes in one pass over the text: tokens come in order.
struct Walk<'a> {
    rest: std::str::Chars<'a>,
    byte: usize,
    at: Location,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str) -> Self {
        Walk {
            rest: text.chars(),
            byte: 0,
            at: Location::new(1, 1),
        }
    }

    fn to(&mut self, place: Location) -> usize {
        while self.at < place {
            let Some(ch) = self.rest.next() else { break };
            self.byte += ch.len_utf8();
            if ch == '\n' {
                self.at = Location::new(self.at.line + 1, 1);
            } else {
                self.at.column += 1;
            }
        }
        self.byte
    }
}

impl Broken {
    /// `walk` stands behind the last good token: where the piece that cannot be read begins.
    fn new(error: TokenizerError, walk: &Walk) -> Self {
        let rest = walk.rest.as_str();
        let unread = rest.trim_start();
        let message = if unread.starts_with("/*") {
            "this comment is not closed: `*/` is missing".to_string()
        } else if unread.starts_with(['"', '`']) {
            "this quoted name is not closed".to_string()
        } else if unread.starts_with(['e', 'E', 'u', 'U']) && unread[1..].matches('\'').count() > 1 {
            // Such a string is given up at a wrong escape too: no further line could mend it.
            "this string has an escape that is not known, or is not closed".to_string()
        } else if error.message.starts_with("Untermin") || error.message.contains("EOF") {
            "this string is not closed".to_string()
        } else {
            let mut message = error.message;
            if let Some(first) = message.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            message
        };
        let unfinished = message.starts_with("this") && !message.contains("escape");
        Broken {
            message,
            at: walk.byte + (rest.len() - unread.len()),
            unfinished,
        }
    }

    pub fn diagnostic(&self, text: &str) -> Diagnostic {
        let line_end = text[self.at..].find('\n').map_or(text.len(), |n| self.at + n);
        let diagnostic = Diagnostic::error("syntax", self.message.clone()).at(self.at..line_end);
        if self.unfinished && !self.message.contains("comment") {
            diagnostic.help("close it, or double a quote that is part of the text")
        } else {
            diagnostic
        }
    }
}

/// The bytes of each statement of a text, without the `;`. An unfinished last one goes to the end of the text.
pub fn split(text: &str) -> Vec<Range<usize>> {
    let script = Script::new(text);
    let mut found: Vec<_> = script.statements().iter().map(|range| script.bytes_of(range)).collect();
    if script.broken.is_some() {
        let semicolons = script.tokens.iter().zip(&script.bytes).rev();
        let start = semicolons
            .filter(|(token, _)| token.token == Token::SemiColon)
            .map(|(_, bytes)| bytes.end)
            .next()
            .unwrap_or(0);
        let blank = text[start..].len() - text[start..].trim_start().len();
        found.push(start + blank..text.trim_end().len());
    }
    found
}

/// Whether Enter ends the input: the text is blank, or its last token is `;`, outside strings and comments.
/// A text that no further line could mend counts as complete, so that its mistake is reported.
pub fn is_complete(text: &str) -> bool {
    let script = Script::new(text);
    match &script.broken {
        Some(broken) => !broken.unfinished && text.trim_end().ends_with(';'),
        None => script.tokens.last().is_none_or(|last| last.token == Token::SemiColon),
    }
}
