//! The options of `WITH (…)` that say how bytes are to be understood.

use super::records::Rule;
use crate::dstream::table::TableSpec;
use crate::error::{Error, Result, nearest};

/// How rows stand in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    Csv(CsvFormat),
    /// One column, the line.
    Text,
    Parquet,
    /// Arrow IPC: the file format, and when reading the stream format too.
    Arrow,
}

/// The variant of CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFormat {
    /// The first record holds the names of the columns.
    pub header: bool,
    pub delimiter: u8,
    /// A field with this text is NULL.
    pub null_value: String,
}

impl Format {
    /// What separates records, in text.
    pub fn rule(&self) -> Rule {
        match self {
            Format::Csv(csv) => csv.rule(),
            _ => Rule::Lines,
        }
    }

    /// Whether files hold typed columns that are packed in the format's own way.
    pub fn is_binary(&self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }

    /// Whether the first record of a stream holds the names of the columns.
    pub fn has_header(&self) -> bool {
        matches!(self, Format::Csv(csv) if csv.header)
    }
}

impl CsvFormat {
    /// What separates records.
    pub fn rule(&self) -> Rule {
        Rule::Quoted {
            delimiter: self.delimiter,
        }
    }
}

/// How the bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
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
    let path = text(spec, "path").unwrap_or("");
    let bare = [".gz", ".zst"]
        .iter()
        .find_map(|suffix| path.strip_suffix(suffix))
        .unwrap_or(path);
    let known = ["json", "csv", "text", "parquet", "arrow"];
    let named = match text(spec, "format") {
        Some(name) => name,
        None => match suffix(bare) {
            "json" | "jsonl" | "ndjson" => "json",
            "csv" | "tsv" => "csv",
            "log" | "txt" => "text",
            "parquet" => "parquet",
            "arrow" | "ipc" | "feather" => "arrow",
            _ => {
                let subject = if path.is_empty() { spec.name.as_str() } else { path };
                let message = format!(
                    "the format of `{subject}` is not known: say format = 'json', 'csv', 'text', 'parquet' or 'arrow'"
                );
                return Err(Error::refused(message));
            }
        },
    };
    match named {
        "json" => Ok(Format::Json),
        "text" => Ok(Format::Text),
        "parquet" => Ok(Format::Parquet),
        "arrow" => Ok(Format::Arrow),
        "csv" => csv_format(spec, if suffix(bare) == "tsv" { b'\t' } else { b',' }),
        other => Err(unknown("format", other, &known)),
    }
}

/// The packing that the table names, else the one that the suffix of the path tells.
///
/// Errors: the option has a value that it cannot have.
pub fn resolve_compression(spec: &TableSpec, path: &str) -> Result<Compression> {
    match text(spec, "compression").unwrap_or("auto") {
        "auto" if path.ends_with(".gz") => Ok(Compression::Gzip),
        "auto" if path.ends_with(".zst") => Ok(Compression::Zstd),
        "auto" | "none" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        other => Err(unknown("compression", other, &["auto", "none", "gzip", "zstd"])),
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

fn csv_format(spec: &TableSpec, delimiter: u8) -> Result<Format> {
    let delimiter = match text(spec, "delimiter") {
        None => delimiter,
        Some("\\t") => b'\t',
        Some(other) => match other.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => *byte,
            _ => return Err(Error::refused("the delimiter of a CSV file is one ASCII character")),
        },
    };
    Ok(Format::Csv(CsvFormat {
        header: bool_option(spec, "header", true)?,
        delimiter,
        null_value: text(spec, "null_value").unwrap_or("").to_string(),
    }))
}

fn text<'a>(spec: &'a TableSpec, name: &str) -> Option<&'a str> {
    spec.options.get(name).map(String::as_str)
}

/// What follows the last dot of the last part of a path.
fn suffix(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or("", |(_, suffix)| suffix)
}

fn unknown(option: &str, value: &str, known: &[&str]) -> Error {
    let mut message = format!("{option} = '{value}' is not known: it is one of {}", known.join(", "));
    if let Some(best) = nearest(value, known.iter().copied()).first() {
        message.push_str(&format!("; did you mean '{best}'?"));
    }
    Error::refused(message)
}
