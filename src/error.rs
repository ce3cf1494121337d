//! What can go wrong, in the words of the user.
//!
//! Owns: [`Error`], its [`Kind`], and [`Diagnostic`], a message that points into a text.
//! Guarantees: a message never shows a Rust type; the kind tells the caller what to do.
//! Does not guarantee: a diagnostic for every error (a failed disk has no place in a script).
//! Depends on nothing of this crate. Start reading at [`Error`].

pub mod wording;

use std::fmt;
use std::ops::Range;

/// What the caller should do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The text is not SQL, or names what is not there: change the text.
    Sql,
    /// The statement is understood and cannot run: the message says what to write instead.
    Refused,
    /// A record could not be decoded, or an expression failed on it: mend the data, or set `on_error`.
    Data,
    /// A file, stream or server could not be read or written: mend that, then run again.
    Connector,
    /// A part of the state was lost and could not be rebuilt.
    State,
    /// A limit of the settings was reached: raise it, or ask for less.
    Limit,
    /// A fault of Waterwheel itself: please report it.
    Internal,
}

/// An error with what it means for the caller ([`Kind`]), a message, and the places in the SQL text it speaks of.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    /// All mistakes found, in the order of the text; empty when the error is not about a text.
    pub diagnostics: Vec<Diagnostic>,
    /// The query that it ended while it ran; `None` when nothing had started.
    pub query: Option<String>,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            diagnostics: Vec::new(),
            query: None,
            source: None,
        }
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Error::new(Kind::Refused, message)
    }

    pub fn data(message: impl Into<String>) -> Self {
        Error::new(Kind::Data, message)
    }

    pub fn connector(message: impl Into<String>) -> Self {
        Error::new(Kind::Connector, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(Kind::Internal, message)
    }

    /// Keeps the cause, for logs and `source()`; it is not shown in the message.
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Says which query it has ended.
    pub fn of_query(mut self, name: &str) -> Self {
        self.query = Some(name.to_string());
        self
    }

    /// The same for another who is to be told, without its cause.
    pub fn again(&self) -> Error {
        Error {
            kind: self.kind,
            message: self.message.clone(),
            diagnostics: self.diagnostics.clone(),
            query: self.query.clone(),
            source: None,
        }
    }

    /// An error made of diagnostics; its message is that of the first error among them.
    pub fn from_diagnostics(kind: Kind, diagnostics: Vec<Diagnostic>) -> Self {
        let first = diagnostics
            .iter()
            .find(|d| d.severity == Severity::Error)
            .or(diagnostics.first());
        let message = first.map(|d| d.message.clone()).unwrap_or_default();
        Error {
            kind,
            message,
            diagnostics,
            query: None,
            source: None,
        }
    }

    fn text(&self) -> String {
        let located: Vec<String> = self.diagnostics.iter().filter_map(Diagnostic::located).collect();
        if located.is_empty() {
            self.message.clone()
        } else {
            located.join("\n")
        }
    }
}

impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Self {
        Error::from_diagnostics(Kind::Sql, vec![diagnostic])
    }
}

/// How bad it is: an error stops the statement, a warning does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    Error,
    Warning,
}

/// A place in a text, counted from 1, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    /// In characters, not bytes.
    pub column: usize,
}

/// One mistake (or warning), pointing into the SQL text it was found in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Stable and greppable: `unknown_column`, `syntax`, `unknown_option` …
    pub code: &'static str,
    pub message: String,
    /// Bytes of the whole text that was given (file, `-c`, REPL input); `None` when there is no place to show.
    pub span: Option<Range<usize>>,
    /// Filled in by [`Diagnostic::placed`] once the text is at hand.
    pub place: Option<Place>,
    /// Facts, shown behind `=`: "bid has: auction, bidder, price".
    pub notes: Vec<String>,
    /// What to write instead, shown behind `help:`.
    pub help: Vec<String>,
    /// The nearest names, best first; the first is already in `help`.
    pub candidates: Vec<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            span: None,
            place: None,
            notes: Vec::new(),
            help: Vec::new(),
            candidates: Vec::new(),
        }
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(code, message)
        }
    }

    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }

    /// The same, with the place as well when there is one.
    pub fn maybe_at(mut self, span: Option<Range<usize>>) -> Self {
        self.span = span.or(self.span);
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds "did you mean …" for the names nearest to `wrong` among `known`, by prefix and edit distance.
    pub fn suggest<'a>(mut self, wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.candidates = nearest(wrong, known);
        if let Some(best) = self.candidates.first() {
            self.help.push(format!("did you mean `{best}`?"));
        }
        self
    }

    /// The same with line and column, counted in `text`, the text that `span` points into.
    pub fn placed(mut self, text: &str) -> Self {
        if let Some(span) = &self.span {
            self.place = Some(place_of(text, span.start));
        }
        self
    }

    fn located(&self) -> Option<String> {
        if self.severity != Severity::Error {
            return None;
        }
        let mut line = match self.place {
            Some(p) => format!("{}:{}: error[{}]: {}", p.line, p.column, self.code, self.message),
            None => format!("error[{}]: {}", self.code, self.message),
        };
        for help in &self.help {
            line.push_str("\nhelp: ");
            line.push_str(help);
        }
        Some(line)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Line and column (in characters) of a byte position in a text.
pub fn place_of(text: &str, at: usize) -> Place {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Place {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// The names nearest to `wrong`, best first, at most three: those that it begins, or that are few edits away.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let lower = wrong.to_lowercase();
    let mut ranked: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|name| {
            let other = name.to_lowercase();
            let edits = strsim::damerau_levenshtein(&lower, &other);
            let begins = lower.len() >= 3 && (other.starts_with(&lower) || lower.starts_with(&other));
            let length = lower.chars().count();
            // One letter is not near to every other letter.
            let close = edits * 3 <= length.max(3) && (edits < length || other.starts_with(&lower));
            (close || begins).then_some((if begins { edits.min(1) } else { edits }, name))
        })
        .collect();
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().take(3).map(|(_, name)| name.to_string()).collect()
}
