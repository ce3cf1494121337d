//! The text of a JSON object, looked at without decoding it.

use super::records::line_length;
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

/// The lines with every object or array that stands in one of `columns` replaced by a string that holds its text;
/// `None` when there is none. Broken lines are left as they are.
pub fn quote_nested(bytes: &[u8], columns: &[String]) -> Option<Vec<u8>> {
    let mut quoted = Vec::with_capacity(bytes.len() + bytes.len() / 8);
    let mut changed = false;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(line_length(rest));
        rest = after;
        let mut copied = 0;
        for field in fields(line).unwrap_or_default() {
            let value = &line[field.value.clone()];
            let key = &line[field.key];
            if matches!(value.first(), Some(b'{' | b'[')) && columns.iter().any(|c| c.as_bytes() == key) {
                quoted.extend_from_slice(&line[copied..field.value.start]);
                push_string(value, &mut quoted);
                copied = field.value.end;
                changed = true;
            }
        }
        quoted.extend_from_slice(&line[copied..]);
    }
    changed.then_some(quoted)
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

fn string_end(text: &[u8], open: usize) -> Option<usize> {
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
