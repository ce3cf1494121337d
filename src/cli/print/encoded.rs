//! Rows as files hold them: CSV, tab separated, JSON. The encoders are those of the file sink.

use super::out::Out;
use super::{Format, Style};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use waterwheel::error::Result;
use waterwheel::formats::{CsvFormat, Encoder, Format as FileFormat, JsonFormat};

/// One result in one of the formats of files.
pub struct Encoded {
    schema: SchemaRef,
    format: FileFormat,
    /// One array around all rows.
    array: bool,
    any: bool,
}

impl Encoded {
    /// Errors: the columns cannot be written in the format.
    pub fn new(style: &Style, schema: SchemaRef, out: &mut Out) -> Result<Encoded> {
        let csv = |delimiter| CsvFormat {
            header: style.header,
            delimiter,
            null_values: vec![style.null.clone().unwrap_or_default()],
            ..CsvFormat::default()
        };
        let format = match style.format {
            Format::Csv => FileFormat::Csv(csv(b',')),
            Format::Tsv => FileFormat::Csv(csv(b'\t')),
            _ => FileFormat::Json(JsonFormat::default()),
        };
        let mut encoded = Encoded {
            schema,
            format,
            array: style.format == Format::Json,
            any: false,
        };
        match &mut encoded.format {
            FileFormat::Csv(csv) => {
                // Columns that cannot be written are refused here, with a header or without.
                out.bytes(&Encoder::new(&FileFormat::Csv(csv.clone()), encoded.schema.clone(), Vec::new())?.finish()?);
                csv.header = false;
            }
            FileFormat::Json(_) if encoded.array => out.text("["),
            _ => {}
        }
        Ok(encoded)
    }

    /// Errors: a value that cannot be written in the format.
    pub fn rows(&mut self, batch: &RecordBatch, out: &mut Out) -> Result<()> {
        let mut encoder = Encoder::new(&self.format, self.schema.clone(), Vec::new())?;
        encoder.write(batch)?;
        let bytes = encoder.finish()?;
        if !self.array {
            out.bytes(&bytes);
            return Ok(());
        }
        // No line end stands inside an object, so a line is a row.
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            out.text(if self.any { ",\n" } else { "\n" });
            out.bytes(line);
            self.any = true;
        }
        Ok(())
    }

    pub fn end(self, out: &mut Out) {
        if self.array {
            out.text(if self.any { "\n]\n" } else { "]\n" });
        }
    }
}
