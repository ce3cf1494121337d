//! Mistakes for programs: one JSON object per line.

use crate::cli::text::Text;
use waterwheel::error::{Diagnostic, Kind, Severity};

/// A mistake, with its place when it has one.
pub fn diagnostic(kind: Kind, diagnostic: &Diagnostic, text: &Text) -> String {
    let spot = diagnostic.span.as_ref().and_then(|span| text.spot(span));
    let number = |n: Option<usize>| n.map_or("null".to_string(), |n| n.to_string());
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let length = spot.as_ref().map(|s| s.text[s.bytes.clone()].chars().count());
    object(&[
        ("kind", quoted(kind_name(kind))),
        ("severity", quoted(severity)),
        ("code", quoted(diagnostic.code)),
        ("message", quoted(&diagnostic.message)),
        ("file", spot.as_ref().map_or("null".to_string(), |s| quoted(s.file))),
        ("line", number(spot.as_ref().map(|s| s.place.line))),
        ("column", number(spot.as_ref().map(|s| s.place.column))),
        ("length", number(length)),
        ("notes", list(&diagnostic.notes)),
        ("help", list(&diagnostic.help)),
        ("candidates", list(&diagnostic.candidates)),
    ])
}

/// An error without a place in a text; that of a record has its place in a file.
pub fn plain(kind: Kind, message: &str) -> String {
    placeless(kind_name(kind), message)
}

/// A mistake of the command line.
pub fn usage(message: &str) -> String {
    placeless("usage", message)
}

fn placeless(kind: &str, message: &str) -> String {
    let place = record(message);
    let (file, line) = place.map_or(("null".to_string(), "null".to_string()), |(file, line)| {
        (quoted(file), line.to_string())
    });
    object(&[
        ("kind", quoted(kind)),
        ("severity", quoted("error")),
        ("code", "null".to_string()),
        ("message", quoted(message)),
        ("file", file),
        ("line", line),
        ("column", "null".to_string()),
        ("length", "null".to_string()),
        ("notes", "[]".to_string()),
        ("help", "[]".to_string()),
        ("candidates", "[]".to_string()),
    ])
}

/// The file and line with which the message of a bad record begins: `rows.csv:3 (byte 8): …`.
fn record(message: &str) -> Option<(&str, u64)> {
    let (place, byte) = message.split_once(" (byte ")?;
    let (offset, _) = byte.split_once("): ")?;
    if !offset.chars().all(|c| c.is_ascii_digit() || c == ',') {
        return None;
    }
    let (file, line) = place.rsplit_once(':')?;
    // Behind the query that has failed, where that is told.
    let file = file.rsplit_once("` has failed: ").map_or(file, |(_, file)| file);
    Some((file, line.replace(',', "").parse().ok()?))
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Sql => "sql",
        Kind::Refused => "refused",
        Kind::Data => "data",
        Kind::Connector => "connector",
        Kind::State => "state",
        Kind::Limit => "limit",
        Kind::Internal => "internal",
    }
}

fn object(fields: &[(&str, String)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}\n", fields.collect::<Vec<_>>().join(","))
}

fn list(items: &[String]) -> String {
    let items = items.iter().map(|i| quoted(i));
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
