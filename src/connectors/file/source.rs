//! Reading tables that are files.

use super::batches::{self, ArrowLanes};
use super::bytes::KnownFile;
use super::folders::Folders;
use super::groups::{self, GroupLanes};
use super::locate::{locate, path_of};
use super::text::{self, TextLanes};
use crate::connectors::prefetch::{Allowance, Front, Lane, Lanes, Prefetch, Weighed};
use crate::connectors::{Bell, Chunk, Next, Offset, Source, Split, SplitReader, Splits, Workers};
use crate::dstream::table::TableSpec;
use crate::error::{Error, Kind, Result};
use crate::formats::{BadRecord, Compression, Decoded, Format, OnError, Packing, Pruning, Wanted};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// Bits of [`Offset::block`] that are the place within a file; those above are the file's index in an ordered split.
const PLACE_BITS: u32 = 44;

/// The beginning of a block: a byte offset or a row group, in one of the split's files.
pub fn place(file: usize, within: u64) -> Offset {
    Offset {
        block: (file as u64) << PLACE_BITS | within,
        row: 0,
    }
}

/// The file's index in its split.
pub fn file_of(offset: Offset) -> usize {
    unplace(offset).0
}

/// The file's index in its split, and the offset within that file.
fn unplace(offset: Offset) -> (usize, Offset) {
    let within = offset.block & ((1 << PLACE_BITS) - 1);
    let file = usize::try_from(offset.block >> PLACE_BITS).unwrap_or(usize::MAX);
    (
        file,
        Offset {
            block: within,
            row: offset.row,
        },
    )
}

/// How the files of a table are read for some columns.
pub struct Reading {
    pub format: Format,
    pub packing: Packing,
    pub on_error: OnError,
    pub wanted: Wanted,
    pub pruning: Option<Pruning>,
    pub folders: Folders,
}

impl Reading {
    /// As [`passed_over`], at a place.
    pub fn passed_over(&self, file: &KnownFile, at: Offset, error: Error) -> Result<Piece> {
        let schema = self.wanted_of(file).projected();
        Ok(Piece {
            from: at,
            to: at,
            decoded: passed_over(self.on_error, schema, &file.name, error)?,
            passed: None,
        })
    }

    /// Whether no row of a file is asked for, as its folders tell, and nothing that may be wrong in it would be found.
    pub fn leaves_out(&self, file: &KnownFile) -> bool {
        let Some(pruning) = &self.pruning else { return false };
        let constants = self.folders.constants(&file.path);
        self.wanted_of(file).never_null().is_empty()
            && constants.is_some_and(|constants| pruning.leaves_out(&constants))
    }

    /// What is wanted of a file itself.
    pub fn wanted_of(&self, file: &KnownFile) -> Wanted {
        self.folders.own(&self.wanted, &file.path)
    }
}

/// Decoded rows and where they stand.
#[derive(Debug)]
pub struct Piece {
    pub from: Offset,
    /// Where reading goes on. After a block that stopped at a bad record: the next block, which nobody will ask for.
    pub to: Offset,
    pub decoded: Decoded,
    /// As [`Chunk::passed`].
    pub passed: Option<i64>,
}

impl Weighed for Piece {
    fn bytes(&self) -> usize {
        self.decoded.batch.get_array_memory_size()
    }
}

/// What is given for a file that cannot be read, or read on: one bad record.
///
/// Errors: such a file is the end.
pub fn passed_over(on_error: OnError, schema: SchemaRef, name: &str, error: Error) -> Result<Decoded> {
    if on_error == OnError::Fail || !matches!(error.kind, Kind::Connector | Kind::Data) {
        return Err(error);
    }
    let message = error
        .message
        .strip_prefix(name)
        .map(|rest| rest.trim_start_matches([':', ' ']));
    Ok(Decoded {
        bad: vec![BadRecord {
            split: name.into(),
            byte_offset: 0,
            line: 0,
            message: message.unwrap_or(&error.message).to_string(),
            bytes: Vec::new(),
        }],
        ..Decoded::from(RecordBatch::new_empty(schema))
    })
}

/// One file, the files of a directory, or those that a glob matches, as they were when the table was opened.
#[derive(Clone)]
pub struct FileSource {
    files: Vec<KnownFile>,
    /// All files are one split, in name order.
    ordered: bool,
    path: String,
    format: Format,
    packing: Packing,
    on_error: OnError,
    schema: SchemaRef,
    key: Vec<usize>,
    keeps_text: bool,
    pruning: Option<Pruning>,
    folders: Folders,
    workers: Workers,
    allowance: Allowance,
}

impl FileSource {
    /// Finds the files; reads nothing yet.
    ///
    /// Errors: there is no such file; an option has a value that it cannot have.
    pub fn open(spec: &TableSpec, workers: &Workers) -> Result<Self> {
        let path = path_of(spec)?;
        let ordered = match spec.options.get("splits").map(String::as_str) {
            None | Some("file") => false,
            Some("ordered") => true,
            Some(other) => return Err(Error::refused(format!("splits = '{other}': it is file or ordered"))),
        };
        let (files, format, packing) = locate(spec)?;
        Ok(FileSource {
            files,
            ordered,
            path: path.to_string(),
            format,
            packing,
            on_error: OnError::of(spec)?,
            schema: spec.physical_schema(),
            key: spec.physical_key(),
            keeps_text: spec.asks_for_text(),
            pruning: None,
            folders: Folders::of(spec)?,
            workers: workers.clone(),
            allowance: Allowance::new(workers),
        })
    }

