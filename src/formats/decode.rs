//! Blocks of text to rows, and the bad records among them.

use super::block_text::{BlockText, without_end};
use super::blocks::Block;
use super::csv::{self, CsvCodec};
use super::json::{self, JsonCodec};
use super::records::{Rule, count_lines, records};
use super::{Format, OnError, lines, shorten, thousands};
use crate::error::{Error, Result};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use std::borrow::Cow;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A record that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Which stream it stands in, for people: the path of the file, `stdin`.
    pub split: Arc<str>,
    pub byte_offset: u64,
    /// Counted from 1; 0 when the source has no lines.
    pub line: u64,
    pub message: String,
    pub bytes: Vec<u8>,
}

impl BadRecord {
    /// What ends a query under `on_error = 'fail'`.
    pub fn failure(&self) -> Error {
        let place = match self.line {
            0 => self.split.to_string(),
            line => format!("{}:{line} (byte {})", self.split, thousands(self.byte_offset)),
        };
        Error::data(format!("{place}: {}: {}", self.message, shorten(&self.bytes)))
    }
}

/// Which columns of a table are asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// All physical columns of the table.
    pub schema: SchemaRef,
    /// Indices into `schema`, ascending; may be empty.
    pub columns: Vec<usize>,
    /// Indices into `schema` that may not be NULL, though the type allows it (primary key).
    pub key: Vec<usize>,
    /// The text of the rows is asked for too.
    pub text: bool,
}

impl Wanted {
    /// The schema of the batches.
    pub fn projected(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|&i| self.schema.fields()[i].clone());
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The columns of the table, read or not, in which a NULL is a fault of the record.
    pub fn never_null(&self) -> Vec<usize> {
        let all = 0..self.schema.fields().len();
        all.filter(|i| self.is_required(*i)).collect()
    }

    fn is_required(&self, column: usize) -> bool {
        !self.schema.field(column).is_nullable() || self.key.contains(&column)
    }

    /// Places in the batch of the columns in which a NULL is a fault of the record.
    pub fn required(&self) -> Vec<usize> {
        let all = 0..self.columns.len();
        all.filter(|&at| self.is_required(self.columns[at])).collect()
    }
}

/// What a block gave.
#[derive(Debug)]
pub struct Decoded {
    pub batch: RecordBatch,
    pub bad: Vec<BadRecord>,
    /// The first bad record under `on_error = 'fail'`: `batch` holds the rows before it.
    pub stop: Option<Error>,
    /// What the rows were decoded from, if that was asked for and they are text.
    pub text: Option<Arc<BlockText>>,
}

impl From<RecordBatch> for Decoded {
    /// Rows among which no record was bad.
    fn from(batch: RecordBatch) -> Decoded {
        Decoded {
            batch,
            bad: Vec::new(),
            stop: None,
            text: None,
        }
    }
}

/// Decodes blocks of one file or stream: at once when all is well, else record by record.
pub struct RowDecoder {
    codec: Codec,
    schema: SchemaRef,
    required: Vec<usize>,
    on_error: OnError,
    keeps_text: bool,
    /// For messages: the path, `stdin`.
    source: Arc<str>,
}

enum Codec {
    Json(Box<JsonCodec>),
    Csv(CsvCodec),
    Text { wanted: bool },
}

impl RowDecoder {
    /// A decoder for a file whose first record is `header` (for CSV with a header only).
    ///
    /// Errors: a column has a type that the format cannot hold; a column is not in the header.
    pub fn new(
        format: &Format,
        wanted: &Wanted,
        header: Option<&[u8]>,
        on_error: OnError,
        source: impl Into<Arc<str>>,
    ) -> Result<Self> {
        let source = source.into();
        let codec = match format {
            Format::Json(json) => Codec::Json(Box::new(JsonCodec::new(wanted.projected(), json)?)),
            Format::Csv(csv) => Codec::Csv(CsvCodec::new(csv, wanted, header, &source)?),
            Format::Text => {
                lines::check_columns(&wanted.schema)?;
                Codec::Text {
                    wanted: !wanted.columns.is_empty(),
                }
            }
            Format::Parquet | Format::Arrow => {
                return Err(Error::refused("Parquet and Arrow are read from files only"));
            }
        };
        Ok(RowDecoder {
            codec,
            schema: wanted.projected(),
            required: wanted.required(),
            on_error,
            keeps_text: wanted.text,
            source,
        })
    }

    /// The schema of the batches that this decoder gives.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of a block, in order, and its bad records.
    pub fn decode_block(&self, block: &Block) -> Decoded {
        let mut decoded = match self.decode(&block.bytes) {
            Ok(batch) => Decoded::from(batch),
            Err(_) => self.decode_piecewise(block),
        };
        if self.keeps_text {
            let bad = decoded.bad.iter().map(|bad| bad.byte_offset).collect();
            let text = BlockText::new(self.source.clone(), block.clone(), self.rule(), bad);
            decoded.text = Some(Arc::new(text));
        }
        decoded
    }

    /// All rows of some records, or the news that one of them is bad.
    fn decode(&self, bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
        let job = AssertUnwindSafe(|| match &self.codec {
            Codec::Json(json) => json.decode(bytes),
            Codec::Csv(csv) => csv.decode(bytes),
            Codec::Text { wanted } => lines::decode(bytes, *wanted),
        });
        // A record on which a decoder stumbles is a bad record like any other.
        let stumbled = |_| Err(ArrowError::ParseError("the decoder failed".into()));
        let (columns, rows) = catch_unwind(job).unwrap_or_else(stumbled)?;
        if self.required.iter().any(|&i| columns[i].null_count() > 0) {
            return Err(ArrowError::InvalidArgumentError("NULL in a required column".into()));
        }
        batch_of(&self.schema, columns, rows)
    }

