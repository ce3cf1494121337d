//! The text of a JSON object, looked at without decoding it.

use super::records::line_length;
use datafusion::arrow::datatypes::{DataType, Field};
use std::ops::Range;

/// A key (without its quotes, escapes kept) and its value, as places in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawField {
    pub key: Range<usize>,
    pub value: Range<usize>,
}

/// The fields of the object that `text` begins with, in order; `None` when it is broken.
pub fn fields(text: &[u8]) -> Option<Vec<RawField>> {
    let mut found = Vec::new();
    let mut at = skip_space(text, 0);
    if text.get(at) != Some(&b'{') {
        return None;
    }
    at = skip_space(text, at + 1);
    while text.get(at)? != &b'}' {
        let key_end = value_end(text, at).filter(|_| text[at] == b'"')?;
        let colon = skip_space(text, key_end);
        if text.get(colon) != Some(&b':') {
            return None;
        }
        let start = skip_space(text, colon + 1);
        let end = value_end(text, start)?;
        found.push(RawField {
            key: at + 1..key_end - 1,
            value: start..end,
        });
        at = skip_space(text, end);
        if text.get(at) == Some(&b',') {
            at = skip_space(text, at + 1);
        }
    }
    Some(found)
}

/// The elements of the list that `text` begins with, in order; `None` when it is broken.
pub fn elements(text: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut found = Vec::new();
    let mut at = skip_space(text, 0);
    if text.get(at) != Some(&b'[') {
        return None;
    }
    at = skip_space(text, at + 1);
    while text.get(at)? != &b']' {
        let end = value_end(text, at)?;
        found.push(at..end);
        at = skip_space(text, end);
        if text.get(at) == Some(&b',') {
            at = skip_space(text, at + 1);
        }
    }
    Some(found)
}

/// The lines with every object or array that stands where text belongs, in a column or nested in one, replaced by a string
/// that holds its text; `None` when there is none. `columns` is a struct of the columns that hold text. Broken lines are
/// left as they are.
pub fn quote_nested(bytes: &[u8], columns: &DataType) -> Option<Vec<u8>> {
    let mut quoted = Vec::with_capacity(bytes.len() + bytes.len() / 8);
    let mut changed = false;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(line_length(rest));
        rest = after;
        changed |= quote(line, columns, &mut quoted);
    }
    changed.then_some(quoted)
}

/// Whether a value of this type is text or holds some.
pub fn holds_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 => true,
        DataType::List(item) => holds_text(item.data_type()),
        DataType::Struct(inner) => inner.iter().any(|field| holds_text(field.data_type())),
        DataType::Map(entries, _) => value_type(entries).is_some_and(holds_text),
        _ => false,
    }
}

/// Writes a value of type `to`; whether something in it had to be quoted.
fn quote(value: &[u8], to: &DataType, quoted: &mut Vec<u8>) -> bool {
    if let (DataType::Utf8, Some(b'{' | b'[')) = (to, value.first()) {
        push_string(value, quoted);
        return true;
    }
    let (mut changed, mut copied) = (false, 0);
    for (place, to) in parts(value, to) {
        quoted.extend_from_slice(&value[copied..place.start]);
        changed |= quote(&value[place.clone()], to, quoted);
        copied = place.end;
    }
    quoted.extend_from_slice(&value[copied..]);
    changed
}

/// The parts of a value that its type knows, with their types.
pub fn parts<'t>(value: &[u8], to: &'t DataType) -> Vec<(Range<usize>, &'t DataType)> {
    match to {
        DataType::List(item) => {
            let found = elements(value).unwrap_or_default();
            found.into_iter().map(|place| (place, item.data_type())).collect()
        }
        DataType::Struct(inner) => {
            let known = |found: RawField| {
                let key = &value[found.key];
                let field = inner.iter().find(|field| field.name().as_bytes() == key)?;
                Some((found.value, field.data_type()))
            };
            fields(value)
                .unwrap_or_default()
                .into_iter()
                .filter_map(known)
                .collect()
        }
        DataType::Map(entries, _) => match value_type(entries) {
            Some(to) => fields(value)
                .unwrap_or_default()
                .into_iter()
                .map(|f| (f.value, to))
                .collect(),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn value_type(entries: &Field) -> Option<&DataType> {
    match entries.data_type() {
        DataType::Struct(pair) => pair.last().map(|value| value.data_type()),
        _ => None,
    }
}

/// A JSON string that holds `text`, which is JSON itself and so free of control characters inside its strings.
fn push_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' | b'\r' | b'\t' => out.push(b' '),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The place after the value that begins at `start`.
fn value_end(text: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = start;
    loop {
        match text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                if depth == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return (at > start).then_some(at),
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return (at > start).then_some(at),
            _ => {}
        }
        at += 1;
    }
}

/// The place after the string that begins at `open`.
pub fn string_end(text: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn skip_space(text: &[u8], at: usize) -> usize {
    let blank = |b: &&u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    at + text.get(at..).map_or(0, |rest| rest.iter().take_while(blank).count())
}
