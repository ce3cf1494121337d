//! The options of `WITH (…)` that say how bytes are to be understood.

use super::records::{NO_QUOTE, Quoting, Rule};
use super::table::{format_of, suffix};
use super::times::{TimeFormat, TimeFormats};
use crate::dstream::table::{TableSpec, text_list};
use crate::error::{Error, Result, nearest};
use datafusion::arrow::csv;

/// What is wrong with a value that no time can be written in.
const NO_TIME_FORMAT: &str = "a % stands before no letter of strftime; a percent sign is written %%";

/// How rows stand in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json(JsonFormat),
    Csv(CsvFormat),
    /// One column, the line.
    Text,
    Parquet,
    /// Arrow IPC: the file format, and when reading the stream format too.
    Arrow,
}

/// The variant of JSON lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonFormat {
    pub times: TimeFormats,
}

/// The variant of CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFormat {
    /// The first record holds the names of the columns.
    pub header: bool,
    /// So many lines of a stream stand before the header, or the first record.
    pub skip_lines: u64,
    pub delimiter: u8,
    /// [`NO_QUOTE`]: nothing is quoted.
    pub quote: u8,
    /// `None`: a quote within quotes is doubled.
    pub escape: Option<u8>,
    /// Lines that begin with it are passed over.
    pub comment: Option<u8>,
    /// A field with one of these texts is NULL; the first is written. At least one.
    pub null_values: Vec<String>,
    /// Records may have fewer and more fields than there are columns.
    pub ragged: bool,
    pub times: TimeFormats,
}

impl Default for CsvFormat {
    fn default() -> Self {
        CsvFormat {
            header: true,
            skip_lines: 0,
            delimiter: b',',
            quote: b'"',
            escape: None,
            comment: None,
            null_values: vec![String::new()],
            ragged: false,
            times: TimeFormats::default(),
        }
    }
}

impl Format {
    /// What separates records, in text.
    pub fn rule(&self) -> Rule {
        match self {
            Format::Csv(csv) => csv.rule(),
            Format::Text => Rule::AllLines,
            _ => Rule::Lines,
        }
    }

    /// The value of the option `format`.
    pub fn name(&self) -> &'static str {
        match self {
            Format::Json(_) => "json",
            Format::Csv(_) => "csv",
            Format::Text => "text",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
        }
    }

    /// Whether files hold typed columns that are packed in the format's own way.
    pub fn is_binary(&self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }

    /// How times stand in it, if that can be said.
    pub fn times(&self) -> Option<&TimeFormats> {
        match self {
            Format::Json(json) => Some(&json.times),
            Format::Csv(csv) => Some(&csv.times),
            _ => None,
        }
    }

    /// How many lines of a stream are passed over at its beginning.
    pub fn skip_lines(&self) -> u64 {
        match self {
            Format::Csv(csv) => csv.skip_lines,
            _ => 0,
        }
    }

    /// Whether the first record of a stream holds the names of the columns.
    pub fn has_header(&self) -> bool {
        matches!(self, Format::Csv(csv) if csv.header)
    }
}

impl CsvFormat {
    /// Errors: an option has a value that it cannot have, or two do not go together.
    pub fn of(spec: &TableSpec) -> Result<CsvFormat> {
        let tabs = suffix(text(spec, "path").unwrap_or("")) == "tsv";
        let byte = |name: &str| text(spec, name).map(|value| (byte_of(value), value));
        let csv = CsvFormat {
            header: bool_option(spec, "header", true)?,
            skip_lines: text(spec, "skip_lines")
                .and_then(|lines| lines.parse().ok())
                .unwrap_or(0),
            delimiter: match byte("delimiter") {
                None if tabs => b'\t',
                None => b',',
                Some((Some(byte), _)) => byte,
                Some(_) => return Err(Error::refused("the delimiter of a CSV file is one ASCII character")),
            },
            quote: match byte("quote") {
                None => b'"',
                Some((_, "")) => NO_QUOTE,
                Some((Some(byte), _)) => byte,
                Some(_) => {
                    return Err(Error::refused(
                        "the quote of a CSV file is one ASCII character, or none",
                    ));
                }
            },
            escape: byte("escape").and_then(|(byte, _)| byte),
            comment: byte("comment").and_then(|(byte, _)| byte),
            null_values: text_list(text(spec, "null_value").unwrap_or("")),
            ragged: bool_option(spec, "ragged", false)?,
            times: TimeFormats::of_table(spec)?,
        };
        csv.consistent()
    }

