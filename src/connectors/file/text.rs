//! Text files as lanes: each block is one.

use super::bytes::{KnownFile, PlainBytes};
use super::source::{Piece, Reading, place};
use crate::connectors::Offset;
use crate::connectors::prefetch::{Lane, Lanes};
use crate::error::{Error, Result};
use crate::formats::{Block, BlockReader, Compression, Decoded, RowDecoder};
use datafusion::arrow::array::RecordBatch;
use std::io;
use std::sync::Arc;

/// The blocks of some files, one file after the other.
pub struct TextLanes {
    reading: Arc<Reading>,
    files: Vec<KnownFile>,
    /// The file that comes after the one that is open.
    next: usize,
    open: Option<(BlockReader, Arc<RowDecoder>)>,
}

impl TextLanes {
    pub fn new(reading: Arc<Reading>, files: Vec<KnownFile>) -> Self {
        TextLanes {
            reading,
            files,
            next: 0,
            open: None,
        }
    }
}

impl Lanes for TextLanes {
    type Lane = BlockLane;

    fn open(&mut self) -> Result<Option<BlockLane>> {
        loop {
            if self.open.is_none() && self.next < self.files.len() {
                self.next += 1;
                if let Err(error) = self.open_next() {
                    return self.passed_over(0, error).map(Some);
                }
            }
            let Some((blocks, decoder)) = &mut self.open else {
                return Ok(None);
            };
            let file = self.next - 1;
            match blocks.next_block().map_err(|e| unreadable(&self.files[file], e)) {
                Ok(Some(block)) => return Ok(Some(BlockLane::Rows(file, decoder.clone(), block))),
                Ok(None) => self.open = None,
                Err(error) => {
                    let at = blocks.offset();
                    self.open = None;
                    return self.passed_over(at, error).map(Some);
                }
            }
        }
    }
}

impl TextLanes {
    fn open_next(&mut self) -> Result<()> {
        self.open = Some(open_file(&self.reading, &self.files[self.next - 1])?);
        Ok(())
    }

    /// The news that a file cannot be read from a place on.
    fn passed_over(&self, at: u64, error: Error) -> Result<BlockLane> {
        let file = self.next - 1;
        let piece = self.reading.passed_over(&self.files[file], place(file, at), error)?;
        Ok(BlockLane::Given(piece))
    }
}

/// One block of a file.
pub enum BlockLane {
    /// To be decoded.
    Rows(usize, Arc<RowDecoder>, Block),
    Given(Piece),
    Done,
}

impl Lane for BlockLane {
    type Item = Piece;

    fn step(&mut self) -> Result<Option<Piece>> {
        Ok(match std::mem::replace(self, BlockLane::Done) {
            BlockLane::Rows(file, decoder, block) => Some(Piece {
                from: place(file, block.offset),
                to: place(file, block.end()),
                decoded: decoder.decode_block(&block),
                passed: None,
            }),
            BlockLane::Given(piece) => Some(piece),
            BlockLane::Done => None,
        })
    }
}

/// Opens a file before its first row: the header, if there is one, is taken off.
pub fn open_file(reading: &Reading, file: &KnownFile) -> Result<(BlockReader, Arc<RowDecoder>)> {
    let input = file
        .read(reading.packing.of_file(&file.name))
        .map_err(|e| unreadable(file, e))?;
    let mut blocks = BlockReader::new(input, reading.format.rule());
    blocks
        .skip_lines(reading.format.skip_lines())
        .map_err(|e| unreadable(file, e))?;
    let mut header = None;
    if reading.format.has_header() {
        header = blocks.take_record().map_err(|e| unreadable(file, e))?;
    }
    let decoder = RowDecoder::new(
        &reading.format,
        &reading.wanted_of(file),
        header.as_deref(),
        reading.on_error,
        file.name.as_str(),
    )?;
    Ok((blocks, Arc::new(decoder)))
}

/// The rows from `from` (of the file `file`) on, at most `rows` of them; those that are left go to the next file.
///
/// Errors: as when the file was read first.
pub fn reread(reading: &Reading, file: &KnownFile, from: Offset, rows: usize) -> Result<Vec<RecordBatch>> {
    let (mut blocks, decoder) = open_file(reading, file)?;
    if reading.packing.of_file(&file.name) == Compression::None && from.block > 0 {
        blocks = BlockReader::resume(
            Box::new(PlainBytes(file.read_from(from.block))),
            reading.format.rule(),
            from.block,
        );
    }
    let mut batches = Vec::new();
    let mut left = rows;
    while left > 0 {
        let Some(block) = blocks.next_block().map_err(|e| unreadable(file, e))? else {
            break;
        };
        if block.offset < from.block {
            continue;
        }
        let Decoded { batch, stop, .. } = decoder.decode_block(&block);
        let skip = if block.offset == from.block || batches.is_empty() && from.block == 0 {
            from.row
        } else {
            0
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(batch.num_rows());
        let taken = left.min(batch.num_rows() - skip);
        left -= taken;
        if taken > 0 {
            batches.push(batch.slice(skip, taken));
        }
        if let Some(error) = stop.filter(|_| left > 0) {
            return Err(error);
        }
    }
    Ok(batches)
}

pub fn unreadable(file: &KnownFile, error: io::Error) -> Error {
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the packed data ends too early: the file is cut".to_string(),
        _ => error.to_string(),
    };
    Error::connector(format!("{}: {what}", file.name)).because(error)
}
