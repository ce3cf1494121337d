//! The SQL that is to be run, and where each part of it came from.

use std::io::{ErrorKind, Read};
use std::ops::Range;
use waterwheel::error::{Error, Place, place_of};

/// One text made of one or more files, so that all their mistakes are found before anything runs.
#[derive(Debug, Clone)]
pub struct Text {
    pub sql: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    name: String,
    bytes: Range<usize>,
}

/// A place in one of the files.
pub struct Spot<'a> {
    pub file: &'a str,
    /// The text of that file.
    pub text: &'a str,
    /// Bytes of `text`.
    pub bytes: Range<usize>,
    pub place: Place,
}

impl Text {
    /// What `-c` was given.
    pub fn command(sql: String) -> Text {
        Text::named("<command>", sql)
    }

    /// One text with a name for messages.
    pub fn named(name: &str, sql: String) -> Text {
        let part = Part {
            name: name.to_string(),
            bytes: 0..sql.len(),
        };
        Text { sql, parts: vec![part] }
    }

    /// The files in their order; `-` is standard input.
    ///
    /// Errors: a file that cannot be read, in words.
    pub fn of_files(names: &[String]) -> Result<Text, Error> {
        let mut text = Text {
            sql: String::new(),
            parts: Vec::new(),
        };
        for name in names {
            let (name, sql) = match name.as_str() {
                "-" => ("<stdin>", standard_input()?),
                file => (file, read(file)?),
            };
            if !text.sql.is_empty() {
                // Ends a comment and a statement of the file before; an empty statement does no harm.
                text.sql.push_str("\n;\n");
            }
            let start = text.sql.len();
            text.sql.push_str(&sql);
            text.parts.push(Part {
                name: name.to_string(),
                bytes: start..text.sql.len(),
            });
        }
        Ok(text)
    }

    /// Whether some of it was read from standard input.
    pub fn is_from_stdin(&self) -> bool {
        self.parts.iter().any(|p| p.name == "<stdin>")
    }

    /// The file in which bytes of the whole text stand.
    pub fn spot(&self, span: &Range<usize>) -> Option<Spot<'_>> {
        let part = self.parts.iter().rev().find(|p| p.bytes.start <= span.start)?;
        let text = &self.sql[part.bytes.clone()];
        let in_part = |at: usize| at.saturating_sub(part.bytes.start).min(text.len());
        let bytes = in_part(span.start)..in_part(span.end);
        Some(Spot {
            file: &part.name,
            text,
            place: place_of(text, bytes.start),
            bytes,
        })
    }
}

/// A file of SQL. Errors: why it cannot be read, in words.
pub fn read(file: &str) -> Result<String, Error> {
    let bytes = std::fs::read(file).map_err(|e| unreadable(file, e))?;
    utf8(file, bytes)
}

fn standard_input() -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|e| unreadable("standard input", e))?;
    utf8("standard input", bytes)
}

fn utf8(name: &str, bytes: Vec<u8>) -> Result<String, Error> {
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::refused(format!("{name} is not text in UTF-8: byte {at} cannot be read"))
    })?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_string))
}

fn unreadable(name: &str, error: std::io::Error) -> Error {
    let why = match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_string(),
        ErrorKind::PermissionDenied => "it may not be read".to_string(),
        ErrorKind::IsADirectory => "it is a directory".to_string(),
        _ => error.to_string(),
    };
    Error::connector(format!("cannot read {name}: {why}")).because(error)
}
