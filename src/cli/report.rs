//! Mistakes as people and as programs read them.

mod json;

use super::text::Text;
use codespan_reporting::diagnostic::{Diagnostic as Snippet, Label, LabelStyle, Severity as Level};
use codespan_reporting::files::SimpleFile;
use codespan_reporting::term;
use std::io::{IsTerminal, Write};
use std::ops::Range;
use waterwheel::error::{Diagnostic, Error, Kind, Severity};

/// How mistakes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Errors {
    Text,
    Json,
}

/// Writes messages to stderr.
#[derive(Debug, Clone, Copy)]
pub struct Reporter {
    errors: Errors,
    colour: bool,
}

impl Reporter {
    /// Colours are for terminals, and not where NO_COLOR is set.
    pub fn new(errors: Errors) -> Reporter {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Reporter { errors, colour }
    }

    /// All that an error says: its places in `text`, or its message alone.
    pub fn error(&self, error: &Error, text: &Text) {
        match error.diagnostics.is_empty() {
            true => self.plain(error),
            false => self.diagnostics(error.kind, &error.diagnostics, text),
        }
    }

    pub fn diagnostics(&self, kind: Kind, diagnostics: &[Diagnostic], text: &Text) {
        let shown = diagnostics.iter().map(|d| match self.errors {
            Errors::Json => json::diagnostic(kind, d, text),
            Errors::Text => self.block(d, text),
        });
        let separator = if self.errors == Errors::Text { "\n" } else { "" };
        say(&shown.collect::<Vec<_>>().join(separator));
    }

    /// An error without a place.
    pub fn plain(&self, error: &Error) {
        match (self.errors, error.diagnostics.is_empty()) {
            (Errors::Json, _) => say(&json::plain(error.kind, &error.message)),
            (Errors::Text, true) => say(&format!("{} {}\n", self.bold_red("error:"), error.message)),
            (Errors::Text, false) => self.diagnostics(error.kind, &error.diagnostics, &Text::named("", String::new())),
        }
    }

    /// A mistake of the command line, or a file that it names and that is not there.
    pub fn usage(&self, error: &Error) {
        match (self.errors, error.diagnostics.is_empty()) {
            (Errors::Json, true) => say(&json::usage(&error.message)),
            _ => self.plain(error),
        }
    }

    /// Something to know that is no mistake; not for programs.
    pub fn note(&self, message: &str) {
        if self.errors == Errors::Text {
            say(&format!("{message}\n"));
        }
    }

    /// The first line, the place with carets, facts, and what to write instead.
    fn block(&self, diagnostic: &Diagnostic, text: &Text) -> String {
        let spot = diagnostic.span.as_ref().and_then(|span| text.spot(span));
        let spot = spot.filter(|s| !s.text.is_empty());
        let level = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let level = self.bold_red(&format!("{level}[{}]", diagnostic.code));
        let mut block = match &spot {
            Some(s) => format!(
                "{}:{}:{}: {level}: {}\n",
                s.file, s.place.line, s.place.column, diagnostic.message
            ),
            None => format!("{level}: {}\n", diagnostic.message),
        };
        match &spot {
            Some(s) => block.push_str(&self.snippet(s.file, s.text, first_line(s.text, &s.bytes), diagnostic)),
            None => diagnostic
                .notes
                .iter()
                .for_each(|note| block.push_str(&format!("  = {note}\n"))),
        }
        for help in &diagnostic.help {
            block.push_str(&format!("help: {}\n", help.replace('\n', "\n      ")));
        }
        block
    }

    /// The source line with carets below, and the notes, without the blank lines of codespan's layout.
    fn snippet(&self, file: &str, text: &str, bytes: Range<usize>, diagnostic: &Diagnostic) -> String {
        let level = match diagnostic.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        };
        let snippet = Snippet::new(level)
            .with_labels(vec![Label::new(LabelStyle::Primary, (), bytes)])
            .with_notes(diagnostic.notes.clone());
        let files = SimpleFile::new(file, text);
        let config = term::Config::default();
        let rendered = match self.colour {
            true => {
                let mut coloured = term::termcolor::Ansi::new(Vec::new());
                let written = term::emit_to_write_style(&mut coloured, &config, &files, &snippet);
                written.map(|()| String::from_utf8_lossy(&coloured.into_inner()).into_owned())
            }
            false => term::emit_into_string(&config, &files, &snippet),
        };
        let rendered = rendered.unwrap_or_default();
        let mut kept = String::new();
        // The first line is the header, which stands above already.
        for line in rendered.lines().skip(1) {
            let bare = without_colours(line);
            if !matches!(bare.trim(), "" | "│") {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        kept
    }

    fn bold_red(&self, text: &str) -> String {
        match self.colour {
            true => format!("\x1b[1;31m{text}\x1b[0m"),
            false => text.to_string(),
        }
    }
}

/// A span of several lines is shown by its first one.
fn first_line(text: &str, bytes: &Range<usize>) -> Range<usize> {
    let spanned = &text[bytes.clone()];
    let line = spanned.lines().next().unwrap_or_default().trim_end();
    bytes.start..bytes.start + line.len()
}

fn without_colours(line: &str) -> String {
    let mut bare = String::new();
    let mut escaped = false;
    for c in line.chars() {
        match (escaped, c) {
            (false, '\x1b') => escaped = true,
            (true, 'm') => escaped = false,
            (true, _) => {}
            (false, c) => bare.push(c),
        }
    }
    bare
}

/// Writes to stderr.
pub fn say(text: &str) {
    // There is nowhere left to tell that stderr is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// An error with the query that has failed.
pub fn failed(query: &str, error: &Error) -> Error {
    let named = |message: &str| format!("`{query}` has failed: {message}");
    let mut told = Error::new(error.kind, named(&error.message));
    told.diagnostics = error.diagnostics.clone();
    for diagnostic in &mut told.diagnostics {
        diagnostic.message = named(&diagnostic.message);
    }
    told
}
