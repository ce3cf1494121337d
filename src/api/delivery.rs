//! Where a query's rows go: to a reader, to a sink, or into a table of the engine.

use super::drive::Control;
use super::query::{Update, shared};
use crate::connectors::Sink;
use crate::connectors::memory::InsertHandle;
use crate::driver::output::Delivery;
use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use std::sync::Arc;
use tokio::sync::mpsc;

/// To whoever holds the query's [`super::Updates`].
pub struct ToReader {
    pub schema: SchemaRef,
    pub updates: mpsc::UnboundedSender<Result<Update>>,
    pub control: Arc<Control>,
    pub prepared: Option<Update>,
}

impl Delivery for ToReader {
    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()> {
        self.prepared = match batches {
            [] => None,
            [batch] => Some(batch.clone()),
            several => Some(
                concat_batches(&self.schema, several)
                    .map_err(|e| Error::internal("the rows of a query do not fit together").because(e))?,
            ),
        }
        .map(|batch| Update {
            interval,
            batch,
            weights: None,
        });
        Ok(())
    }

    fn commit(&mut self, _interval: u64) -> Result<bool> {
        let Some(update) = self.prepared.take() else {
            return Ok(!self.updates.is_closed());
        };
        self.control.waiting(update.batch.get_array_memory_size());
        Ok(self.updates.send(Ok(update)).is_ok())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self, why: Option<&Error>) {
        if let Some(error) = why {
            // A reader that has gone does not want to know.
            let _ = self.updates.send(Err(Error::new(error.kind, error.message.clone())));
        }
    }
}

/// To a connector's sink.
pub struct ToSink(pub Box<dyn Sink>);

impl Delivery for ToSink {
    fn clock(&mut self, clock_ns: i64) {
        self.0.clock(clock_ns);
    }

    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()> {
        match batches.is_empty() {
            true => Ok(()),
            false => self.0.prepare(interval, batches),
        }
    }

    fn commit(&mut self, interval: u64) -> Result<bool> {
        match self.0.commit(interval) {
            Ok(()) => Ok(true),
            // Whoever read the other end wants no more: that is no failure.
            Err(error) if is_closed_pipe(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.0.finish()
    }

    fn stop(&mut self, _why: Option<&Error>) {
        if let Err(error) = self.0.abort() {
            tracing::warn!(error = %shared(&Arc::new(error)), "a sink could not be put back");
        }
    }
}

fn is_closed_pipe(error: &Error) -> bool {
    let cause = error.source.as_deref().and_then(|e| e.downcast_ref::<std::io::Error>());
    cause.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Into a table without connector.
pub struct ToTable {
    pub insert: Option<InsertHandle>,
    pub prepared: Vec<RecordBatch>,
}

impl Delivery for ToTable {
    fn prepare(&mut self, _interval: u64, batches: &[RecordBatch]) -> Result<()> {
        self.prepared = batches.to_vec();
        Ok(())
    }

    fn commit(&mut self, _interval: u64) -> Result<bool> {
        for batch in self.prepared.drain(..) {
            if let Some(insert) = &self.insert {
                insert.push(&batch)?;
            }
        }
        Ok(true)
    }

    fn finish(&mut self) -> Result<()> {
        self.insert = None;
        Ok(())
    }

    fn stop(&mut self, _why: Option<&Error>) {
        self.insert = None;
    }
}