    /// Each of the special characters means one thing. The quote as its own escape is a doubled quote.
    fn consistent(mut self) -> Result<CsvFormat> {
        self.escape = self.escape.filter(|escape| *escape != self.quote);
        let special = [
            ("delimiter", Some(self.delimiter)),
            ("quote", Some(self.quote)),
            ("escape", self.escape),
            ("comment", self.comment),
        ];
        for (at, (name, byte)) in special.iter().enumerate() {
            let same = special[..at].iter().find(|(_, other)| byte.is_some() && other == byte);
            if let (Some((other, _)), Some(byte)) = (same, byte) {
                let shown = match byte {
                    b'\t' => "\\t".to_string(),
                    byte => char::from(*byte).to_string(),
                };
                return Err(Error::refused(format!(
                    "'{shown}' cannot be the {other} and the {name} of a CSV at once: set {name} to another character"
                )));
            }
        }
        Ok(self)
    }

    /// What separates records.
    pub fn rule(&self) -> Rule {
        Rule::Quoted(self.quoting())
    }

    /// What its bytes mean.
    pub fn quoting(&self) -> Quoting {
        Quoting {
            delimiter: self.delimiter,
            quote: self.quote,
            escape: self.escape,
            comment: self.comment,
        }
    }

    /// An empty field is NULL, and no other.
    pub fn nulls_are_empty(&self) -> bool {
        self.null_values.iter().all(String::is_empty)
    }

    /// NULL as a field.
    pub fn null_field(&self) -> Vec<u8> {
        let null = self.null_values.first().map_or("", String::as_str);
        match self.needs_quotes(null) {
            true => self.quoted(null),
            false => null.as_bytes().to_vec(),
        }
    }

    /// The texts that are NULL where they are not quoted, and text where they are.
    pub fn bare_nulls(&self) -> impl Iterator<Item = &str> {
        let nulls = self.null_values.iter().map(String::as_str);
        nulls.filter(|null| !null.is_empty() && self.quote != NO_QUOTE && !self.needs_quotes(null))
    }

    /// Whether a field without quotes would end within the text, or be taken for something else.
    pub fn needs_quotes(&self, text: &str) -> bool {
        let special = |byte: u8| {
            byte == self.delimiter || matches!(byte, b'\n' | b'\r') || self.quote != NO_QUOTE && byte == self.quote
        };
        text.bytes().any(special) || self.comment.is_some() && text.bytes().next() == self.comment
    }

    /// A text as a field that is read as this text.
    pub fn quoted(&self, text: &str) -> Vec<u8> {
        if text.is_empty() || self.quote == NO_QUOTE {
            return text.as_bytes().to_vec();
        }
        let mut field = vec![self.quote];
        for byte in text.bytes() {
            if byte == self.quote || Some(byte) == self.escape {
                field.push(self.escape.unwrap_or(self.quote));
            }
            field.push(byte);
        }
        field.push(self.quote);
        field
    }

    /// The same for Arrow's reader, which is given no comments.
    pub fn reader(&self) -> csv::reader::Format {
        let format = csv::reader::Format::default()
            .with_delimiter(self.delimiter)
            .with_quote(self.quote)
            .with_truncated_rows(self.ragged);
        match self.escape {
            Some(escape) => format.with_escape(escape),
            None => format,
        }
    }
}

