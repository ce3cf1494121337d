//! A stream cut into blocks of the whole records that have arrived.

use super::input::{Input, read_some};
use crate::formats::{BOM, Block, Format, MAX_RECORD_BYTES, Rule, Scan, count_lines, last_end};
use std::io;

/// Cuts a stream into blocks of the whole records that have arrived.
pub struct Arrivals {
    input: Input,
    pending: Vec<u8>,
    /// Bytes of `pending` known to hold no record end.
    scanned: usize,
    offset: u64,
    line: u64,
    rule: Rule,
}

impl Arrivals {
    pub fn new(mut input: Input, format: &Format) -> Self {
        let mark = input.head.len() - input.text().len();
        let pending = input.head.split_off(mark);
        Arrivals {
            input,
            pending,
            scanned: 0,
            offset: mark as u64,
            line: 1,
            rule: format.rule(),
        }
    }

    /// The first record, for a CSV header; `None` when the stream is empty.
    pub fn take_record(&mut self) -> io::Result<Option<Block>> {
        loop {
            if let Some(end) = Scan::new(self.rule).next_end(&self.pending) {
                return Ok(Some(self.cut(end)));
            }
            if self.input.ended {
                return Ok(self.rest());
            }
            self.wait()?;
        }
    }

    /// Waits for the next whole records; at the end of the stream the last one may lack its line feed.
    pub fn next_block(&mut self) -> io::Result<Option<Block>> {
        loop {
            let fresh = self.pending[self.scanned..].contains(&b'\n');
            if let Some(end) = last_end(self.rule, &self.pending).filter(|_| fresh) {
                return Ok(Some(self.cut(end)));
            }
            self.scanned = self.pending.len();
            if self.input.ended {
                return Ok(self.rest());
            }
            if self.pending.len() >= MAX_RECORD_BYTES {
                return Err(io::Error::other(format!(
                    "line {} is longer than 256 MiB: is a line end or a closing quote missing?",
                    self.line
                )));
            }
            self.wait()?;
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let at_start = self.offset == 0;
        self.input.ended = !read_some(&mut self.input.read, &mut self.pending)?;
        if at_start && self.pending.starts_with(BOM) {
            self.pending.drain(..BOM.len());
            self.offset = BOM.len() as u64;
        }
        Ok(())
    }

    fn rest(&mut self) -> Option<Block> {
        (!self.pending.is_empty()).then(|| self.cut(self.pending.len()))
    }

    fn cut(&mut self, end: usize) -> Block {
        let rest = self.pending.split_off(end);
        let block = Block {
            offset: self.offset,
            line: self.line,
            bytes: std::mem::replace(&mut self.pending, rest),
        };
        self.scanned = 0;
        self.offset = block.end();
        self.line += count_lines(&block.bytes) as u64;
        block
    }
}
