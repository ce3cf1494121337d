//! A running query: its updates, its numbers, and ways to stop it.

use super::drive::Control;
use crate::driver::lanes::bytes_of;
use crate::driver::late::LateLog;
use crate::dstream::record::BatchId;
use crate::error::{Error, Result};
use crate::lineage::BatchStore;
use crate::metrics::{LateRows, Metrics, Summary};
use crate::plan::risks::{Risk, placed};
use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{Stream, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::{mpsc, watch};

/// Rows that a query gave in one interval.
#[derive(Debug, Clone)]
pub struct Update {
    /// The interval, counted from 0: the key under which a receiver may recognise what it has seen.
    pub interval: u64,
    pub batch: RecordBatch,
    /// +1 for an inserted row, -1 for a deleted one; `None` when the query only ever inserts.
    pub weights: Option<Int64Array>,
}

/// What runs behind one or more queries that started together.
pub(super) struct Running {
    pub control: Arc<Control>,
    pub store: Arc<BatchStore>,
    pub late: Arc<LateLog>,
    pub metrics: Arc<Metrics>,
    pub outcome: watch::Receiver<Fate>,
}

impl Running {
    /// None of its queries gives more.
    pub fn has_ended(&self) -> bool {
        self.outcome.borrow().ended.is_some()
    }
}

/// What has become of a program.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// How it ended; `None` while it runs.
    pub ended: Option<Ended>,
    /// Its queries that have failed, by their place, while others may go on.
    pub failed: BTreeMap<usize, Arc<Error>>,
    /// Its queries that were stopped, by their place, while others go on.
    pub stopped: BTreeSet<usize>,
    /// Its queries that have given everything, by their place, while others go on.
    pub finished: BTreeSet<usize>,
    /// Its queries that were cancelled and whose sinks still take what had been given, after the end.
    pub lingering: BTreeSet<usize>,
}

impl Fate {
    /// Everything that was given is delivered.
    pub fn is_settled(&self) -> bool {
        self.ended.is_some() && self.lingering.is_empty()
    }

    fn is_over(&self, output: usize) -> bool {
        let alone = self.failed.contains_key(&output) || self.stopped.contains(&output);
        alone || self.ended.is_some() && !self.lingering.contains(&output)
    }
}

/// How a program ended.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    Done,
    Stopped,
    Failed(Arc<Error>),
}

/// A query that runs. Dropping it does not stop it; dropping its [`Updates`] does.
pub struct Query {
    pub(super) name: String,
    pub(super) schema: SchemaRef,
    /// Its place among the outputs of the program.
    pub(super) output: usize,
    pub(super) bounded: bool,
    /// Its input does not end: its LIMIT ends it.
    pub(super) limited: bool,
    pub(super) running: Arc<Running>,
    /// What of its text may have failed when it does.
    pub(super) risks: Arc<[Risk]>,
    pub(super) updates: Mutex<Option<Unread>>,
}

/// Updates on their way to their reader.
pub(super) struct Unread {
    pub updates: mpsc::UnboundedReceiver<Result<Update>>,
    pub bytes: Arc<AtomicUsize>,
}

impl Query {
    /// The target of INSERT or SINK, else `q1`, `q2` …
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether both run in one program, whose numbers they share.
    pub fn same_program(&self, other: &Query) -> bool {
        Arc::ptr_eq(&self.running, &other.running)
    }

    /// Whether both are handles to the same query.
    pub(super) fn is(&self, other: &Query) -> bool {
        self.same_program(other) && self.output == other.output
    }

    /// Another handle to the same query, without its rows.
    pub(super) fn again(&self) -> Query {
        Query {
            name: self.name.clone(),
            schema: Arc::clone(&self.schema),
            output: self.output,
            bounded: self.bounded,
            limited: self.limited,
            running: Arc::clone(&self.running),
            risks: Arc::clone(&self.risks),
            updates: Mutex::new(None),
        }
    }

    /// The columns of its rows.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Whether it ends by itself, with its input.
    pub fn bounded(&self) -> bool {
        self.bounded
    }

