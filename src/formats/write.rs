//! Rows to bytes.

use super::Format;
use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::FileWriter;
use datafusion::arrow::json;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::parquet::arrow::ArrowWriter;
use std::io::Write;

/// RFC 3339 in UTC. Columns without a time zone hold UTC.
const RFC_3339: &str = "%Y-%m-%dT%H:%M:%S%.fZ";
const RFC_3339_ZONE: &str = "%Y-%m-%dT%H:%M:%S%.f%:z";

/// Writes batches in one of the formats.
pub enum Encoder<W: Write + Send> {
    Csv(Box<csv::Writer<W>>),
    /// One object per line: NULL, NaN and the infinities are `null`.
    Json(json::Writer<W, LineDelimited>),
    Parquet(Box<ArrowWriter<W>>),
    Arrow(Box<FileWriter<W>>),
}

impl<W: Write + Send> Encoder<W> {
    /// Begins a file (CSV: with its header, if the format has one).
    ///
    /// Errors: the format cannot be written; the bytes cannot be.
    pub fn new(format: &Format, schema: SchemaRef, output: W) -> Result<Self> {
        match format {
            Format::Json => {
                let builder = json::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .with_timestamp_format(RFC_3339.into())
                    .with_timestamp_tz_format(RFC_3339_ZONE.into());
                Ok(Encoder::Json(builder.build(output)))
            }
            Format::Csv(csv) => {
                let mut writer = csv::WriterBuilder::new()
                    .with_header(csv.header)
                    .with_delimiter(csv.delimiter)
                    .with_null(csv.null_value.clone())
                    .build(output);
                // A result without rows still has its header.
                writer.write(&RecordBatch::new_empty(schema)).map_err(refused)?;
                Ok(Encoder::Csv(Box::new(writer)))
            }
            Format::Parquet => {
                let writer = ArrowWriter::try_new(output, schema, None)
                    .map_err(|e| Error::refused("these columns cannot be written as Parquet").because(e))?;
                Ok(Encoder::Parquet(Box::new(writer)))
            }
            Format::Arrow => {
                let writer = FileWriter::try_new(output, &schema)
                    .map_err(|e| Error::refused("these columns cannot be written as Arrow").because(e))?;
                Ok(Encoder::Arrow(Box::new(writer)))
            }
            Format::Text => Err(Error::refused(
                "format 'text' can only be read: write 'csv', 'json', 'parquet' or 'arrow'",
            )),
        }
    }

    /// Errors: a value cannot be written in this format, or the bytes cannot be.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Encoder::Csv(writer) => writer.write(batch).map_err(refused),
            Encoder::Json(writer) => writer.write(batch).map_err(refused),
            Encoder::Arrow(writer) => writer.write(batch).map_err(refused),
            Encoder::Parquet(writer) => writer
                .write(batch)
                .map_err(|e| Error::connector(format!("the output cannot be written: {e}")).because(e)),
        }
    }

    /// Ends the file and gives the output back.
    ///
    /// Errors: the bytes cannot be written.
    pub fn finish(self) -> Result<W> {
        match self {
            Encoder::Csv(writer) => Ok(writer.into_inner()),
            Encoder::Json(mut writer) => {
                writer.finish().map_err(refused)?;
                Ok(writer.into_inner())
            }
            Encoder::Arrow(writer) => writer.into_inner().map_err(refused),
            Encoder::Parquet(writer) => writer
                .into_inner()
                .map_err(|e| Error::connector(format!("the output cannot be written: {e}")).because(e)),
        }
    }
}

/// An error while writing text: of the disk, or of a type that the format has no form for.
fn refused(error: ArrowError) -> Error {
    match &error {
        ArrowError::IoError(_, io) => Error::connector(format!("the output cannot be written: {io}")).because(error),
        ArrowError::ExternalError(_) => Error::connector("the output cannot be written").because(error),
        _ => Error::refused("a column has a type that this format cannot hold: CAST it to STRING, or write 'parquet'")
            .because(error),
    }
}
