//! Where a record of a text ends.

use std::io::BufRead;
use std::ops::Range;

/// What separates records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Every line feed.
    Lines,
    /// Line feeds outside double quotes. A quote counts as one only where a field begins.
    Quoted { delimiter: u8 },
}

impl State {
    fn after(self, byte: u8, delimiter: u8) -> State {
        match (self, byte) {
            (State::InQuotes, b'"') => State::AfterQuote,
            (State::InQuotes, _) | (State::AfterQuote | State::FieldStart, b'"') => State::InQuotes,
            (_, b'\n' | b'\r') => State::FieldStart,
            (_, byte) if byte == delimiter => State::FieldStart,
            _ => State::Plain,
        }
    }
}

/// A scan for record ends that goes on where it stopped when more bytes have come.
#[derive(Debug)]
pub struct Scan {
    rule: Rule,
    state: State,
    at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    InQuotes,
    /// After a quote inside quotes: the end of them, or the first half of a doubled one.
    AfterQuote,
}

impl Scan {
    /// A scan that begins at a record's first byte.
    pub fn new(rule: Rule) -> Self {
        Scan {
            rule,
            state: State::FieldStart,
            at: 0,
        }
    }

    /// The place after the next record's line feed, if it is within `bytes` (which begin where the scan began).
    pub fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let Rule::Quoted { delimiter } = self.rule else {
            let rest = &bytes[self.at..];
            self.at += line_length(rest);
            return (self.at > 0 && !rest.is_empty() && bytes[self.at - 1] == b'\n').then_some(self.at);
        };
        while let Some(&byte) = bytes.get(self.at) {
            self.at += 1;
            let outside = self.state != State::InQuotes;
            self.state = self.state.after(byte, delimiter);
            if outside && byte == b'\n' {
                return Some(self.at);
            }
        }
        None
    }
}

/// The place after the last whole record of `bytes`.
pub fn last_end(rule: Rule, bytes: &[u8]) -> Option<usize> {
    if rule == Rule::Lines || !bytes.contains(&b'"') {
        return bytes.iter().rposition(|&b| b == b'\n').map(|at| at + 1);
    }
    let mut scan = Scan::new(rule);
    let mut last = None;
    while let Some(end) = scan.next_end(bytes) {
        last = Some(end);
    }
    last
}

/// The records of `bytes` from `start` on, blank ones left out; the last may lack its line feed.
pub fn records(rule: Rule, bytes: &[u8], start: usize) -> Vec<Range<usize>> {
    let text = &bytes[start..];
    let mut scan = Scan::new(rule);
    let mut found = Vec::new();
    let mut begin = 0;
    while begin < text.len() {
        let end = scan.next_end(text).unwrap_or(text.len());
        if !is_blank(rule, &text[begin..end]) {
            found.push(start + begin..start + end);
        }
        begin = end;
    }
    found
}

/// How many fields a CSV record has.
pub fn count_fields(delimiter: u8, record: &[u8]) -> usize {
    let mut state = State::FieldStart;
    let mut delimiters = 0;
    for &byte in record {
        delimiters += usize::from(state != State::InQuotes && byte == delimiter);
        state = state.after(byte, delimiter);
    }
    delimiters + 1
}

/// How many bytes the first line has, its line feed included.
pub fn line_length(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    // Reading from memory cannot fail.
    rest.skip_until(b'\n').unwrap_or(bytes.len())
}

/// How many line feeds there are.
pub fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b == b'\n').count()
}

/// Whether a record holds nothing. In CSV spaces are a value.
pub fn is_blank(rule: Rule, record: &[u8]) -> bool {
    match rule {
        Rule::Lines => record.iter().all(u8::is_ascii_whitespace),
        Rule::Quoted { .. } => record.iter().all(|b| matches!(b, b'\r' | b'\n')),
    }
}
