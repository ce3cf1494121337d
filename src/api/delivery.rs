//! Where a query's rows go: to a reader, to a callback, to a sink, or into a table of the engine.

use super::query::Update;
use crate::connectors::Sink;
use crate::connectors::memory::InsertHandle;
use crate::driver::lanes::bytes_of;
use crate::driver::output::{Delivery, Pace};
use crate::dstream::table::TableSpec;
use crate::error::{Error, Result};
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// To whoever holds the query's [`super::Updates`].
pub struct ToReader {
    pub schema: SchemaRef,
    pub updates: mpsc::UnboundedSender<Result<Update>>,
    /// Bytes that were sent and not taken.
    pub unread: Arc<AtomicUsize>,
    pub prepared: Option<Update>,
}

impl Delivery for ToReader {
    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()> {
        self.prepared = together(&self.schema, batches)?.map(|batch| Update {
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
        self.unread.fetch_add(bytes_of(&update.batch), Ordering::Relaxed);
        Ok(self.updates.send(Ok(update)).is_ok())
    }

    fn waiting_bytes(&self) -> usize {
        self.unread.load(Ordering::Relaxed)
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self, why: Option<&Error>) {
        if let Some(error) = why {
            // A reader that has gone does not want to know.
            let _ = self.updates.send(Err(error.again()));
        }
    }
}

/// The rows of an interval as one batch; `None` when there are none.
fn together(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Option<RecordBatch>> {
    match batches {
        [] => Ok(None),
        [batch] => Ok(Some(batch.clone())),
        several => {
            let all = concat_batches(schema, several);
            all.map(Some)
                .map_err(|e| Error::internal("the rows of a query do not fit together").because(e))
        }
    }
}

/// What [`super::DStream::foreach`] calls for every interval with rows.
#[derive(Clone)]
pub struct Callback(Arc<Mutex<Call>>);

type Call = dyn FnMut(u64, &RecordBatch) -> Result<()> + Send;

impl Callback {
    pub fn new(call: impl FnMut(u64, &RecordBatch) -> Result<()> + Send + 'static) -> Callback {
        Callback(Arc::new(Mutex::new(call)))
    }

    fn call(&self, interval: u64, rows: &RecordBatch) -> Result<()> {
        let mut call = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let done = catch_unwind(AssertUnwindSafe(|| call(interval, rows)));
        done.unwrap_or_else(|_| {
            Err(Error::connector(format!(
                "the callback panicked over the rows of interval {interval}"
            )))
        })
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("callback")
    }
}

/// To a callback of the host.
pub struct ToCallback {
    pub schema: SchemaRef,
    pub callback: Callback,
    pub prepared: Option<RecordBatch>,
}

impl Delivery for ToCallback {
    fn prepare(&mut self, _interval: u64, batches: &[RecordBatch]) -> Result<()> {
        self.prepared = together(&self.schema, batches)?;
        Ok(())
    }

    fn commit(&mut self, interval: u64) -> Result<bool> {
        if let Some(rows) = self.prepared.take() {
            self.callback.call(interval, &rows)?;
        }
        Ok(true)
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self, _why: Option<&Error>) {}

    fn pace(&self) -> Pace {
        Pace::Own
    }
}

/// The columns of a table in which no NULL may stand.
pub struct Required {
    table: String,
    /// Their places among the physical columns, their names, and why.
    columns: Vec<(usize, String, &'static str)>,
}

impl Required {
    pub fn of(spec: &TableSpec) -> Required {
        let (schema, key) = (spec.physical_schema(), spec.physical_key());
        let column = |at: usize| {
            let why = match key.contains(&at) {
                true => "it belongs to the PRIMARY KEY",
                false => "it is NOT NULL",
            };
            (at, schema.field(at).name().clone(), why)
        };
        Required {
            table: spec.name.clone(),
            columns: spec.required().into_iter().map(column).collect(),
        }
    }

    /// Errors: a NULL stands where none may.
    fn check(&self, batches: &[RecordBatch]) -> Result<()> {
        let is_null = |at: &usize| {
            let columns = batches.iter().filter_map(|batch| batch.columns().get(*at));
            columns.map(|column| column.logical_null_count()).any(|nulls| nulls > 0)
        };
        match self.columns.iter().find(|(at, _, _)| is_null(at)) {
            None => Ok(()),
            Some((_, name, why)) => Err(Error::data(format!(
                "a row for `{}` has NULL in column `{name}`, and {why}",
                self.table
            ))),
        }
    }
}

/// To a connector's sink.
pub struct ToSink {
    sink: Box<dyn Sink>,
    required: Required,
    pace: Pace,
}

impl ToSink {
    pub fn new(sink: Box<dyn Sink>, spec: &TableSpec) -> ToSink {
        // There is one standard output, and what is written to it keeps its order.
        let pace = match spec.connector.as_deref() {
            Some("stdout") => Pace::Shared("stdout"),
            _ => Pace::Own,
        };
        ToSink {
            sink,
            required: Required::of(spec),
            pace,
        }
    }
}

impl Delivery for ToSink {
    fn clock(&mut self, clock_ns: i64) {
        self.sink.clock(clock_ns);
    }

    fn keeps_back_ns(&self) -> Option<i64> {
        self.sink.keeps_back_ns()
    }

    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()> {
        self.required.check(batches)?;
        match batches.is_empty() {
            true => Ok(()),
            false => self.sink.prepare(interval, batches),
        }
    }

    fn commit(&mut self, interval: u64) -> Result<bool> {
        match self.sink.commit(interval) {
            Ok(()) => Ok(true),
            // Whoever read the other end wants no more: that is no failure.
            Err(error) if is_closed_pipe(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.sink.finish()
    }

    fn stop(&mut self, _why: Option<&Error>) {
        if let Err(error) = self.sink.abort() {
            tracing::warn!(%error, "a sink could not be put back");
        }
    }

    fn pace(&self) -> Pace {
        self.pace
    }
}

fn is_closed_pipe(error: &Error) -> bool {
    let cause = error.source.as_deref().and_then(|e| e.downcast_ref::<std::io::Error>());
    cause.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Into a table without connector.
pub struct ToTable {
    pub insert: Option<InsertHandle>,
    pub required: Required,
    pub prepared: Vec<RecordBatch>,
}

impl Delivery for ToTable {
    fn prepare(&mut self, _interval: u64, batches: &[RecordBatch]) -> Result<()> {
        self.required.check(batches)?;
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
        if let Some(insert) = self.insert.take() {
            insert.end();
        }
        Ok(())
    }

    fn stop(&mut self, why: Option<&Error>) {
        if let (Some(insert), Some(_)) = (self.insert.take(), why) {
            insert.fail();
        }
    }
}
