//! Where a record of a text ends, and its fields.

use memchr::{memchr, memchr_iter, memchr2, memrchr};
use std::borrow::Cow;
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

impl Quoting {
    fn is_quote(&self, byte: u8) -> bool {
        byte == self.quote && byte != NO_QUOTE
    }
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

/// The longest field in quotes, in bytes from quote to quote: beyond it a quote was lost, more likely than not. What is
/// read ahead, and held in memory, for the end of one field.
const QUOTED_FIELD_BYTES_MAX: usize = 16 << 20;

/// A scan for record ends that goes on where it stopped when more bytes have come.
#[derive(Debug)]
pub struct Scan {
    rule: Rule,
    state: State,
    at: usize,
    /// Where the record begins that is looked at.
    begin: usize,
    /// The quote that was opened last.
    opened: usize,
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
    /// A quote was lost: the quotes ended in the middle of a field, or not in a long while. So until the line ends.
    Broken,
    InComment,
}

impl State {
    /// A quote is open, or was just now.
    fn is_quoted(self) -> bool {
        matches!(self, State::InQuotes | State::Escaped | State::AfterQuote)
    }

    fn after(self, byte: u8, is: &Quoting) -> State {
        match (self, byte) {
            (State::InQuotes, _) if is.is_quote(byte) => State::AfterQuote,
            (State::InQuotes, _) if Some(byte) == is.escape => State::Escaped,
            (State::InQuotes | State::Escaped, _) => State::InQuotes,
            (State::RecordStart, _) if Some(byte) == is.comment => State::InComment,
            (State::AfterQuote | State::FieldStart | State::RecordStart, _) if is.is_quote(byte) => State::InQuotes,
            (_, b'\n' | b'\r') => State::RecordStart,
            (State::InComment | State::Broken, _) => self,
            (_, byte) if byte == is.delimiter => State::FieldStart,
            (State::AfterQuote, _) => State::Broken,
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
            begin: 0,
            opened: 0,
        }
    }

    /// The place after the next record's line end, if it is within `bytes` (which begin where the scan began). A
    /// carriage return alone ends a record too, but only what follows tells that it is alone. Where quotes end in the
    /// middle of a field, or not within [`QUOTED_FIELD_BYTES_MAX`], one of them was lost: such a record is its first line,
    /// and the next line begins another.
    pub fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let Rule::Quoted(quoting) = self.rule else {
            let rest = &bytes[self.at..];
            self.at += line_length(rest);
            return (self.at > 0 && !rest.is_empty() && bytes[self.at - 1] == b'\n').then_some(self.at);
        };
        while let Some(&byte) = bytes.get(self.at) {
            if self.state == State::InQuotes && self.pass_over_text(&quoting, bytes) {
                continue;
            }
            let mut next = self.state.after(byte, &quoting);
            if next.is_quoted() {
                match self.state.is_quoted() {
                    false => self.opened = self.at,
                    true if self.at - self.opened > QUOTED_FIELD_BYTES_MAX => next = State::Broken,
                    true => {}
                }
            }
            let ends = next == State::RecordStart;
            let more = bytes.get(self.at + 1);
            if ends && byte == b'\r' && more.is_none() {
                return None;
            }
            let breaks = next == State::Broken && self.state != State::Broken;
            self.state = next;
            self.at += 1;
            if breaks && memchr2(b'\n', b'\r', &bytes[self.begin..self.at]).is_some() {
                return Some(self.restart(bytes));
            }
            if ends && (byte == b'\n' || more != Some(&b'\n')) {
                self.begin = self.at;
                return Some(self.at);
            }
        }
        None
    }

    /// Goes on to the next byte that means something within quotes; whether that is another one.
    fn pass_over_text(&mut self, quoting: &Quoting, bytes: &[u8]) -> bool {
        let end = bytes.len().min(self.opened + QUOTED_FIELD_BYTES_MAX + 1);
        let text = bytes.get(self.at..end).unwrap_or_default();
        let found = memchr2(quoting.quote, quoting.escape.unwrap_or(quoting.quote), text);
        let passed = found.unwrap_or(text.len());
        self.at += passed;
        passed > 0
    }

