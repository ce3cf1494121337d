//! A stream cut into blocks of the whole records that have arrived.

use super::input::{Input, read_some};
use crate::formats::{Block, Format, MAX_RECORD_BYTES, Pending, Rule, Scan, is_blank, last_end};
use std::io;

/// Cuts a stream into blocks of the whole records that have arrived.
pub struct Arrivals {
    input: Input,
    pending: Pending,
    /// Pending bytes known to hold no record end.
    scanned: usize,
    rule: Rule,
    /// A stream that breaks off has ended: it is one of many.
    is_one_of_many: bool,
    /// What was read of a record when the stream broke off, and why it did.
    broken_off: Option<(Block, io::Error)>,
}

impl Arrivals {
    pub fn new(mut input: Input, format: &Format) -> Self {
        let mark = input.head.len() - input.text().len();
        let pending = Pending {
            bytes: input.head.split_off(mark),
            ..Pending::at(mark as u64)
        };
        Arrivals {
            input,
            pending,
            scanned: 0,
            rule: format.rule(),
            is_one_of_many: false,
            broken_off: None,
        }
    }

    /// A stream of which others do not depend: it ends with the last whole record when it breaks off.
    pub fn one_of_many(self) -> Self {
        Arrivals {
            is_one_of_many: true,
            ..self
        }
    }

    /// What was read of a record when the stream broke off, and why it did.
    pub fn take_broken_off(&mut self) -> Option<(Block, io::Error)> {
        self.broken_off.take()
    }

    /// Passes over so many lines.
    pub fn skip_lines(&mut self, mut lines: u64) -> io::Result<()> {
        while lines > 0 {
            self.pending.skip_mark()?;
            match Scan::new(Rule::ANY_LINE).next_end(&self.pending.bytes) {
                Some(end) => drop(self.cut(end)),
                None if self.input.ended => {
                    self.rest();
                    return Ok(());
                }
                None => {
                    self.wait()?;
                    continue;
                }
            }
            lines -= 1;
        }
        Ok(())
    }

    /// The first record that is not blank, for a CSV header; `None` when the stream is empty.
    pub fn take_record(&mut self) -> io::Result<Option<Block>> {
        loop {
            self.pending.skip_mark()?;
            let block = match Scan::new(self.rule).next_end(&self.pending.bytes) {
                Some(end) => self.cut(end),
                None if self.input.ended => return Ok(self.rest()),
                None => {
                    self.wait()?;
                    continue;
                }
            };
            if !is_blank(self.rule, &block.bytes) {
                return Ok(Some(block));
            }
        }
    }

    /// Waits for the next whole records; at the end of the stream the last one may lack its line feed.
    pub fn next_block(&mut self) -> io::Result<Option<Block>> {
        loop {
            self.pending.skip_mark()?;
            // A carriage return ends a record when something else follows it.
            let fresh = &self.pending.bytes[self.scanned.saturating_sub(1)..];
            let fresh = fresh.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
            if let Some(end) = last_end(self.rule, &self.pending.bytes).filter(|_| fresh) {
                return Ok(Some(self.cut(end)));
            }
            self.scanned = self.pending.bytes.len();
            if self.input.ended {
                return Ok(self.rest());
            }
            if self.pending.bytes.len() >= MAX_RECORD_BYTES {
                return Err(io::Error::other(format!(
                    "line {} is longer than 256 MiB: is a line end or a closing quote missing?",
                    self.pending.line
                )));
            }
            self.wait()?;
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        match read_some(&mut self.input.read, &mut self.pending.bytes) {
            Ok(more) => self.input.ended = !more,
            Err(error) if self.is_one_of_many => {
                self.input.ended = true;
                let end = self.pending.bytes.len();
                self.broken_off = Some((self.cut(end), error));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn rest(&mut self) -> Option<Block> {
        self.scanned = 0;
        self.pending.cut_last()
    }

    fn cut(&mut self, end: usize) -> Block {
        self.scanned = 0;
        self.pending.cut(end)
    }
}
