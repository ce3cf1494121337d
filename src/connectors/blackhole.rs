//! A sink that takes everything and keeps nothing: for measuring. All columns of its input are computed.

use super::{Connector, Sink};
use crate::dstream::table::{ConnectorSpec, TableSpec};
use crate::error::Result;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "blackhole",
    doc: "Takes rows and drops them: for measuring",
    reads: false,
    writes: true,
    options: &[],
    formats: &[],
    format_of: |_| None,
};

/// The line of the registry.
pub const CONNECTOR: Connector = Connector {
    spec: &SPEC,
    infer: None,
    source: None,
    sink: Some(open),
    check_source: None,
    check_sink: None,
    check: None,
    ends: |_| true,
};

fn open(_: &TableSpec, _: SchemaRef, _: bool) -> Result<Box<dyn Sink>> {
    Ok(Box::<Blackhole>::default())
}

/// Counts the rows it is given.
#[derive(Debug, Default)]
pub struct Blackhole {
    prepared_rows: u64,
    committed_rows: u64,
}

impl Sink for Blackhole {
    fn prepare(&mut self, _: u64, batches: &[RecordBatch]) -> Result<()> {
        self.prepared_rows += batches.iter().map(|b| b.num_rows() as u64).sum::<u64>();
        Ok(())
    }

    fn commit(&mut self, _: u64) -> Result<()> {
        self.committed_rows += std::mem::take(&mut self.prepared_rows);
        Ok(())
    }

    fn abort(&mut self) -> Result<()> {
        self.prepared_rows = 0;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        tracing::debug!(rows = self.committed_rows, "blackhole finished");
        Ok(())
    }
}