    /// The place after the first line of the record that is looked at, where the next begins.
    fn restart(&mut self, bytes: &[u8]) -> usize {
        self.at = self.begin + first_line(&bytes[self.begin..]);
        self.begin = self.at;
        self.state = State::RecordStart;
        self.at
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

/// The records of `bytes`, blank ones left out; the last may lack its line feed. Of one whose quotes do not end before
/// the text only the first line is taken, as of one where they end in the middle of a field.
pub fn records(rule: Rule, bytes: &[u8]) -> Vec<Range<usize>> {
    let mut scan = Scan::new(rule);
    let mut found = Vec::new();
    let mut begin = 0;
    while begin < bytes.len() {
        let end = match scan.next_end(bytes) {
            Some(end) => end,
            None if matches!(scan.state, State::InQuotes | State::Escaped) => scan.restart(bytes),
            None => bytes.len(),
        };
        if !is_blank(rule, &bytes[begin..end]) {
            found.push(begin..end);
        }
        begin = end;
    }
    found
}

/// What is wrong with the quotes of a text, if something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadQuote {
    /// It does not end, or only after a long while.
    Open,
    /// It ends in the middle of a field.
    Inside,
}

/// Whether each quote that begins a field ends right before a delimiter, a line end or the end of the text. `bytes` begin
/// with a record. Looks at quotes only: a text without them costs one search.
///
/// Errors: the first quote that does not.
pub fn check_quotes(quoting: &Quoting, bytes: &[u8]) -> Result<(), BadQuote> {
    if quoting.quote == NO_QUOTE {
        return Ok(());
    }
    // Outside quotes.
    let mut at = 0;
    while let Some(found) = memchr(quoting.quote, &bytes[at..]) {
        let quote = at + found;
        let begins_field = match bytes[..quote].last() {
            None | Some(b'\n' | b'\r') => true,
            Some(before) => *before == quoting.delimiter,
        };
        at = match comment_around(quoting, bytes, at, quote) {
            Some(end) => end,
            None if begins_field => after_quotes(quoting, bytes, quote + 1)?,
            // In the middle of a field that is not quoted it is a character like any other.
            None => quote + 1,
        };
    }
    Ok(())
}

/// The end of the comment in which the first quote behind `from` stands. No quote and no comment is open at `from`.
fn comment_around(quoting: &Quoting, bytes: &[u8], from: usize, quote: usize) -> Option<usize> {
    quoting.comment?;
    let mut line = match bytes[..from].last() {
        None | Some(b'\n' | b'\r') => from,
        Some(_) => from + first_line(&bytes[from..quote]),
    };
    while line < quote {
        if bytes.get(line).copied() == quoting.comment {
            line += first_line(&bytes[line..]);
        } else {
            line += first_line(&bytes[line..quote]);
        }
    }
    (line > quote).then_some(line)
}

/// The place behind the quote that ends the quoted field whose text begins at `at`.
fn after_quotes(quoting: &Quoting, bytes: &[u8], mut at: usize) -> Result<usize, BadQuote> {
    // The last place at which it may end.
    let limit = bytes.len().min(at + QUOTED_FIELD_BYTES_MAX);
    loop {
        let rest = bytes.get(at..limit).unwrap_or_default();
        let found = memchr2(quoting.quote, quoting.escape.unwrap_or(quoting.quote), rest);
        let next = at + found.ok_or(BadQuote::Open)? + 1;
        let is_quote = bytes[next - 1] == quoting.quote;
        match bytes.get(next) {
            Some(byte) if is_quote && *byte != quoting.quote => {
                let ends = *byte == quoting.delimiter || matches!(byte, b'\n' | b'\r');
                return if ends { Ok(next) } else { Err(BadQuote::Inside) };
            }
            None if is_quote => return Ok(next),
            // A doubled quote, or what an escape takes the meaning from.
            _ => at = next + 1,
        }
    }
}

/// How many bytes the first line of a CSV record has, its line end included: a carriage return alone is one too.
pub fn first_line(record: &[u8]) -> usize {
    match memchr2(b'\n', b'\r', record) {
        None => record.len(),
        Some(at) if record[at..].starts_with(b"\r\n") => at + 2,
        Some(at) => at + 1,
    }
}

/// The records without the comments among them. Their quotes are in order.
pub fn without_comments<'a>(quoting: &Quoting, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    let Some(comment) = quoting.comment else {
        return Cow::Borrowed(bytes);
    };
    let begins_line = |at: usize| at == 0 || matches!(bytes[at - 1], b'\n' | b'\r');
    if !memchr_iter(comment, bytes).any(begins_line) {
        return Cow::Borrowed(bytes);
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut scan = Scan::new(Rule::Quoted(*quoting));
    let mut begin = 0;
    while begin < bytes.len() {
        let end = scan.next_end(bytes).unwrap_or(bytes.len());
        if bytes[begin] != comment {
            kept.extend_from_slice(&bytes[begin..end]);
        }
        begin = end;
    }
    Cow::Owned(kept)
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

/// The fields of a CSV record as they stand there, quotes included.
pub fn raw_fields<'r>(quoting: &Quoting, record: &'r [u8]) -> Vec<&'r [u8]> {
    let mut fields = Vec::new();
    let (mut state, mut begin) = (State::RecordStart, 0);
    for (at, &byte) in record.iter().enumerate() {
        state = state.after(byte, quoting);
        match state {
            State::FieldStart => {
                fields.push(&record[begin..at]);
                begin = at + 1;
            }
            State::RecordStart => {
                fields.push(&record[begin..at]);
                return fields;
            }
            _ => {}
        }
    }
    fields.push(&record[begin..]);
    fields
}

/// The records with `width` fields each: what they have too much is left out, and what they lack is `missing`.
pub fn fit_fields(quoting: &Quoting, records: &[u8], width: usize, missing: &[u8]) -> Vec<u8> {
    let mut fitted = Vec::with_capacity(records.len());
    let mut state = State::RecordStart;
    let mut fields = 1;
    let pad = |fitted: &mut Vec<u8>, state: State, fields: usize| {
        if state == State::RecordStart {
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