    fn decode_piecewise(&self, block: &Block) -> Decoded {
        let found = records(self.rule(), &block.bytes);
        let (mut bad, mut whole): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|record| self.is_broken(&block.bytes[record.clone()]));
        if self.on_error == OnError::Fail {
            bad.truncate(1);
            whole.retain(|record| bad.iter().all(|bad| record.start < bad.start));
        }
        let mut sorted = Sorted::default();
        self.sort(&block.bytes, &whole, &mut sorted);
        bad.append(&mut sorted.bad);
        bad.sort_by_key(|record| record.start);
        let mut decoded = Decoded {
            bad: self.bad_records(block, bad),
            ..Decoded::from(RecordBatch::new_empty(self.schema.clone()))
        };
        match concat_batches(&self.schema, &sorted.good) {
            Ok(batch) => decoded.batch = batch,
            Err(e) => {
                decoded.stop = Some(Error::data(format!("{}: too much text in one block", self.source)).because(e))
            }
        }
        if self.on_error == OnError::Fail {
            let first = decoded.bad.drain(..).next();
            decoded.stop = decoded.stop.or(first.map(|bad| bad.failure()));
        }
        decoded
    }

    /// Sorts records into good and bad, left to right, halving what does not decode as a whole. Stops at the first bad
    /// record when that is the end.
    fn sort(&self, bytes: &[u8], found: &[Range<usize>], sorted: &mut Sorted) {
        let Some(first) = found.first() else {
            return;
        };
        match self.decode(&together(bytes, found)) {
            Ok(batch) => sorted.good.push(batch),
            Err(_) if found.len() > 1 => {
                let (left, right) = found.split_at(found.len() / 2);
                self.sort(bytes, left, sorted);
                if sorted.bad.is_empty() || self.on_error != OnError::Fail {
                    self.sort(bytes, right, sorted);
                }
            }
            Err(_) => sorted.bad.push(first.clone()),
        }
    }

    /// Whether a record is bad whatever its values are.
    fn is_broken(&self, record: &[u8]) -> bool {
        match &self.codec {
            Codec::Csv(csv) => csv.is_broken(record),
            _ => false,
        }
    }

    /// The records of some ranges, in order, as bad ones.
    fn bad_records(&self, block: &Block, ranges: Vec<Range<usize>>) -> Vec<BadRecord> {
        let (mut at, mut line) = (0, block.line);
        let record = |range: Range<usize>| {
            line += count_lines(&block.bytes[at..range.start]) as u64;
            at = range.start;
            self.bad_record(block, range, line)
        };
        ranges.into_iter().map(record).collect()
    }

    fn bad_record(&self, block: &Block, range: Range<usize>, line: u64) -> BadRecord {
        let record = &block.bytes[range.clone()];
        let message = match (std::str::from_utf8(record), &self.codec) {
            (Err(e), _) => format!("byte {} of the line is not UTF-8", e.valid_up_to() + 1),
            (Ok(_), Codec::Json(json)) => json.explain(record, &self.required),
            (Ok(_), Codec::Csv(csv)) => csv.explain(record, &self.required),
            (Ok(_), Codec::Text { .. }) => "the line cannot be read".into(),
        };
        BadRecord {
            split: self.source.clone(),
            byte_offset: block.offset + range.start as u64,
            line,
            message,
            bytes: without_end(record).to_vec(),
        }
    }

    fn rule(&self) -> Rule {
        match &self.codec {
            Codec::Csv(csv) => csv.rule(),
            Codec::Text { .. } => Rule::AllLines,
            Codec::Json(_) => Rule::Lines,
        }
    }
}

/// The bytes of some records, one behind the other.
fn together<'a>(bytes: &'a [u8], records: &[Range<usize>]) -> Cow<'a, [u8]> {
    match records {
        [first, .., last] if records.is_sorted_by(|a, b| a.end == b.start) => {
            Cow::Borrowed(&bytes[first.start..last.end])
        }
        [only] => Cow::Borrowed(&bytes[only.clone()]),
        many => {
            let many: Vec<&[u8]> = many.iter().map(|record| &bytes[record.clone()]).collect();
            Cow::Owned(many.concat())
        }
    }
}

/// The records of a block that did not decode as a whole.
#[derive(Default)]
struct Sorted {
    good: Vec<RecordBatch>,
    bad: Vec<Range<usize>>,
}

/// The columns that a format cannot fill, by name, and why.
pub fn unreadable_columns(format: &Format, schema: &SchemaRef) -> Vec<(String, Error)> {
    let check = match format {
        Format::Json(_) => json::check_type,
        Format::Csv(_) => csv::check_type,
        Format::Text => {
            let wrong = schema.fields().iter().find(|f| f.data_type() != &DataType::Utf8);
            let wrong = wrong.or(schema.fields().get(1)).map_or("", |field| field.name());
            let refused = lines::check_columns(schema).err();
            return refused.into_iter().map(|e| (wrong.to_string(), e)).collect();
        }
        // What a file holds is looked at when it is there.
        Format::Parquet | Format::Arrow => return Vec::new(),
    };
    let wrong = |field: &Arc<Field>| Some((field.name().clone(), check(field).err()?));
    schema.fields().iter().filter_map(wrong).collect()
}

/// A batch that keeps its row count even without columns.
pub fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}
