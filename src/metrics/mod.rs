//! What is counted while a program runs.
//!
//! Owns: [`Metrics`] and [`Stopwatch`]. Guarantees: counting never waits, and answers never depend on it.
//! Does **not** guarantee: a consistent cut over several counters. Depends on nothing. Start reading at [`Summary`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Measures durations, which answers never depend on.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    fn micros(&self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}

/// Counters of a running program.
#[derive(Debug, Default)]
pub struct Metrics {
    intervals: AtomicU64,
    rows_in: AtomicU64,
    rows_out: AtomicU64,
    late: AtomicU64,
    late_partial: AtomicU64,
    null_time: AtomicU64,
    bad: AtomicU64,
    busy_us: AtomicU64,
    recomputed: AtomicU64,
    journal: AtomicU64,
    jump_ns: AtomicU64,
    /// Rows that were read, by source.
    read: Mutex<BTreeMap<usize, u64>>,
    /// By query and source, whose names are in it.
    late_of: Mutex<BTreeMap<(usize, usize), LateRows>>,
}

/// Rows of a source that came too late for a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LateRows {
    pub query: String,
    pub source: String,
    /// Late for all their windows.
    pub late: u64,
    /// Of so many that were read from the source.
    pub of_rows: u64,
    /// The delay in WATERMARK FOR that would have taken in every one of them, in nanoseconds.
    pub delay_ns: u64,
    /// The files of the source are read in the order of their names, as one split.
    pub in_order: bool,
}

/// What `done: …` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub intervals: u64,
    pub rows_in: u64,
    pub rows_out: u64,
    /// Rows late for all their windows.
    pub late: u64,
    /// Rows late for some of their windows.
    pub late_partial: u64,
    /// Records that could not be decoded.
    pub bad: u64,
    /// Rows without event time that reached a window.
    pub null_time: u64,
    /// Tasks that were run again because what they had made was lost.
    pub recomputed: u64,
    /// Intervals that are still written down.
    pub journal: u64,
    /// Rows, or groups, kept as state.
    pub state_rows: u64,
    /// Time spent inside intervals, in microseconds.
    pub busy_us: u64,
    /// How far ahead of the clock event time has jumped from the present, in nanoseconds; 0 when it has not.
    pub jump_ns: u64,
}

impl Metrics {
    pub fn interval(&self, _interval: u64, rows_in: u64, rows_out: u64, watch: Stopwatch) {
        self.intervals.fetch_add(1, Relaxed);
        self.rows_in.fetch_add(rows_in, Relaxed);
        self.rows_out.fetch_add(rows_out, Relaxed);
        self.busy_us.fetch_add(watch.micros(), Relaxed);
    }

    pub fn late(&self, late: u64, partial: u64, null_time: u64) {
        self.late.fetch_add(late, Relaxed);
        self.late_partial.fetch_add(partial, Relaxed);
        self.null_time.fetch_add(null_time, Relaxed);
    }

    /// Rows of a source were read.
    pub fn read(&self, source: usize, rows: u64) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *read.entry(source).or_default() += rows;
    }

    /// Rows of a source came too late for a query. `rows` are those of one interval.
    pub fn late_of(&self, query: usize, source: usize, rows: LateRows) {
        let mut all = self.late_of.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = all.entry((query, source)).or_insert_with(|| LateRows {
            late: 0,
            ..rows.clone()
        });
        so_far.late += rows.late;
        so_far.delay_ns = so_far.delay_ns.max(rows.delay_ns);
    }

    /// What came too late for a query, by source.
    pub fn late_rows_of(&self, query: usize) -> Vec<LateRows> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = self.late_of.lock().unwrap_or_else(PoisonError::into_inner);
        let of_query = all.range((query, 0)..=(query, usize::MAX));
        let rows = |((_, source), rows): (&(usize, usize), &LateRows)| LateRows {
            of_rows: read.get(source).copied().unwrap_or_default(),
            ..rows.clone()
        };
        of_query.map(rows).collect()
    }

    /// Event time has jumped so far ahead of the clock.
    pub fn jumped(&self, ahead_ns: i64) {
        self.jump_ns.fetch_max(ahead_ns.max(0) as u64, Relaxed);
    }

    pub fn bad(&self, count: u64) {
        self.bad.fetch_add(count, Relaxed);
    }

    pub fn recomputed(&self, tasks: u64) {
        self.recomputed.fetch_add(tasks, Relaxed);
    }

    pub fn kept(&self, journal: u64) {
        self.journal.store(journal, Relaxed);
    }

    /// The numbers so far; `state_rows` are what is kept now.
    pub fn summary(&self, state_rows: u64) -> Summary {
        Summary {
            intervals: self.intervals.load(Relaxed),
            rows_in: self.rows_in.load(Relaxed),
            rows_out: self.rows_out.load(Relaxed),
            late: self.late.load(Relaxed),
            late_partial: self.late_partial.load(Relaxed),
            bad: self.bad.load(Relaxed),
            null_time: self.null_time.load(Relaxed),
            recomputed: self.recomputed.load(Relaxed),
            journal: self.journal.load(Relaxed),
            state_rows,
            busy_us: self.busy_us.load(Relaxed),
            jump_ns: self.jump_ns.load(Relaxed),
        }
    }
}
