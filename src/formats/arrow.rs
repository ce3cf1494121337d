//! Arrow IPC record batches, of files and of streams.

use super::OnError;
use super::decode::{Decoded, Wanted};
use super::typed::{Fit, table_columns};
use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::{FileReader, StreamReader};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The first bytes of the file format; a stream begins with its first message.
const FILE_MAGIC: &[u8; 6] = b"ARROW1";

/// What stands before the length of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The length of the footer and the magic word, in bytes: the end of the file format.
const FOOTER_END_BYTES: i64 = 10;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 256 << 10;

/// What a file is read through.
pub trait Input: Read + Seek + Send {}

impl<T: Read + Seek + Send> Input for T {}

type Bytes = BufReader<Box<dyn Input>>;

/// The record batches of one file, in order, as rows of the table.
pub struct ArrowReader {
    batches: Batches,
    fit: Fit,
    /// Of the next record batch.
    index: u64,
}

enum Batches {
    /// With a footer that knows the place of each batch.
    File(Box<FileReader<Bytes>>),
    /// One message after the other.
    Stream(Box<StreamReader<Bytes>>),
}

impl ArrowReader {
    /// Opens a file for the wanted columns; others are not decoded. `open` gives its bytes, from the beginning.
    ///
    /// Errors: it is no Arrow file; a declared column is not in it.
    pub fn open(
        open: &dyn Fn() -> Box<dyn Input>,
        wanted: &Wanted,
        on_error: OnError,
        source: &str,
    ) -> Result<ArrowReader> {
        let schema = Batches::open(open(), None, source)?.schema();
        let fit = Fit::new(&schema, wanted, on_error, source)?;
        Ok(ArrowReader {
            batches: Batches::open(open(), Some(fit.roots().to_vec()), source)?,
            fit,
            index: 0,
        })
    }

    /// The number of the record batch that comes next, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Goes on with the record batch of that number, which must not lie behind.
    ///
    /// Errors: the file ends before it, or cannot be read.
    pub fn skip_to(&mut self, index: u64) -> Result<()> {
        let gone = || Error::connector(format!("{} has fewer record batches than it had", self.fit.source()));
        if let Batches::File(reader) = &mut self.batches {
            let place = usize::try_from(index).unwrap_or(usize::MAX);
            reader.set_index(place).map_err(|e| gone().because(e))?;
            self.index = index;
        }
        while self.index < index {
            if self.batch()?.is_none() {
                return Err(Error::connector(format!(
                    "{} has fewer record batches than it had",
                    self.fit.source()
                )));
            }
        }
        Ok(())
    }

    /// The rows of the next record batch; `None` at the end.
    ///
    /// Errors: the file is broken, or a value does not fit the declared type.
    pub fn next_rows(&mut self) -> Result<Option<Decoded>> {
        let index = self.index;
        let Some(batch) = self.batch()? else {
            return Ok(None);
        };
        let place = |row| format!("row {row} of record batch {index}");
        self.fit.rows(batch.columns(), batch.num_rows(), &place).map(Some)
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let index = self.index;
        let batch = self.batches.next().transpose().map_err(|e| {
            let source = self.fit.source();
            let what = match &e {
                ArrowError::IoError(_, io) if io.kind() == io::ErrorKind::UnexpectedEof => "the file is cut",
                _ => "it is damaged",
            };
            Error::connector(format!("{source}: record batch {index} cannot be read: {what}")).because(e)
        })?;
        self.index += u64::from(batch.is_some());
        Ok(batch)
    }
}

impl Batches {
    /// `columns`: the places of those that are wanted; all of them when absent.
    fn open(mut input: Box<dyn Input>, columns: Option<Vec<usize>>, source: &str) -> Result<Batches> {
        let broken = || Error::connector(format!("{source} is not a readable Arrow file"));
        let mut magic = [0; FILE_MAGIC.len()];
        let is_file = match input.read_exact(&mut magic) {
            Ok(()) => &magic == FILE_MAGIC,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(broken().because(e)),
            Err(e) => return Err(Error::connector(format!("{source}: {e}")).because(e)),
        };
        if !fits(input.as_mut(), is_file).map_err(|e| broken().because(e))? {
            return Err(broken());
        }
        input.rewind().map_err(|e| broken().because(e))?;
        let input = BufReader::with_capacity(READ_BYTES, input);
        // A damaged footer can make the library panic.
        let opened = catch_unwind(AssertUnwindSafe(|| match is_file {
            true => FileReader::try_new(input, columns).map(|reader| Batches::File(Box::new(reader))),
            false => StreamReader::try_new(input, columns).map(|reader| Batches::Stream(Box::new(reader))),
        }));
        match opened {
            Ok(batches) => batches.map_err(|e| broken().because(e)),
            Err(_) => Err(broken()),
        }
    }

    fn schema(&self) -> SchemaRef {
        match self {
            Batches::File(reader) => reader.schema(),
            Batches::Stream(reader) => reader.schema(),
        }
    }

    fn next(&mut self) -> Option<Result<RecordBatch, ArrowError>> {
        match self {
            Batches::File(reader) => reader.next(),
            Batches::Stream(reader) => reader.next(),
        }
    }
}

/// Whether the bytes hold what is read of them first, the footer of a file or the first message of a stream, which the
/// library makes room for before it looks.
fn fits(input: &mut dyn Input, is_file: bool) -> io::Result<bool> {
    let bytes = input.seek(SeekFrom::End(0))?;
    let mut number_at = |at: SeekFrom| -> io::Result<[u8; 4]> {
        let mut number = [0; 4];
        input.seek(at)?;
        input.read_exact(&mut number)?;
        Ok(number)
    };
    let length = match is_file {
        true => number_at(SeekFrom::End(-FOOTER_END_BYTES))?,
        // Streams of old begin with the length.
        false => match number_at(SeekFrom::Start(0))? {
            CONTINUATION => number_at(SeekFrom::Start(4))?,
            length => length,
        },
    };
    Ok(u64::try_from(i32::from_le_bytes(length)).is_ok_and(|length| length < bytes))
}

/// The columns of a file as those of a table.
///
/// Errors: it is no Arrow file.
pub fn columns(input: Box<dyn Input>, source: &str) -> Result<SchemaRef> {
    Ok(table_columns(Batches::open(input, None, source)?.schema().fields()))
}
