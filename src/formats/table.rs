//! The options of the formats, as data: what the connectors that read and write them take beside their own.

use crate::dstream::table::{OptionKind, OptionSpec};
use std::collections::BTreeMap;

const CSV: &[&str] = &["csv"];
const TEXTS: &[&str] = &["csv", "json"];

const HEADER: OptionSpec = OptionSpec::new(
    "header",
    OptionKind::Bool,
    Some("true"),
    "The first record holds the names of the columns",
)
.of(CSV)
.elsewhere(&["has_header", "csv.include-header", "skip_header"]);

const SKIP_LINES: OptionSpec = OptionSpec::new(
    "skip_lines",
    OptionKind::Count,
    Some("0"),
    "Reading: so many lines at the beginning of each file are passed over, before the header",
)
.reading()
.of(CSV)
.elsewhere(&["skip", "skip_rows", "skiprows", "skip_leading_rows", "skip_header_rows"]);

const DELIMITER: OptionSpec = OptionSpec::new("delimiter", OptionKind::Char, Some(","), "What stands between fields")
    .of(CSV)
    .elsewhere(&["sep", "separator", "delim", "field_delimiter", "csv.field-delimiter"]);

const QUOTE: OptionSpec = OptionSpec::new(
    "quote",
    OptionKind::CharOrNone,
    Some("\""),
    "What stands around fields that hold delimiters, quotes or line ends; empty: nothing does",
)
.of(CSV)
.elsewhere(&["quotechar", "quote_char", "quote_character", "csv.quote-character"]);

const ESCAPE: OptionSpec = OptionSpec::new(
    "escape",
    OptionKind::CharOrNone,
    Some(""),
    "What stands before a quote within quotes; empty: the quote is doubled",
)
.of(CSV)
.elsewhere(&["escapechar", "escape_char", "escape_character", "csv.escape-character"]);

const COMMENT: OptionSpec = OptionSpec::new(
    "comment",
    OptionKind::CharOrNone,
    Some(""),
    "Reading: lines that begin with it are passed over",
)
.of(CSV)
.elsewhere(&["comment_char", "comments", "csv.allow-comments", "allow_comments"]);

const NULL_VALUE: OptionSpec = OptionSpec::new(
    "null_value",
    OptionKind::Texts,
    Some(""),
    "A field with this text is NULL; several: ['', 'NA'], of which the first is written",
)
.of(CSV)
.elsewhere(&[
    "nullstr",
    "null",
    "null_string",
    "null_literal",
    "csv.null-literal",
    "na_values",
]);

const RAGGED: OptionSpec = OptionSpec::new(
    "ragged",
    OptionKind::Bool,
    Some("false"),
    "Reading: what a record lacks is NULL, and what it has too much is left out; false: such a record is bad",
)
.reading()
.of(CSV)
.elsewhere(&[
    "null_padding",
    "truncated_rows",
    "strict_mode",
    "allow_jagged_rows",
    "flexible",
]);

const TIMESTAMP_FORMAT: OptionSpec = OptionSpec::new(
    "timestamp_format",
    OptionKind::TimeFormat,
    None,
    "How TIMESTAMP columns are written, as in '%d/%m/%Y %H:%M:%S'; absent: ISO 8601",
)
.of(TEXTS)
.elsewhere(&[
    "timestampformat",
    "timestamp-format",
    "datetime_format",
    "json.timestamp-format.standard",
]);

const DATE_FORMAT: OptionSpec = OptionSpec::new(
    "date_format",
    OptionKind::TimeFormat,
    None,
    "How DATE columns are written, as in '%d/%m/%Y'; absent: ISO 8601",
)
.of(TEXTS)
.elsewhere(&["dateformat", "date-format"]);

/// What sources of bytes take.
pub static READING: &[OptionSpec] = &[
    HEADER,
    SKIP_LINES,
    DELIMITER,
    QUOTE,
    ESCAPE,
    COMMENT,
    NULL_VALUE,
    RAGGED,
    TIMESTAMP_FORMAT,
    DATE_FORMAT,
];

/// What sinks of bytes take.
pub static WRITING: &[OptionSpec] = &[
    HEADER,
    DELIMITER,
    QUOTE,
    ESCAPE,
    NULL_VALUE,
    TIMESTAMP_FORMAT,
    DATE_FORMAT,
];

/// The format that the options name, else the one that the suffix of the path tells (`.gz` and `.zst` looked through).
pub fn format_of(options: &BTreeMap<String, String>) -> Option<&'static str> {
    let known = ["json", "csv", "text", "parquet", "arrow"];
    if let Some(named) = options.get("format") {
        return known.into_iter().find(|name| name == named);
    }
    match suffix(options.get("path")?).to_ascii_lowercase().as_str() {
        "json" | "jsonl" | "ndjson" => Some("json"),
        "csv" | "tsv" => Some("csv"),
        "log" | "txt" => Some("text"),
        "parquet" => Some("parquet"),
        "arrow" | "ipc" | "feather" => Some("arrow"),
        _ => None,
    }
}

/// What follows the last dot of the last part of a path, that of its packing left out.
pub fn suffix(path: &str) -> &str {
    let packings = [".gz", ".zst"];
    let bare = packings.iter().find_map(|packing| path.strip_suffix(packing));
    let bare = bare.unwrap_or(path);
    let name = bare.rsplit('/').next().unwrap_or(bare);
    name.rsplit_once('.').map_or("", |(_, suffix)| suffix)
}
