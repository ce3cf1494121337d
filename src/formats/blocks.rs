//! Blocks: runs of whole records of about 1 MiB, cut by the bytes alone.

use super::BOM;
use super::records::{Rule, Scan, count_lines, is_blank, last_end};
use super::words::thousands;
use std::io::{self, Read};

/// The size at which a block is cut: large enough that decoding it hides the cost of starting, small enough that the
/// few blocks read ahead stay small.
const BLOCK_BYTES: usize = 1 << 20;

/// The longest record, in bytes: beyond it a missing line end or quote is more likely than a record.
pub const MAX_RECORD_BYTES: usize = 256 << 20;

/// Whole records (the last of a stream may lack its line feed) and where they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// Of the first byte, in the unpacked stream.
    pub offset: u64,
    /// The number of the first line, counted from 1.
    pub line: u64,
    pub bytes: Vec<u8>,
    /// The stream ends behind it: its last record may be broken off.
    pub is_last: bool,
}

impl Block {
    /// The offset of the byte after the block.
    pub fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// Bytes of a stream that have been read and not been given out yet, and where they stand.
pub struct Pending {
    pub bytes: Vec<u8>,
    /// Of the first of them.
    pub offset: u64,
    /// Its line, counted from 1.
    pub line: u64,
}

impl Pending {
    /// Nothing yet, at some offset of a stream.
    pub fn at(offset: u64) -> Self {
        Pending {
            bytes: Vec::new(),
            offset,
            line: 1,
        }
    }

    /// Leaves out a byte order mark at the beginning of the stream.
    ///
    /// Errors: it is that of UTF-16 or UTF-32, which nobody here reads.
    pub fn skip_mark(&mut self) -> io::Result<()> {
        if self.offset > 0 {
            return Ok(());
        }
        if self.bytes.starts_with(b"\xff\xfe") || self.bytes.starts_with(b"\xfe\xff") {
            let message = "the text is UTF-16 and not UTF-8: convert it first, as in `iconv -f UTF-16 -t UTF-8`";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        if self.bytes.starts_with(BOM) {
            self.bytes.drain(..BOM.len());
            self.offset = BOM.len() as u64;
        }
        Ok(())
    }

    /// Gives out the first `end` bytes.
    pub fn cut(&mut self, end: usize) -> Block {
        let rest = self.bytes.split_off(end);
        let block = Block {
            offset: self.offset,
            line: self.line,
            bytes: std::mem::replace(&mut self.bytes, rest),
            is_last: false,
        };
        self.offset = block.end();
        self.line += count_lines(&block.bytes) as u64;
        block
    }

    /// Gives out what is left at the end of the stream, if there is anything.
    pub fn cut_last(&mut self) -> Option<Block> {
        let block = self.cut(self.bytes.len());
        (!block.bytes.is_empty()).then_some(Block { is_last: true, ..block })
    }
}

/// Where the bytes of a stream come from.
pub trait Bytes: Send {
    /// Appends so many bytes and tells how many they were: fewer at the end of the stream only.
    ///
    /// Errors: the stream cannot be read; what was read before that is appended.
    fn append(&mut self, bytes: usize, to: &mut Vec<u8>) -> io::Result<usize>;
}

impl<R: Read + Send> Bytes for R {
    fn append(&mut self, bytes: usize, to: &mut Vec<u8>) -> io::Result<usize> {
        self.take(bytes as u64).read_to_end(to)
    }
}

/// Cuts a byte stream into [`Block`]s. The cuts depend on the bytes only, not on how they arrive.
pub struct BlockReader {
    /// `None` once everything has been read: the source's handles are free then.
    input: Option<Box<dyn Bytes>>,
    /// What went wrong while reading ahead: told when the whole records before it have been given.
    failed: Option<io::Error>,
    rule: Rule,
    block_bytes: usize,
    pending: Pending,
}

impl BlockReader {
    /// Reads a stream from its beginning; a byte order mark there is left out.
    pub fn new(input: Box<dyn Bytes>, rule: Rule) -> Self {
        BlockReader {
            input: Some(input),
            failed: None,
            rule,
            block_bytes: BLOCK_BYTES,
            pending: Pending::at(0),
        }
    }

