//! What the nodes of a graph do with their input.
//!
//! Owns: the physical form of every node. A stage is a [`fragment::Fragment`]; windows are [`panes`] (map side) and
//! [`windows`] (state side); [`closed`] runs a batch over what has closed.
//! Guarantees: a task is a pure function of its input batches and, for stateful ones, of its state: no clock, no file,
//! no chance. Running it again gives the same rows in the same order.
//! Does **not** guarantee: anything about when or where tasks run (`driver`, `tasks`), or what is kept (`lineage`).
//! Depends on `dstream`, `state` and the ground. Start reading at [`Batch`].
//!
//! A new operator is one file here, one variant of `dstream::graph::Op`, and a few lines that ARCHITECTURE.md names
//! ("Where do I add …").

mod all_sessions;
pub mod arithmetic;
pub mod batch_function;
pub mod chance;
pub mod closed;
pub mod exchange;
pub mod extremes;
pub mod folding;
pub mod fragment;
pub mod input;
pub mod inverse;
pub mod lookup_join;
pub mod nested_extremes;
pub mod panes;
pub mod runtime;
pub mod sessions;
pub mod static_table;
pub mod stop;
pub mod sums;
pub mod union;
pub mod window_expand;
pub mod windows;
pub mod zeros;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use std::sync::Arc;

/// The dataset of a node for one interval and partition. Immutable.
#[derive(Debug, Default)]
pub struct Batch {
    pub data: Dataset,
    /// The first interval that its rows are made of, when it is not the batch's own: what a window gives began earlier.
    pub since: Option<u64>,
    /// What was noticed on the way; counted once, when the interval commits, however often the batch is rebuilt.
    pub report: Report,
}

#[derive(Debug)]
pub enum Dataset {
    /// Of a source: rows with their place in the splits.
    Slices(Vec<Slice>),
    /// Of an operator: rows for each partition of the consumer (one bucket when there is no exchange).
    Buckets(Vec<Vec<Piece>>),
}

impl Default for Dataset {
    fn default() -> Self {
        Dataset::Buckets(Vec::new())
    }
}

/// Consecutive rows of one split.
#[derive(Debug, Clone)]
pub struct Slice {
    pub batch: RecordBatch,
    /// The watermark before each row, in nanoseconds; `None` when no row lies behind it.
    pub watermarks: Option<Arc<Int64Array>>,
    /// Which slice of the interval's record of that source this is.
    pub record: usize,
}

/// Rows that share what windows refuse them.
#[derive(Debug, Clone)]
pub struct Piece {
    pub batch: RecordBatch,
    /// Windows that end here or earlier must leave these rows out; [`NOT_REFUSED`] for rows in time (docs/time.md).
    pub refused: i64,
}

/// Of rows in time.
pub const NOT_REFUSED: i64 = i64::MIN;

impl Batch {
    /// Rows for one consumer partition.
    pub fn rows(batches: Vec<RecordBatch>) -> Batch {
        let pieces = batches
            .into_iter()
            .map(|batch| Piece {
                batch,
                refused: NOT_REFUSED,
            })
            .collect();
        Batch {
            data: Dataset::Buckets(vec![pieces]),
            ..Batch::default()
        }
    }

    /// All rows of all buckets, in order.
    pub fn record_batches(&self) -> Vec<RecordBatch> {
        match &self.data {
            Dataset::Slices(slices) => slices.iter().map(|s| s.batch.clone()).collect(),
            Dataset::Buckets(buckets) => buckets.iter().flatten().map(|p| p.batch.clone()).collect(),
        }
    }

    /// The pieces for one partition of the consumer.
    pub fn bucket(&self, partition: usize) -> &[Piece] {
        match &self.data {
            Dataset::Buckets(buckets) => buckets.get(partition).map_or(&[], Vec::as_slice),
            Dataset::Slices(_) => &[],
        }
    }

    pub fn num_rows(&self) -> usize {
        match &self.data {
            Dataset::Slices(slices) => slices.iter().map(|s| s.batch.num_rows()).sum(),
            Dataset::Buckets(buckets) => buckets.iter().flatten().map(|p| p.batch.num_rows()).sum(),
        }
    }
}

/// What a task noticed.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Rows that were late for some of their windows.
    pub late_partial: Vec<SourceRow>,
    /// Rows without event time, which belong to no window.
    pub null_time: Vec<SourceRow>,
    pub late: Vec<LateRow>,
}

/// A row as its source gave it, however often it came below its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceRow {
    /// The slice of the interval's record, and the row in it.
    pub slice: usize,
    pub row: usize,
}

/// A row that was late for all its windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateRow {
    pub source: SourceRow,
    /// The last window missed, in the unit of the event time.
    pub window_start: i64,
    pub window_end: i64,
    /// Nanoseconds.
    pub watermark_ns: i64,
    /// How far its event time lies behind that watermark.
    pub behind_ns: i64,
}
