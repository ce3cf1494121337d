//! Rows as a Parquet file, for whoever sends stdout into one. The encoder is that of the file sink.

use super::out::Out;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use waterwheel::error::Result;
use waterwheel::formats::{Encoder, Format};

/// One result as one file.
pub struct Parquet {
    encoder: Encoder<Bytes>,
    made: Bytes,
}

impl Parquet {
    /// Errors: the columns cannot be written in the format.
    pub fn new(schema: SchemaRef) -> Result<Parquet> {
        let made = Bytes::default();
        let encoder = Encoder::new(&Format::Parquet, schema, made.clone())?;
        Ok(Parquet { encoder, made })
    }

    /// Errors: a value that cannot be written in the format.
    pub fn rows(&mut self, batch: &RecordBatch, out: &mut Out) -> Result<()> {
        self.encoder.write(batch)?;
        out.bytes(&self.made.take());
        Ok(())
    }

    pub fn end(self, out: &mut Out) {
        // Into memory this does not fail.
        if self.encoder.finish().is_ok() {
            out.bytes(&self.made.take());
        }
    }
}

/// What the encoder has made and nobody has taken.
#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
