//! Bytes to rows and back.
//!
//! Owns: CSV, JSON lines, text lines, Parquet and Arrow IPC; blocks of whole records; what happens to a record that cannot be read.
//! Guarantees: the same bytes give the same blocks and the same rows; a bad record takes no neighbour with it.
//! Does **not** guarantee: that a record that is bad in a column nobody asked for is noticed.
//! Depends on the waist and the ground; knows no files, only readers and bytes. Start reading at [`RowDecoder`].

pub mod arrow;
mod block_text;
mod blocks;
mod csv;
mod csv_write;
mod cuts;
mod decimals;
mod decode;
mod infer;
mod infinite;
mod json;
mod json_text;
mod lines;
mod options;
pub mod parquet;
mod prune;
mod records;
mod strict;
pub mod table;
#[cfg(test)]
mod tests;
mod times;
mod typed;
mod whole;
mod words;
mod write;

pub use block_text::BlockText;
pub use blocks::{Block, BlockReader, Bytes, MAX_RECORD_BYTES, Pending};
pub use decode::{BadRecord, Decoded, RowDecoder, Wanted, unreadable_columns};
pub use infer::{infer_text, json_columns};
pub use options::{Compression, CsvFormat, Format, JsonFormat, OnError, Packing, bool_option, resolve_format};
pub use prune::{Constants, Fate, Pruning};
pub use records::{NO_QUOTE, Rule, Scan, count_lines, is_blank, last_end};
pub use times::{TimeFormat, TimeFormats};
pub use words::{shorten, thousands, type_name};
pub use write::{Encoder, check_writable};

use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use std::sync::Arc;

/// The byte order mark of UTF-8, which some programs put before the first line.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// JSON lines as a batch of `schema`, all of them or none: for rows that a program sends.
///
/// Errors: what is wrong with the lines.
pub fn json_batch(schema: &SchemaRef, bytes: &[u8]) -> Result<RecordBatch> {
    let wrong = |e: ArrowError| Error::data(format!("the JSON lines do not fit the columns: {}", plain(&e))).because(e);
    let (columns, rows) = json::JsonCodec::new(Arc::clone(schema), &JsonFormat::default())?
        .decode(bytes)
        .map_err(wrong)?;
    decode::batch_of(schema, columns, rows).map_err(wrong)
}

fn plain(error: &ArrowError) -> String {
    match error {
        ArrowError::JsonError(message) | ArrowError::CastError(message) | ArrowError::ParseError(message) => {
            message.clone()
        }
        other => other.to_string(),
    }
}