impl TimeFormats {
    /// Errors: an option is no format of times.
    fn of_table(spec: &TableSpec) -> Result<TimeFormats> {
        let format = |name: &str| {
            let read = |value: &str| {
                TimeFormat::new(value).ok_or_else(|| Error::refused(format!("{name} = '{value}': {NO_TIME_FORMAT}")))
            };
            text(spec, name).map(read).transpose()
        };
        Ok(TimeFormats {
            timestamp: format("timestamp_format")?,
            date: format("date_format")?,
        })
    }
}

/// The one byte that a value stands for.
fn byte_of(value: &str) -> Option<u8> {
    match value.as_bytes() {
        b"\\t" => Some(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Some(*byte),
        _ => None,
    }
}

/// How the bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// How the files of a table are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Each as its own suffix tells.
    BySuffix,
    /// All alike.
    All(Compression),
}

impl Packing {
    /// Errors: the option `compression` has a value that it cannot have.
    pub fn of(spec: &TableSpec) -> Result<Packing> {
        match text(spec, "compression").unwrap_or("auto") {
            "auto" => Ok(Packing::BySuffix),
            "none" => Ok(Packing::All(Compression::None)),
            "gzip" => Ok(Packing::All(Compression::Gzip)),
            "zstd" => Ok(Packing::All(Compression::Zstd)),
            other => Err(unknown("compression", other, &["auto", "none", "gzip", "zstd"])),
        }
    }

    /// How the file of that name is packed.
    pub fn of_file(self, name: &str) -> Compression {
        match self {
            Packing::All(compression) => compression,
            Packing::BySuffix if name.ends_with(".gz") => Compression::Gzip,
            Packing::BySuffix if name.ends_with(".zst") => Compression::Zstd,
            Packing::BySuffix => Compression::None,
        }
    }
}

/// What a record that cannot be decoded does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    Fail,
    Skip,
    DeadLetter,
}

impl OnError {
    /// Errors: the option's value is none of the three.
    pub fn of(spec: &TableSpec) -> Result<OnError> {
        match text(spec, "on_error").unwrap_or("fail") {
            "fail" => Ok(OnError::Fail),
            "skip" => Ok(OnError::Skip),
            "dead_letter" => Ok(OnError::DeadLetter),
            other => Err(unknown("on_error", other, &["fail", "skip", "dead_letter"])),
        }
    }
}

/// The format that the table names, else the one that the suffix of its path tells (`.gz` and `.zst` looked through).
///
/// Errors: no format is named and the suffix tells none; an option has a value that it cannot have.
pub fn resolve_format(spec: &TableSpec) -> Result<Format> {
    match format_of(&spec.options) {
        Some("json") => Ok(Format::Json(JsonFormat {
            times: TimeFormats::of_table(spec)?,
        })),
        Some("csv") => CsvFormat::of(spec).map(Format::Csv),
        Some("text") => Ok(Format::Text),
        Some("parquet") => Ok(Format::Parquet),
        Some(_) => Ok(Format::Arrow),
        None => Err(match (text(spec, "format"), text(spec, "path")) {
            (Some(other), _) => unknown("format", other, &["json", "csv", "text", "parquet", "arrow"]),
            (None, path) => Error::refused(format!(
                "the format of `{}` is not known: say format = 'json', 'csv', 'text', 'parquet' or 'arrow'",
                path.unwrap_or(&spec.name)
            )),
        }),
    }
}

/// A yes-or-no option. Errors: the value is neither `true` nor `false`.
pub fn bool_option(spec: &TableSpec, name: &str, default: bool) -> Result<bool> {
    match text(spec, name) {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(unknown(name, other, &["true", "false"])),
    }
}

fn text<'a>(spec: &'a TableSpec, name: &str) -> Option<&'a str> {
    spec.options.get(name).map(String::as_str)
}

fn unknown(option: &str, value: &str, known: &[&str]) -> Error {
    let mut message = format!("{option} = '{value}' is not known: it is one of {}", known.join(", "));
    if let Some(best) = nearest(value, known.iter().copied()).first() {
        message.push_str(&format!("; did you mean '{best}'?"));
    }
    Error::refused(message)
}
