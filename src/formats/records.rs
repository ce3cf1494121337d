//! Where a record of a text ends, and its fields.

use memchr::{memchr, memchr_iter, memchr2, memrchr};
use std::ops::Range;

/// What separates records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Every line feed.
    Lines,
    /// The same, and an empty line is a record like any other.
    AllLines,
    /// Line ends outside quotes.
    Quoted(Quoting),
}

/// What the bytes of a CSV mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoting {
    pub delimiter: u8,
    /// Counts only where a field begins. [`NO_QUOTE`]: nothing is quoted.
    pub quote: u8,
    /// Takes the meaning from the next byte, within quotes.
    pub escape: Option<u8>,
    /// A line that begins with it is no record.
    pub comment: Option<u8>,
}

impl Rule {
    /// Every line end, quoted or not: for lines that are no records.
    pub const ANY_LINE: Rule = Rule::Quoted(Quoting {
        delimiter: NO_QUOTE,
        quote: NO_QUOTE,
        escape: None,
        comment: None,
    });
}

/// A byte that stands in no text of UTF-8.
pub const NO_QUOTE: u8 = 0xff;

/// A scan for record ends that goes on where it stopped when more bytes have come.
#[derive(Debug)]
pub struct Scan {
    rule: Rule,
    state: State,
    at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RecordStart,
    FieldStart,
    Plain,
    InQuotes,
    /// After an escape inside quotes.
    Escaped,
    /// After a quote inside quotes: the end of them, or the first half of a doubled one.
    AfterQuote,
    InComment,
}

impl State {
    fn after(self, byte: u8, is: &Quoting) -> State {
        match (self, byte) {
            (State::InQuotes, _) if byte == is.quote => State::AfterQuote,
            (State::InQuotes, _) if Some(byte) == is.escape => State::Escaped,
            (State::InQuotes | State::Escaped, _) => State::InQuotes,
            (State::InComment, b'\n') => State::RecordStart,
            (State::InComment, _) => State::InComment,
            (State::RecordStart, _) if Some(byte) == is.comment => State::InComment,
            (State::AfterQuote | State::FieldStart | State::RecordStart, _) if byte == is.quote => State::InQuotes,
            (_, b'\n' | b'\r') => State::RecordStart,
            (_, byte) if byte == is.delimiter => State::FieldStart,
            _ => State::Plain,
        }
    }
}

impl Scan {
    /// A scan that begins at a record's first byte.
    pub fn new(rule: Rule) -> Self {
        Scan {
            rule,
            state: State::RecordStart,
            at: 0,
        }
    }

    /// The place after the next record's line end, if it is within `bytes` (which begin where the scan began). A
    /// carriage return alone ends a record too, but only what follows tells that it is alone.
    pub fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let Rule::Quoted(quoting) = self.rule else {
            let rest = &bytes[self.at..];
            self.at += line_length(rest);
            return (self.at > 0 && !rest.is_empty() && bytes[self.at - 1] == b'\n').then_some(self.at);
        };
        while let Some(&byte) = bytes.get(self.at) {
            let next = self.state.after(byte, &quoting);
            let ends = next == State::RecordStart;
            let more = bytes.get(self.at + 1);
            if ends && byte == b'\r' && more.is_none() {
                return None;
            }
            self.state = next;
            self.at += 1;
            if ends && (byte == b'\n' || more != Some(&b'\n')) {
                return Some(self.at);
            }
        }
        None
    }
}

/// The place after the last whole record of `bytes`.
pub fn last_end(rule: Rule, bytes: &[u8]) -> Option<usize> {
    let line_feed = || memrchr(b'\n', bytes).map(|at| at + 1);
    let Rule::Quoted(quoting) = rule else {
        return line_feed();
    };
    if memchr(quoting.quote, bytes).is_none() {
        let end = line_feed();
        if memchr(b'\r', &bytes[end.unwrap_or(0)..]).is_none() {
            return end;
        }
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

/// Whether the text is over before the last quote has closed. `bytes` begin with a record.
pub fn ends_in_quotes(rule: Rule, bytes: &[u8]) -> bool {
    let Rule::Quoted(quoting) = rule else {
        return false;
    };
    if memchr(quoting.quote, bytes).is_none() {
        return false;
    }
    let end = bytes
        .iter()
        .fold(State::RecordStart, |state, byte| state.after(*byte, &quoting));
    matches!(end, State::InQuotes | State::Escaped)
}

/// Whether every quote of a CSV record closes right before a delimiter or the end, and it has so many fields.
pub fn is_in_order(quoting: &Quoting, record: &[u8], width: Option<usize>) -> bool {
    let mut state = State::RecordStart;
    for &byte in record {
        let before = state;
        state = before.after(byte, quoting);
        if before == State::AfterQuote && state == State::Plain {
            return false;
        }
    }
    let closed = !matches!(state, State::InQuotes | State::Escaped);
    closed && width.is_none_or(|width| count_fields(quoting, record) == width)
}

/// How many bytes the first line of a CSV record has, its line end included: a carriage return alone is one too.
pub fn first_line(record: &[u8]) -> usize {
    match memchr2(b'\n', b'\r', record) {
        None => record.len(),
        Some(at) if record[at..].starts_with(b"\r\n") => at + 2,
        Some(at) => at + 1,
    }
}

/// How many fields a CSV record has.
pub fn count_fields(quoting: &Quoting, record: &[u8]) -> usize {
    let mut state = State::RecordStart;
    let mut delimiters = 0;
    for &byte in record {
        state = state.after(byte, quoting);
        delimiters += usize::from(state == State::FieldStart);
    }
    delimiters + 1
}

/// The records with `width` fields each: what they have too much is left out, and what they lack is `missing`.
pub fn fit_fields(quoting: &Quoting, records: &[u8], width: usize, missing: &[u8]) -> Vec<u8> {
    let mut fitted = Vec::with_capacity(records.len());
    let mut state = State::RecordStart;
    let mut fields = 1;
    let pad = |fitted: &mut Vec<u8>, state: State, fields: usize| {
        if matches!(state, State::RecordStart | State::InComment) {
            return;
        }
        for _ in fields..width {
            fitted.push(quoting.delimiter);
            fitted.extend_from_slice(missing);
        }
    };
    for &byte in records {
        let before = state;
        state = before.after(byte, quoting);
        match state {
            State::FieldStart => fields += 1,
            State::RecordStart => {
                pad(&mut fitted, before, fields);
                fields = 1;
            }
            _ => {}
        }
        if fields <= width {
            fitted.push(byte);
        }
    }
    pad(&mut fitted, state, fields);
    fitted
}

/// How many bytes the first line has, its line feed included.
pub fn line_length(bytes: &[u8]) -> usize {
    memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}

/// How many lines end here: at line feeds, and at carriage returns that stand alone.
pub fn count_lines(bytes: &[u8]) -> usize {
    let line_feeds = memchr_iter(b'\n', bytes).count();
    let alone = |at: &usize| bytes.get(at + 1) != Some(&b'\n');
    line_feeds + memchr_iter(b'\r', bytes).filter(alone).count()
}

/// Whether a record holds nothing. In CSV spaces are a value, and a comment is nothing.
pub fn is_blank(rule: Rule, record: &[u8]) -> bool {
    match rule {
        Rule::Lines => record.iter().all(u8::is_ascii_whitespace),
        Rule::AllLines => false,
        Rule::Quoted(quoting) => {
            let comment = quoting.comment.is_some() && record.first().copied() == quoting.comment;
            comment || record.iter().all(|b| matches!(b, b'\r' | b'\n'))
        }
    }
}
