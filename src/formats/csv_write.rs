//! Rows to CSV, so that a table of the same options reads the same rows.
//!
//! Guarantees: what is text is read as that text, and NULL as NULL, but for empty text where NULL is empty; what cannot
//! be written so is refused. Only fields that need quotes have them, and text that NULL is written as is one of those.

use super::{CsvFormat, NO_QUOTE};
use crate::error::{Error, Result};
use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use std::io::Write;

/// How many bytes are written at once, about.
const WRITE_BYTES: usize = 64 << 10;

/// Writes records.
pub struct CsvWriter<W: Write> {
    output: W,
    format: CsvFormat,
    /// NULL as it is written.
    null: Vec<u8>,
}

/// A column that is being written.
struct Column<'a> {
    name: &'a str,
    values: Values<'a>,
    nulls: Option<NullBuffer>,
}

enum Values<'a> {
    Text(&'a StringArray),
    Other(ArrayFormatter<'a>),
}

impl<W: Write> CsvWriter<W> {
    /// Errors: what would be written as NULL, or as a time, could not be told from something else.
    pub fn new(format: &CsvFormat, output: W) -> Result<Self> {
        let null = format.null_values.first().map_or("", String::as_str);
        if format.quote != NO_QUOTE && format.needs_quotes(null) {
            return Err(Error::refused(format!(
                "null_value = '{null}' would have to be quoted, as text is, and could not be told from it: write another"
            )));
        }
        let own = [&format.times.timestamp, &format.times.date];
        let texts = own.into_iter().flatten().map(|own| own.text.as_str()).chain([null]);
        for text in texts {
            if format.quote == NO_QUOTE && format.needs_quotes(text) {
                return Err(Error::refused(format!(
                    "'{text}' holds the delimiter or a line end, and nothing is quoted: set quote, or another delimiter"
                )));
            }
        }
        Ok(CsvWriter {
            output,
            format: format.clone(),
            null: null.as_bytes().to_vec(),
        })
    }

    /// Begins the file: a result without rows still has its header.
    ///
    /// Errors: a column cannot be written as CSV.
    pub fn begin(&mut self, schema: SchemaRef) -> Result<(), ArrowError> {
        if let Some(nested) = schema.fields().iter().find(|field| field.data_type().is_nested()) {
            let message = format!("column `{}` is nested, which CSV cannot hold", nested.name());
            return Err(ArrowError::InvalidArgumentError(message));
        }
        if !self.format.header {
            return Ok(());
        }
        let mut record = Vec::new();
        for (at, field) in schema.fields().iter().enumerate() {
            if at > 0 {
                record.push(self.format.delimiter);
            }
            self.push_text(field.name(), field.name(), &mut record)?;
        }
        self.end_record(0, schema.fields().len(), &mut record)?;
        self.output.write_all(&record)?;
        Ok(())
    }

    /// Errors: a value has no form here, or the bytes cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let times = &self.format.times;
        let timestamp = times.timestamp.as_ref().map(|own| own.text.as_str());
        let options = FormatOptions::default()
            .with_timestamp_format(timestamp)
            .with_timestamp_tz_format(timestamp)
            .with_date_format(times.date.as_ref().map(|own| own.text.as_str()));
        let columns = batch.columns().iter().zip(batch.schema_ref().fields());
        let columns = columns.map(|(column, field)| {
            Ok(Column {
                name: field.name(),
                nulls: column.logical_nulls(),
                values: match column.as_string_opt::<i32>() {
                    Some(texts) => Values::Text(texts),
                    None => Values::Other(ArrayFormatter::try_new(column.as_ref(), &options)?),
                },
            })
        });
        let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
        let (mut bytes, mut shown) = (Vec::with_capacity(WRITE_BYTES), String::new());
        for row in 0..batch.num_rows() {
            let begin = bytes.len();
            for (at, column) in columns.iter().enumerate() {
                if at > 0 {
                    bytes.push(self.format.delimiter);
                }
                match &column.values {
                    _ if column.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) => {
                        bytes.extend_from_slice(&self.null);
                    }
                    Values::Text(texts) => self.push_text(texts.value(row), column.name, &mut bytes)?,
                    Values::Other(values) => {
                        shown.clear();
                        values.value(row).write(&mut shown)?;
                        self.push(&shown, column.name, self.format.needs_quotes(&shown), &mut bytes)?;
                    }
                }
            }
            self.end_record(begin, columns.len(), &mut bytes)?;
            if bytes.len() >= WRITE_BYTES {
                self.output.write_all(&bytes)?;
                bytes.clear();
            }
        }
        self.output.write_all(&bytes)?;
        Ok(())
    }

    pub fn into_inner(self) -> W {
        self.output
    }

    fn push_text(&self, text: &str, name: &str, bytes: &mut Vec<u8>) -> Result<(), ArrowError> {
        let is_null = !text.is_empty() && self.format.null_values.iter().any(|null| null == text);
        self.push(text, name, is_null || self.format.needs_quotes(text), bytes)
    }

    fn push(&self, text: &str, name: &str, in_quotes: bool, bytes: &mut Vec<u8>) -> Result<(), ArrowError> {
        match (in_quotes, self.format.quote) {
            (false, _) => bytes.extend_from_slice(text.as_bytes()),
            (true, NO_QUOTE) => {
                let ends = |byte: u8| byte == self.format.delimiter || matches!(byte, b'\n' | b'\r');
                let why = match text.bytes().next() {
                    _ if text.bytes().any(ends) => "holds the delimiter or a line end",
                    begin if begin == self.format.comment => "begins like a comment",
                    _ => "is what NULL is written as",
                };
                return Err(ArrowError::InvalidArgumentError(format!(
                    "column `{name}`: {text:?} {why}, and nothing is quoted: set quote"
                )));
            }
            (true, _) => bytes.extend(self.format.quoted(text)),
        }
        Ok(())
    }

    /// Ends the record that begins at `begin`. One that is empty would be read as an empty line, which is no record.
    fn end_record(&self, begin: usize, width: usize, bytes: &mut Vec<u8>) -> Result<(), ArrowError> {
        if width == 1 && bytes.len() == begin {
            if self.format.quote == NO_QUOTE {
                return Err(ArrowError::InvalidArgumentError(
                    "an empty line is no record, and nothing is quoted: set quote, or a null_value".to_string(),
                ));
            }
            bytes.extend([self.format.quote; 2]);
        }
        bytes.push(b'\n');
        Ok(())
    }
}
