//! Bytes to rows and back.
//!
//! Owns: CSV, JSON lines, text lines and Parquet; blocks of whole records; what happens to a record that cannot be read.
//! Guarantees: the same bytes give the same blocks and the same rows; a bad record takes no neighbour with it.
//! Does **not** guarantee: that a record that is bad in a column nobody asked for is noticed.
//! Depends on the waist and the ground; knows no files, only readers and bytes. Start reading at [`RowDecoder`].

mod blocks;
mod csv;
mod decode;
mod infer;
mod json;
mod json_text;
mod lines;
mod options;
pub mod parquet;
mod records;
#[cfg(test)]
mod tests;
mod words;
mod write;

pub use blocks::{Block, BlockReader, MAX_RECORD_BYTES};
pub use decode::{BadRecord, Decoded, RowDecoder, Wanted};
pub use infer::{infer_text, json_columns};
pub use options::{Compression, CsvFormat, Format, OnError, bool_option, resolve_compression, resolve_format};
pub use records::{Rule, Scan, count_lines, last_end};
pub use words::{shorten, thousands, type_name};
pub use write::Encoder;

/// The byte order mark of UTF-8, which some programs put before the first line.
pub const BOM: &[u8] = b"\xef\xbb\xbf";
