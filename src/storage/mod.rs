//! What is written down.
//!
//! Owns: the [`Journal`]. Guarantees: a record is there from before its interval runs until nothing open is made of it.
//! Does **not** guarantee: anything after the process ends; the journal is in memory for now.
//! Depends on `dstream`. Start reading at [`Journal`].

use crate::dstream::graph::NodeId;
use crate::dstream::record::{Floor, IntervalRecord};
use datafusion::arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Interval records back to the oldest that is still needed, with the input of sources that cannot be read again.
#[derive(Debug, Default)]
pub struct Journal {
    entries: BTreeMap<u64, Arc<Entry>>,
    /// Per interval, the stateful tasks (node, partition) whose rows are made of earlier intervals, and the first of those.
    made_of: BTreeMap<u64, BTreeMap<(NodeId, usize), u64>>,
}

/// One interval, written down.
#[derive(Debug)]
pub struct Entry {
    pub record: IntervalRecord,
    /// Per node of the graph, its watermark after the interval, in nanoseconds.
    pub watermarks: Vec<i64>,
    /// Per node, whether its input had ended before the interval: it has given everything then.
    pub over: Vec<bool>,
    /// Splits whose rows some query judges by more than their own watermark.
    pub floors: Vec<Floor>,
    /// Per source, its slices' rows when it cannot be read again.
    pub kept: Vec<Option<Vec<RecordBatch>>>,
}

impl Journal {
    pub fn append(&mut self, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        self.entries.insert(entry.record.interval, Arc::clone(&entry));
        entry
    }

    pub fn get(&self, interval: u64) -> Option<Arc<Entry>> {
        self.entries.get(&interval).cloned()
    }

    /// Notes that what a stateful task gave in an interval is made of rows back to interval `since`.
    pub fn note(&mut self, interval: u64, task: (NodeId, usize), since: u64) {
        self.made_of.entry(interval).or_default().insert(task, since);
    }

    /// The first interval that what a stateful task gave in `interval` is made of.
    pub fn made_of(&self, interval: u64, task: (NodeId, usize)) -> u64 {
        let noted = self.made_of.get(&interval).and_then(|tasks| tasks.get(&task));
        noted.copied().unwrap_or(interval)
    }

    /// The first interval that is still there.
    pub fn first(&self) -> Option<u64> {
        self.entries.keys().next().copied()
    }

    /// Forgets the intervals before `interval`.
    pub fn release_before(&mut self, interval: u64) {
        self.entries = self.entries.split_off(&interval);
        self.made_of = self.made_of.split_off(&interval);
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
