//! Text: each line is a row of one column.

use super::records::line_length;
use super::words::type_name;
use crate::error::{Error, Result};
use datafusion::arrow::array::{ArrayRef, StringBuilder};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::error::ArrowError;
use std::sync::Arc;

/// Refuses a declaration that text lines cannot fill.
pub fn check_columns(schema: &SchemaRef) -> Result<()> {
    match schema.fields().as_ref() {
        [only] if only.data_type() == &DataType::Utf8 => Ok(()),
        [only] => Err(Error::refused(format!(
            "format 'text' gives one column of type STRING, and `{}` is {}",
            only.name(),
            type_name(only.data_type())
        ))),
        _ => Err(Error::refused(
            "format 'text' gives one column, `line STRING`; make the others from it, as in \
             `level AS substr(line, 1, 5)`",
        )),
    }
}

/// The lines without their ends, as an array if it is `wanted`, and how many there are. The end of the last
/// line begins no other.
pub fn decode(bytes: &[u8], wanted: bool) -> Result<(Vec<ArrayRef>, usize), ArrowError> {
    let mut text = std::str::from_utf8(bytes).map_err(|e| ArrowError::ParseError(e.to_string()))?;
    let size = if wanted { bytes.len() } else { 0 };
    let mut lines = StringBuilder::with_capacity(size / 64, size);
    let mut count = 0;
    while !text.is_empty() {
        let (line, rest) = text.split_at(line_length(text.as_bytes()));
        text = rest;
        let line = line.strip_suffix('\n').unwrap_or(line);
        count += 1;
        if wanted {
            lines.append_value(line.strip_suffix('\r').unwrap_or(line));
        }
    }
    let columns = if wanted {
        vec![Arc::new(lines.finish()) as ArrayRef]
    } else {
        Vec::new()
    };
    Ok((columns, count))
}