    /// The rows as they come, one update per interval with output. There is one stream; a second call gives an empty
    /// one. Dropping the stream stops the query.
    pub fn stream(&self) -> Updates {
        let updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner).take();
        Updates {
            updates,
            control: Arc::clone(&self.running.control),
            output: self.output,
            name: self.name.clone(),
            risks: Arc::clone(&self.risks),
        }
    }

    /// All rows, once the query has ended.
    ///
    /// Errors: what made the query fail.
    pub async fn collect(&self) -> Result<Vec<RecordBatch>> {
        let mut stream = self.stream();
        let mut batches = Vec::new();
        while let Some(update) = stream.next().await {
            batches.push(update?.batch);
        }
        Ok(batches)
    }

    /// All rows as one batch, once the query has ended.
    pub async fn one(&self) -> Result<RecordBatch> {
        let batches = self.collect().await?;
        let all = concat_batches(&self.schema, &batches);
        all.map_err(|e| Error::internal("the rows of a query do not fit together").because(e))
    }

    /// Waits for the end of its program, or until it alone has failed or was stopped, and gives the numbers.
    ///
    /// Errors: what made it fail. The other queries of its program may go on.
    pub async fn wait(&self) -> Result<Summary> {
        let mut outcome = self.running.outcome.clone();
        let fate = outcome.wait_for(|fate| fate.is_over(self.output)).await;
        let Ok(fate) = fate else {
            return Err(Error::internal("the engine has gone"));
        };
        match (fate.failed.get(&self.output), &fate.ended) {
            (Some(error), _) | (None, Some(Ended::Failed(error))) => {
                Err(placed(error.again().of_query(&self.name), &self.risks))
            }
            _ => Ok(self.summary()),
        }
    }

    /// Waits until it has given everything, or its program has worked off everything that has been put into the tables
    /// it reads.
    ///
    /// Errors: what made it fail.
    pub(super) async fn settled(&self) -> Result<()> {
        let mut resting = self.running.control.resting();
        let mut outcome = self.running.outcome.clone();
        tokio::select! {
            ended = self.wait() => ended.map(drop),
            // The program holds the senders as long as it has not ended.
            _ = outcome.wait_for(|fate| fate.finished.contains(&self.output)) => Ok(()),
            _ = resting.wait_for(|rests| *rests), if !self.limited => Ok(()),
        }
    }

    /// It gives no more, whatever comes.
    pub(super) fn has_ended(&self) -> bool {
        self.running.outcome.borrow().is_over(self.output)
    }

    /// The same, or it has given everything, and others of its program go on.
    pub(super) fn is_done(&self) -> bool {
        self.has_ended() || self.running.outcome.borrow().finished.contains(&self.output)
    }

    pub(super) fn is_settled(&self) -> bool {
        let rests = !self.limited && *self.running.control.resting().borrow();
        rests || self.is_done()
    }

    /// Whether it was stopped before its input had ended.
    pub fn stopped(&self) -> bool {
        let fate = self.running.outcome.borrow();
        matches!(fate.ended, Some(Ended::Stopped)) || fate.stopped.contains(&self.output)
    }

    /// The numbers so far, of the whole program.
    pub fn summary(&self) -> Summary {
        let kept = self.running.store.state_rows();
        self.running.metrics.summary(kept as u64)
    }

    /// How many rows came too late for it, by source.
    pub fn late_counts(&self) -> Vec<LateRows> {
        self.running.metrics.late_rows_of(self.output)
    }

    /// Stops the query after the interval that runs; what it has given stays. Nothing is flushed: its open windows are
    /// not shown.
    pub fn cancel(&self) {
        self.running.control.cancel(self.output);
    }

    /// Rows that were late for all their windows, the newest `kept_rows` of them: the columns of the source, then
    /// `late_window_start`, `late_window_end`, `late_watermark`.
    pub fn late_rows(&self) -> Vec<RecordBatch> {
        self.running.late.late_rows(self.output)
    }

    /// The batches and partitions of state that exist now.
    pub fn batches(&self) -> Vec<BatchId> {
        self.running.store.list()
    }

    /// Drops a batch or a partition of state, as if the worker that held it had died. The engine rebuilds it from its
    /// lineage when it is needed. False when it was not there.
    pub fn lose(&self, id: BatchId) -> bool {
        self.running.store.lose(&id)
    }
}

/// The updates of a query, in the order of intervals; ends when the query has given everything.
pub struct Updates {
    updates: Option<Unread>,
    control: Arc<Control>,
    output: usize,
    name: String,
    risks: Arc<[Risk]>,
}

impl Updates {
    /// An update that is there already.
    pub fn try_next(&mut self) -> Option<Result<Update>> {
        let update = self.updates.as_mut()?.updates.try_recv().ok()?;
        self.taken(&update);
        Some(update.map_err(|error| self.failed(error)))
    }

    fn failed(&self, error: Error) -> Error {
        placed(error.of_query(&self.name), &self.risks)
    }

    fn taken(&self, update: &Result<Update>) {
        if let (Ok(update), Some(unread)) = (update, &self.updates) {
            unread.bytes.fetch_sub(bytes_of(&update.batch), Ordering::Relaxed);
            self.control.ring();
        }
    }
}

impl Stream for Updates {
    type Item = Result<Update>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(updates) = self.updates.as_mut() else {
            return Poll::Ready(None);
        };
        let next = updates.updates.poll_recv(context);
        if let Poll::Ready(Some(update)) = &next {
            self.taken(update);
        }
        next.map_err(|error| self.failed(error))
    }
}

impl Drop for Updates {
    fn drop(&mut self) {
        if self.updates.is_some() {
            self.control.cancel(self.output);
        }
    }
}
