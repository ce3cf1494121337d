//! One writer for each place: two queries that wrote to one file or directory would undo each other's work.

use super::place::Output;
use crate::connectors::Sink;
use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use std::sync::{Mutex, PoisonError};

/// Where sinks of this process write now.
static WRITTEN: Mutex<Vec<Output>> = Mutex::new(Vec::new());

/// A place that is held until this is dropped.
pub struct Held(Output);

impl Held {
    /// Errors: another query writes there, or where it would be in the way.
    pub fn new(path: &str) -> Result<Held> {
        let output = Output::of(path, false);
        let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        if written.iter().any(|other| other.meets(&output)) {
            return Err(Error::refused(format!(
                "another query that runs writes to {path}, or to a place above or below it: write both in one INSERT, with \
                 UNION ALL, or to two sinks"
            )));
        }
        written.push(output.clone());
        Ok(Held(output))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // No two that are held are the same.
        WRITTEN
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|held| *held != self.0);
    }
}

/// A sink that holds its place until it is done.
pub struct Alone {
    pub sink: Box<dyn Sink>,
    /// `None` once it is done.
    pub held: Option<Held>,
}

impl Sink for Alone {
    fn clock(&mut self, clock_ns: i64) {
        self.sink.clock(clock_ns);
    }

    fn keeps_back_ns(&self) -> Option<i64> {
        self.sink.keeps_back_ns()
    }

    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()> {
        self.sink.prepare(interval, batches)
    }

    fn commit(&mut self, interval: u64) -> Result<()> {
        self.sink.commit(interval)
    }

    fn abort(&mut self) -> Result<()> {
        let aborted = self.sink.abort();
        self.held = None;
        aborted
    }

    fn finish(&mut self) -> Result<()> {
        let finished = self.sink.finish();
        self.held = None;
        finished
    }
}