    pub fn files(&self) -> &[KnownFile] {
        &self.files
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the lines of the file of that name can be read while it grows.
    pub fn is_plain_text(&self, name: &str) -> bool {
        !self.format.is_binary() && self.packing.of_file(name) == Compression::None
    }

    /// How the files are read for some columns.
    pub fn reading(&self, columns: &[usize]) -> Reading {
        Reading {
            format: self.format.clone(),
            packing: self.packing,
            on_error: self.on_error,
            wanted: Wanted {
                schema: self.schema.clone(),
                columns: columns.to_vec(),
                key: self.key.clone(),
                text: self.keeps_text,
            },
            pruning: self.pruning.clone(),
            folders: self.folders.clone(),
        }
    }

    fn files_of(&self, split: &Split) -> Result<&[KnownFile]> {
        let at = split.id as usize;
        let range = if self.ordered && at == 0 {
            0..self.files.len()
        } else {
            at..at + 1
        };
        self.files
            .get(range)
            .ok_or_else(|| Error::internal(format!("{} has no split {at}", self.path)))
    }
}

impl Source for FileSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn bounded(&self) -> bool {
        true
    }

    fn replayable(&self) -> bool {
        true
    }

    fn is_ordered(&self) -> bool {
        self.ordered && self.files.len() > 1
    }

    fn splits(&self) -> Result<Splits> {
        let names: Vec<&str> = if self.ordered {
            vec![&self.path]
        } else {
            self.files.iter().map(|f| f.name.as_str()).collect()
        };
        let split = |(id, name): (u32, &str)| Split {
            id,
            name: name.to_string(),
        };
        Ok(Splits {
            known: (0..).zip(names).map(split).collect(),
            more: false,
        })
    }

    fn open(&self, split: &Split, columns: &[usize], bell: Bell) -> Result<Box<dyn SplitReader>> {
        Ok(self.lanes(self.files_of(split)?.to_vec(), columns, bell))
    }

    fn pruned(&self, pruning: Pruning) -> Option<Arc<dyn Source>> {
        let pruned = FileSource {
            pruning: Some(pruning),
            ..self.clone()
        };
        (self.format == Format::Parquet).then(|| Arc::new(pruned) as Arc<dyn Source>)
    }

    fn reread(
        &self,
        split: &Split,
        from: Offset,
        _to: Offset,
        rows: usize,
        columns: &[usize],
    ) -> Result<Vec<RecordBatch>> {
        let reading = self.reading(columns);
        let (first, mut from) = unplace(from);
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut left = rows;
        for file in self.files_of(split)?.iter().skip(first) {
            if left == 0 {
                break;
            }
            let again = match self.format {
                Format::Parquet => groups::reread(&reading, file, from, left)?,
                Format::Arrow => batches::reread(&reading, file, from, left)?,
                _ => text::reread(&reading, file, from, left)?,
            };
            left -= again.iter().map(RecordBatch::num_rows).sum::<usize>();
            batches.extend(again);
            from = Offset::default();
        }
        if left > 0 {
            return Err(Error::connector(format!("{} has fewer rows than it had", split.name)));
        }
        Ok(batches)
    }
}

impl FileSource {
    /// A reader of one file that is complete.
    pub fn whole(&self, file: KnownFile, columns: &[usize], bell: Bell) -> Box<dyn SplitReader> {
        self.lanes(vec![file], columns, bell)
    }

    fn lanes(&self, files: Vec<KnownFile>, columns: &[usize], bell: Bell) -> Box<dyn SplitReader> {
        let reading = Arc::new(self.reading(columns));
        match self.format {
            Format::Parquet => self.reader(GroupLanes::new(reading, files), bell),
            Format::Arrow => self.reader(ArrowLanes::new(reading, files), bell),
            _ => self.reader(TextLanes::new(reading, files), bell),
        }
    }

    fn reader<L>(&self, lanes: L, bell: Bell) -> Box<dyn SplitReader>
    where
        L: Lanes + 'static,
        L::Lane: Lane<Item = Piece>,
    {
        Box::new(FileReader {
            pieces: Prefetch::new(lanes, self.workers.clone(), self.allowance.clone(), bell),
            stop: None,
        })
    }
}

struct FileReader<L: Lanes + 'static> {
    pieces: Prefetch<L>,
    /// The error that comes after the rows that have been given.
    stop: Option<Error>,
}

impl<L> SplitReader for FileReader<L>
where
    L: Lanes + 'static,
    L::Lane: Lane<Item = Piece>,
{
    fn next(&mut self) -> Result<Next> {
        if let Some(error) = self.stop.take() {
            return Err(error);
        }
        let piece = match self.pieces.next()? {
            Front::Item(piece) => piece,
            Front::Pending => return Ok(Next::Pending),
            Front::Ended => return Ok(Next::Ended),
        };
        let mut decoded = piece.decoded;
        self.stop = decoded.stop.take();
        if decoded.batch.num_rows() == 0
            && decoded.bad.is_empty()
            && let Some(error) = self.stop.take()
        {
            return Err(error);
        }
        Ok(Next::Chunk(Chunk {
            passed: piece.passed,
            ..Chunk::of(decoded, piece.from, piece.to)
        }))
    }
}
