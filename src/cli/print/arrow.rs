//! Rows as an Arrow IPC stream: what other programs read without parsing.

use super::out::Out;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::StreamWriter;
use waterwheel::error::{Error, Result};

/// One result as one stream.
pub struct Arrow(StreamWriter<Vec<u8>>);

impl Arrow {
    /// Errors: the columns cannot be written in the format.
    pub fn new(schema: &SchemaRef, out: &mut Out) -> Result<Arrow> {
        let mut arrow = Arrow(StreamWriter::try_new(Vec::new(), schema).map_err(refused)?);
        arrow.give(out);
        Ok(arrow)
    }

    /// Errors: a value that cannot be written in the format.
    pub fn rows(&mut self, batch: &RecordBatch, out: &mut Out) -> Result<()> {
        self.0.write(batch).map_err(refused)?;
        self.give(out);
        Ok(())
    }

    pub fn end(mut self, out: &mut Out) {
        // Into memory this does not fail, and a stream without its end mark is still one.
        if self.0.finish().is_ok() {
            self.give(out);
        }
    }

    fn give(&mut self, out: &mut Out) {
        out.bytes(&std::mem::take(self.0.get_mut()));
    }
}

fn refused(error: ArrowError) -> Error {
    Error::refused("a column has a type that an Arrow stream cannot hold: CAST it to STRING").because(error)
}
