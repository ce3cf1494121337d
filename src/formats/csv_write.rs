//! Rows to CSV, so that a table of the same options reads the same rows.

use super::{CsvFormat, NO_QUOTE};
use crate::error::{Error, Result};
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use std::io::Write;
use std::sync::Arc;

/// Writes records.
pub struct CsvWriter<W: Write> {
    output: W,
    format: CsvFormat,
}

impl<W: Write> CsvWriter<W> {
    /// Errors: what would be written as NULL, or as a time, could not be told from something else.
    pub fn new(format: &CsvFormat, output: W) -> Result<Self> {
        let null = format.null_values.first().map_or("", String::as_str);
        if format.escape.is_some_and(|escape| null.as_bytes().contains(&escape)) {
            return Err(Error::refused(format!(
                "null_value = '{null}' holds the escape, so it would be read as another text: write it without escape"
            )));
        }
        let own = [&format.times.timestamp, &format.times.date];
        let texts = own.into_iter().flatten().map(|own| own.text.as_str()).chain([null]);
        for text in texts {
            if format.quote == NO_QUOTE && breaks(format, text) {
                return Err(Error::refused(format!(
                    "'{text}' holds the delimiter or a line end, and nothing is quoted: set quote, or another delimiter"
                )));
            }
        }
        Ok(CsvWriter {
            output,
            format: format.clone(),
        })
    }

    /// Begins the file: a result without rows still has its header.
    pub fn begin(&mut self, schema: SchemaRef) -> Result<(), ArrowError> {
        self.put(&RecordBatch::new_empty(schema), self.format.header)
    }

    /// Errors: a value has no form here, or the bytes cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        if self.format.quote != NO_QUOTE && self.format.escape.is_none() {
            return self.put(batch, false);
        }
        let columns = batch.columns().iter().zip(batch.schema_ref().fields());
        let columns = columns.map(|(column, field)| self.safe(column, field.name()));
        let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
        self.put(&RecordBatch::try_new(batch.schema(), columns)?, false)
    }

    pub fn into_inner(self) -> W {
        self.output
    }

    /// By way of memory: the library's writer keeps of an error of the output only its text, and panics where it is to
    /// give such an output back.
    fn put(&mut self, batch: &RecordBatch, header: bool) -> Result<(), ArrowError> {
        let mut text = Vec::new();
        builder(&self.format)
            .with_header(header)
            .build(&mut text)
            .write(batch)?;
        Ok(self.output.write_all(&text)?)
    }

    /// A column whose text is read as it was: escapes escaped. Errors: without quotes it cannot be.
    fn safe(&self, column: &ArrayRef, name: &str) -> Result<ArrayRef, ArrowError> {
        let Some(texts) = column.as_string_opt::<i32>() else {
            return Ok(column.clone());
        };
        if self.format.quote == NO_QUOTE {
            return match texts.iter().flatten().find(|text| breaks(&self.format, text)) {
                None => Ok(column.clone()),
                Some(text) => Err(ArrowError::InvalidArgumentError(format!(
                    "column `{name}`: {text:?} holds the delimiter or a line end, and nothing is quoted: set quote"
                ))),
            };
        }
        let escape = self.format.escape.map_or('"', char::from);
        if !texts.iter().flatten().any(|text| text.contains(escape)) {
            return Ok(column.clone());
        }
        let doubled = escape.to_string().repeat(2);
        let safe = texts.iter().map(|text| text.map(|text| text.replace(escape, &doubled)));
        Ok(Arc::new(safe.collect::<StringArray>()))
    }
}

/// Whether a field that is not quoted would end within the text.
fn breaks(format: &CsvFormat, text: &str) -> bool {
    text.bytes()
        .any(|byte| byte == format.delimiter || matches!(byte, b'\n' | b'\r'))
}

fn builder(format: &CsvFormat) -> csv::WriterBuilder {
    let mut builder = csv::WriterBuilder::new()
        .with_delimiter(format.delimiter)
        .with_null(format.null_values.first().cloned().unwrap_or_default());
    builder = match (format.quote, format.comment) {
        (NO_QUOTE, _) => builder.with_quote_style(csv::QuoteStyle::Never),
        // A text that begins like a comment must not be read as one.
        (quote, Some(_)) => builder.with_quote(quote).with_quote_style(csv::QuoteStyle::NonNumeric),
        (quote, None) => builder.with_quote(quote),
    };
    if let Some(escape) = format.escape {
        builder = builder.with_escape(escape).with_double_quote(false);
    }
    if let Some(own) = &format.times.timestamp {
        builder = builder
            .with_timestamp_format(own.text.clone())
            .with_timestamp_tz_format(own.text.clone());
    }
    match &format.times.date {
        Some(own) => builder.with_date_format(own.text.clone()),
        None => builder,
    }
}
