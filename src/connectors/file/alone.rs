//! One writer for each place: two queries that wrote to one file or directory would undo each other's work.

use super::place::Place;
use crate::connectors::Sink;
use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The places to which sinks of this process write now.
static WRITTEN: Mutex<BTreeSet<Place>> = Mutex::new(BTreeSet::new());

/// A place that is held until this is dropped.
pub struct Held(Place);

impl Held {
    /// Errors: another query writes there.
    pub fn new(path: &str) -> Result<Held> {
        let place = Place::of(path);
        let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        match written.insert(place.clone()) {
            true => Ok(Held(place)),
            false => Err(Error::refused(format!(
                "another query that runs writes to {path}: write both in one INSERT, with UNION ALL, or to two sinks"
            ))),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
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

    fn minds_clock(&self) -> bool {
        self.sink.minds_clock()
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