    /// Goes on at a block's beginning that an earlier reader told. Line numbers then count from there.
    pub fn resume(input: Box<dyn Bytes>, rule: Rule, offset: u64) -> Self {
        BlockReader {
            pending: Pending::at(offset),
            ..BlockReader::new(input, rule)
        }
    }

    /// The same with another block size, in bytes.
    #[cfg(test)]
    pub fn with_block_bytes(mut self, block_bytes: usize) -> Self {
        self.block_bytes = block_bytes;
        self
    }

    /// Where the block begins that comes next, in the unpacked stream.
    pub fn offset(&self) -> u64 {
        self.pending.offset
    }

    /// Passes over so many lines.
    ///
    /// Errors: the stream cannot be read.
    pub fn skip_lines(&mut self, lines: u64) -> io::Result<()> {
        for _ in 0..lines {
            self.fill(self.block_bytes);
            self.pending.skip_mark()?;
            let end = self.first_end(&mut Scan::new(Rule::ANY_LINE))?;
            match end.unwrap_or(self.pending.bytes.len()) {
                0 => break,
                end => drop(self.pending.cut(end)),
            }
        }
        Ok(())
    }

    /// Takes the first record off the stream, as for a CSV header; blank ones and comments before it are passed over.
    /// `None`: the stream is empty.
    ///
    /// Errors: the stream cannot be read.
    pub fn take_record(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.fill(self.block_bytes);
        self.pending.skip_mark()?;
        loop {
            let mut scan = Scan::new(self.rule);
            let end = match self.first_end(&mut scan)? {
                Some(end) => end,
                None => self.pending.bytes.len(),
            };
            if end == 0 {
                return self.failed.take().map_or(Ok(None), Err);
            }
            let record = self.pending.cut(end).bytes;
            if !is_blank(self.rule, &record) {
                return Ok(Some(record));
            }
        }
    }

    /// The next block; `None` at the end of the stream.
    ///
    /// Errors: the stream cannot be read (all whole records before that place have been given by then); a record is
    /// longer than 256 MiB.
    pub fn next_block(&mut self) -> io::Result<Option<Block>> {
        self.fill(self.block_bytes);
        self.pending.skip_mark()?;
        let window = self.block_bytes.min(self.pending.bytes.len());
        if self.input.is_none() && self.failed.is_none() && window == self.pending.bytes.len() {
            return Ok(self.pending.cut_last());
        }
        let mut end = last_end(self.rule, &self.pending.bytes[..window]);
        if end.is_none() {
            let mut scan = Scan::new(self.rule);
            end = self.first_end(&mut scan)?;
        }
        match (end, self.failed.take()) {
            (Some(end), failed) => {
                self.failed = failed;
                Ok(Some(self.pending.cut(end)))
            }
            (None, Some(failed)) => {
                self.pending.bytes.clear();
                Err(failed)
            }
            (None, None) => Ok(self.pending.cut_last()),
        }
    }

    /// The end of the first record, reading as far as it takes. `None`: the stream ends (or fails) before.
    fn first_end(&mut self, scan: &mut Scan) -> io::Result<Option<usize>> {
        loop {
            if let Some(end) = scan.next_end(&self.pending.bytes) {
                return Ok(Some(end));
            }
            if self.input.is_none() {
                return Ok(None);
            }
            if self.pending.bytes.len() >= MAX_RECORD_BYTES {
                self.input = None;
                let place = thousands(self.pending.offset);
                let message = format!(
                    "line {} (byte {place}) is longer than 256 MiB: is a line end or a closing quote missing?",
                    self.pending.line
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            let more = (self.pending.bytes.len() * 2).max(self.block_bytes);
            self.fill(more.min(MAX_RECORD_BYTES));
        }
    }

    /// Reads until `wanted` bytes are pending, enough for a byte order mark at least, or the input has ended or failed.
    fn fill(&mut self, wanted: usize) {
        let missing = wanted.max(BOM.len()).saturating_sub(self.pending.bytes.len());
        let Some(input) = self.input.as_mut().filter(|_| missing > 0) else {
            return;
        };
        self.pending.bytes.reserve_exact(missing);
        match input.append(missing, &mut self.pending.bytes) {
            Ok(read) if read == missing => {}
            Ok(_) => self.input = None,
            Err(error) => {
                self.input = None;
                self.failed = Some(error);
            }
        }
    }
}
