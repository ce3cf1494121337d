//! Arrow files as lanes: each file is one, given in its record batches.

use super::bytes::KnownFile;
use super::source::{Piece, Reading, place};
use crate::connectors::Offset;
use crate::connectors::prefetch::{Lane, Lanes};
use crate::error::Result;
use crate::formats::arrow::{ArrowReader, Input};
use datafusion::arrow::array::RecordBatch;
use std::sync::Arc;

/// Some files, one after the other.
pub struct ArrowLanes {
    reading: Arc<Reading>,
    files: Vec<KnownFile>,
    /// The file that comes next.
    next: usize,
}

impl ArrowLanes {
    pub fn new(reading: Arc<Reading>, files: Vec<KnownFile>) -> Self {
        ArrowLanes {
            reading,
            files,
            next: 0,
        }
    }
}

impl Lanes for ArrowLanes {
    type Lane = ArrowLane;

    fn open(&mut self) -> Result<Option<ArrowLane>> {
        let index = self.next;
        self.next += 1;
        Ok(self.files.get(index).map(|file| ArrowLane {
            reading: self.reading.clone(),
            index,
            file: file.clone(),
            reader: None,
            ended: false,
        }))
    }
}

/// One file.
pub struct ArrowLane {
    reading: Arc<Reading>,
    index: usize,
    file: KnownFile,
    reader: Option<ArrowReader>,
    /// It cannot be read on.
    ended: bool,
}

impl Lane for ArrowLane {
    type Item = Piece;

    fn step(&mut self) -> Result<Option<Piece>> {
        if self.ended {
            return Ok(None);
        }
        self.rows().or_else(|error| {
            self.ended = true;
            let at = place(self.index, self.reader.as_ref().map_or(0, ArrowReader::index));
            self.reading.passed_over(&self.file, at, error).map(Some)
        })
    }
}

impl ArrowLane {
    fn rows(&mut self) -> Result<Option<Piece>> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(open_file(&self.reading, &self.file)?),
        };
        let from = place(self.index, reader.index());
        let Some(decoded) = reader.next_rows()? else {
            return Ok(None);
        };
        Ok(Some(Piece {
            from,
            to: place(self.index, reader.index()),
            decoded,
            passed: None,
        }))
    }
}

pub fn open_file(reading: &Reading, file: &KnownFile) -> Result<ArrowReader> {
    let open = || Box::new(file.read_from(0)) as Box<dyn Input>;
    ArrowReader::open(&open, &reading.wanted_of(file), reading.on_error, &file.name)
}

/// The rows from `from` (of the file `file`) on, at most `rows` of them.
///
/// Errors: as when the file was read first.
pub fn reread(reading: &Reading, file: &KnownFile, from: Offset, rows: usize) -> Result<Vec<RecordBatch>> {
    let mut reader = open_file(reading, file)?;
    if from.block > 0 {
        reader.skip_to(from.block)?;
    }
    let mut batches = Vec::new();
    let mut left = rows;
    let mut skip = usize::try_from(from.row).unwrap_or(usize::MAX);
    while left > 0 {
        let Some(decoded) = reader.next_rows()? else {
            break;
        };
        let passed = skip.min(decoded.batch.num_rows());
        // Rows are counted within their batch.
        skip = 0;
        let taken = left.min(decoded.batch.num_rows() - passed);
        left -= taken;
        if taken > 0 {
            batches.push(decoded.batch.slice(passed, taken));
        }
        if let Some(error) = decoded.stop.filter(|_| left > 0) {
            return Err(error);
        }
    }
    Ok(batches)
}
