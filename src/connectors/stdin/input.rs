//! A byte stream whose first lines can be looked at before it is read.

use super::unreadable;
use crate::error::Result;
use crate::formats::{BOM, BlockReader, Format, count_lines, infer_text, json_columns};
use datafusion::arrow::datatypes::SchemaRef;
use std::io::{self, Read};

/// How much is asked for at once, in bytes: what a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// What an undeclared standard input holds.
#[derive(Debug, Clone)]
pub struct Sniffed {
    /// A value for the option `format`.
    pub format: &'static str,
    pub schema: SchemaRef,
}

/// A byte stream of which the beginning may have been looked at.
pub struct Input {
    pub head: Vec<u8>,
    pub ended: bool,
    pub read: Box<dyn Read + Send>,
}

impl Input {
    pub fn new(read: Box<dyn Read + Send>) -> Self {
        Input {
            head: Vec::new(),
            ended: false,
            read,
        }
    }

    /// As [`sniff`].
    pub fn sniff(&mut self) -> Result<Sniffed> {
        loop {
            let first = self.text().iter().position(|b| !b.is_ascii_whitespace());
            match first.map(|at| (self.text()[at], self.text()[at..].contains(&b'\n'))) {
                Some((b'{', whole)) if whole || self.ended => {
                    return Ok(Sniffed {
                        format: "json",
                        schema: json_columns(self.whole_lines(), "stdin")?,
                    });
                }
                Some((b'{', _)) => {}
                None if !self.ended => {}
                _ => {
                    return Ok(Sniffed {
                        format: "text",
                        schema: self.columns(&Format::Text)?,
                    });
                }
            }
            self.look_further()?;
        }
    }

    /// The columns, from the first lines: those that have come together with the first row.
    pub fn columns(&mut self, format: &Format) -> Result<SchemaRef> {
        let wanted = if format == &Format::Text {
            0
        } else {
            let skipped = usize::try_from(format.skip_lines()).unwrap_or(usize::MAX);
            skipped.saturating_add(1 + usize::from(format.has_header()))
        };
        while !self.ended && count_lines(&self.head) < wanted {
            self.look_further()?;
        }
        let sample = io::Cursor::new(self.whole_lines().to_vec());
        infer_text(format, &mut BlockReader::new(Box::new(sample), format.rule()), "stdin")
    }

    pub fn text(&self) -> &[u8] {
        self.head.strip_prefix(BOM).unwrap_or(&self.head)
    }

    fn whole_lines(&self) -> &[u8] {
        let text = self.text();
        let end = text.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        if self.ended || end == 0 { text } else { &text[..end] }
    }

    fn look_further(&mut self) -> Result<()> {
        self.ended = !read_some(&mut self.read, &mut self.head).map_err(unreadable)?;
        Ok(())
    }
}

/// Appends what has arrived, waiting for at least a byte; false at the end.
pub fn read_some(read: &mut dyn Read, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let filled = bytes.len();
    bytes.resize(filled + READ_BYTES, 0);
    let result = loop {
        match read.read(&mut bytes[filled..]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => break other,
        }
    };
    bytes.truncate(filled + *result.as_ref().unwrap_or(&0));
    result.map(|count| count > 0)
}
