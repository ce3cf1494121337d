//! Names of batches, and what is written down about an interval.
//!
//! An [`IntervalRecord`] and the sources determine everything that the interval computes (D-Streams, SOSP 2013, §3:
//! deterministic batches from recorded input). Replaying a record gives the same bytes.

use crate::dstream::graph::NodeId;
use std::fmt;

/// The watermark before anything was seen.
pub const NO_WATERMARK: i64 = i64::MIN;
/// The watermark of an input that has ended.
pub const ENDED: i64 = i64::MAX;

/// The name of a batch, or of a partition of state: what can be lost and rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId {
    pub node: NodeId,
    pub interval: u64,
    pub partition: usize,
    pub kind: BatchKind,
}

/// A batch is a dataset of one interval; state is what a stateful operator knows after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BatchKind {
    Rows,
    State,
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            BatchKind::Rows => "rows",
            BatchKind::State => "state",
        };
        write!(
            f,
            "{kind} of node {}, interval {}, partition {}",
            self.node, self.interval, self.partition
        )
    }
}

/// What an interval is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntervalRecord {
    pub interval: u64,
    /// The only "now" of the interval: nanoseconds since the epoch; never goes back.
    pub clock_ns: i64,
    /// How many partitions its stateless stages ran in.
    pub partitions: usize,
    /// In the order of [`crate::dstream::graph::Graph::sources`].
    pub sources: Vec<SourceRecord>,
}

/// What an interval took from one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceRecord {
    /// In the order in which they were taken.
    pub slices: Vec<SliceRecord>,
    /// Watermark of the source after the interval, in nanoseconds (docs/time.md).
    pub watermark_ns: i64,
    /// Every split, when some query of the program asks which of them are idle; else none.
    pub splits: Vec<SplitRecord>,
}

/// How a split stands after an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitRecord {
    pub split: u32,
    pub ended: bool,
    /// Since when, on the recorded clock, the source has answered that nothing is there.
    pub quiet_since_ns: Option<i64>,
    /// Its own watermark, in nanoseconds.
    pub watermark_ns: i64,
}

/// The least watermark by which one query judges the rows of a split: it was idle, and its source went on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    pub output: usize,
    /// The place of the source in the graph.
    pub source: usize,
    pub split: u32,
    pub watermark_ns: i64,
}

/// Consecutive rows of one split, read by one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceRecord {
    pub split: u32,
    pub from: Place,
    pub to: Place,
    /// How many rows of the split came before: the same however the split is cut.
    pub rows_before: u64,
    pub rows: usize,
    pub partition: usize,
    /// The watermark of the split before its first row (derived, kept so that a slice can be judged on its own).
    pub watermark_before_ns: i64,
    /// Some row of the interval's slice lies behind its watermark, so each is judged by its own.
    pub judged: bool,
}

/// A place in a split (the connectors' `Offset`, as data of the waist).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    pub block: u64,
    pub row: u64,
}
