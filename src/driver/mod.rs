//! The interval loop: freeze what has come, write it down, run the stages, commit, release.
//!
//! Owns: [`Program`], a set of queries that share their intervals. Guarantees: everything downstream of an interval
//! record is a pure function of it; outputs are committed in the order of intervals; a batch or state that is missing is
//! rebuilt from its lineage before it is used. Does **not** guarantee: durability (the journal is in memory for now).
//! Depends on the waist and the run half. Start reading at [`Program::interval`].

pub mod execute;
pub mod intake;
pub mod late;
pub mod output;
pub mod recover;

use crate::config::Settings;
use crate::dstream::graph::{Graph, NodeId, Op, WatermarkRule};
use crate::dstream::record::{BatchId, BatchKind, ENDED, IntervalRecord};
use crate::error::{Error, Result};
use crate::lineage::BatchStore;
use crate::metrics::{Metrics, Stopwatch};
use crate::operators::{Batch, Dataset};
use crate::storage::{Entry, Journal};
use crate::tasks::Pool;
use execute::Tasks;
use intake::{Intake, Taken, deal};
use late::LateLog;
use output::Outputs;
use std::sync::Arc;
use std::time::Duration;

/// Rows of an interval up to which it runs on one thread: handing over costs more than the work.
const SMALL_INTERVAL_ROWS: usize = 4_096;

/// A running program: queries that started together and share interval records.
pub struct Program {
    pub graph: Arc<Graph>,
    pub settings: Settings,
    pub intakes: Vec<Intake>,
    pub tasks: Tasks,
    pub pool: Pool,
    pub store: Arc<BatchStore>,
    pub journal: Journal,
    pub outputs: Outputs,
    pub late: Arc<LateLog>,
    pub metrics: Arc<Metrics>,
    pub clock: Arc<dyn Clock>,
    pub next: u64,
    pub clock_ns: i64,
    /// The first interval that any state is made of.
    pub oldest_needed: Option<u64>,
    /// When the first open window of arrival time ends: there is an interval then, whether or not rows come.
    pub next_end_ns: Option<i64>,
}

/// Where "now" comes from: the one clock that answers may depend on. It is read once per interval, and recorded.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the epoch.
    fn now_ns(&self) -> i64;
}

/// What one turn of the loop came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// An interval was run.
    Ran,
    /// There is nothing to run before more comes.
    Idle,
    /// Every source has ended and everything is committed, or no query wants more.
    Done,
}

impl Program {
    /// Whether enough is there to close an interval now: a limit is reached, or every source has ended or waits.
    /// Takes rows into `taken` (one per source). `timed`: the clock closes intervals too.
    pub fn gather(&mut self, taken: &mut Vec<Taken>, timed: bool) -> Result<()> {
        taken.resize_with(self.intakes.len(), Taken::default);
        // Under backlog rows and bytes decide; where windows are of arrival time, so does the clock.
        let (by_clock, cut_ns) = (timed && self.has_arrival_windows(), self.next_cut_ns());
        let clock = Arc::clone(&self.clock);
        let cut = || by_clock && clock.now_ns() >= cut_ns;
        for (intake, taken) in self.intakes.iter_mut().zip(taken) {
            intake.discover()?;
            intake.take(
                taken,
                self.settings.max_rows_per_interval,
                self.settings.max_bytes_per_interval,
                &cut,
            )?;
        }
        Ok(())
    }

    fn has_arrival_windows(&self) -> bool {
        let nodes = self.graph.nodes.iter();
        nodes
            .map(|node| node.watermark)
            .any(|rule| rule == WatermarkRule::Clock)
    }

    /// A limit of some source has been reached: the interval is closed at once.
    pub fn full(&self, taken: &[Taken]) -> bool {
        let (rows, bytes) = (
            self.settings.max_rows_per_interval,
            self.settings.max_bytes_per_interval,
        );
        taken.iter().any(|t| t.rows >= rows || t.bytes >= bytes)
    }

    /// Something has come, and the next multiple of the setting `interval` has been reached.
    pub fn is_due(&self, taken: &[Taken]) -> bool {
        self.until_due(taken).is_some_and(|wait| wait.is_zero())
    }

    /// How long to wait before what has come is run; `None` when nothing has come.
    pub fn until_due(&self, taken: &[Taken]) -> Option<Duration> {
        let came = taken.iter().any(|t| t.rows > 0 || !t.bad.is_empty());
        let due = match came || self.intakes.iter().any(Intake::would_advance) {
            true => Some(self.next_cut_ns()),
            false => self.next_end_ns,
        };
        let wait = due?.saturating_sub(self.clock.now_ns());
        Some(Duration::from_nanos(wait.max(0) as u64))
    }

    /// The next multiple of the setting `interval` on the clock.
    fn next_cut_ns(&self) -> i64 {
        let width = self.settings.interval_ns;
        self.clock_ns.div_euclid(width).saturating_add(1).saturating_mul(width)
    }

    /// Nothing can be added to the interval by waiting for files or generators: they have ended, or their limit is
    /// reached. (A push source is not waited for.)
    pub fn is_settled(&self, taken: &[Taken]) -> bool {
        let limit = self.settings.max_rows_per_interval;
        let settled = |(intake, taken): (&Intake, &Taken)| !intake.bounded || intake.ended() || taken.rows >= limit;
        self.intakes.iter().zip(taken).all(settled)
    }

    pub fn ended(&self) -> bool {
        self.intakes.iter().all(Intake::ended)
    }

    /// Runs one interval over what was taken.
    pub fn interval(&mut self, taken: Vec<Taken>) -> Result<Turn> {
        let t = self.next;
        let watch = Stopwatch::start();
        let rows: usize = taken.iter().map(|t| t.rows).sum();
        let entry = self.freeze(t, taken)?;
        self.run_nodes(&entry, rows <= SMALL_INTERVAL_ROWS)?;
        let given = self.prepare_outputs(t, &entry)?;
        self.count_late(&entry)?;
        self.outputs.prepare_late(t)?;
        let wanted = self.outputs.commit(t)?;
        self.tell_sources();
        self.release(t);
        self.metrics.interval(t, rows as u64, given as u64, watch);
        self.next += 1;
        if !wanted || self.ended() {
            return Ok(Turn::Done);
        }
        Ok(Turn::Ran)
    }

    /// Tells the sources that everything taken so far is committed, or changes nothing.
    pub fn tell_sources(&mut self) {
        self.intakes.iter_mut().for_each(Intake::committed);
    }

    /// Hands the interval's rows to the outputs; gives how many there were.
    fn prepare_outputs(&mut self, t: u64, entry: &Entry) -> Result<usize> {
        let graph = Arc::clone(&self.graph);
        let mut batches = Vec::new();
        for output in &graph.outputs {
            let mut of_output = Vec::new();
            for node in &output.nodes {
                of_output.extend(self.all_batches(*node, entry)?);
            }
            batches.push(of_output);
        }
        self.outputs.prepare(t, &graph, &batches)
    }

    /// Closes the interval: slices, partitions, watermarks and the clock go into its record.
    fn freeze(&mut self, t: u64, taken: Vec<Taken>) -> Result<Arc<Entry>> {
        self.clock_ns = self.clock_ns.max(self.clock.now_ns());
        let rows: usize = taken.iter().map(|t| t.rows).max().unwrap_or(0);
        let partitions = if rows <= SMALL_INTERVAL_ROWS {
            1
        } else {
            self.tasks.partitions
        };
        let mut record = IntervalRecord {
            interval: t,
            clock_ns: self.clock_ns,
            partitions,
            sources: Vec::new(),
        };
        let mut kept = Vec::new();
        for (index, taken) in taken.into_iter().enumerate() {
            let (Some(intake), Some(node)) = (self.intakes.get_mut(index), self.graph.sources.get(index)) else {
                continue;
            };
            self.metrics.bad(taken.bad.len() as u64);
            self.late.keep_bad(&self.graph, *node, taken.bad);
            let watermark = intake.advance_watermark();
            let (source, dealt) = deal(taken.slices, partitions, watermark);
            kept.push((!intake.source().replayable()).then(|| {
                let mut slices: Vec<_> = dealt.iter().flatten().collect();
                slices.sort_by_key(|s| s.record);
                slices.into_iter().map(|s| s.batch.clone()).collect()
            }));
            for (partition, mut slices) in dealt.into_iter().enumerate() {
                for slice in &mut slices {
                    let batch = slice.batch.clone();
                    slice.batch = Tasks::placed(&self.graph, *node, batch, &source.slices[slice.record])?;
                }
                let batch = Batch {
                    data: Dataset::Slices(slices),
                    ..Batch::default()
                };
                self.store.put(rows_id(*node, t, partition), Arc::new(batch));
            }
            record.sources.push(source);
        }
        let watermarks = watermarks(&self.graph, &record);
        Ok(self.journal.append(Entry {
            record,
            watermarks,
            kept,
        }))
    }

    /// Forgets what nothing open is made of any more.
    fn release(&mut self, t: u64) {
        self.store.release_before(t);
        let oldest = self.oldest_needed.unwrap_or(t + 1).min(t + 1);
        if self.journal.first().is_some_and(|first| first < oldest) {
            self.journal.release_before(oldest);
        }
        self.metrics
            .kept(self.journal.len() as u64, self.store.state_rows() as u64);
    }

    /// Late rows and what else the tasks noticed, counted once per interval.
    fn count_late(&mut self, entry: &Entry) -> Result<()> {
        let graph = Arc::clone(&self.graph);
        for node in &graph.nodes {
            let Op::Panes(panes) = &node.op else { continue };
            let batches = self.all_batches(node.id, entry)?;
            let source = graph.sources.iter().position(|s| *s == panes.source);
            let Some((source, intake)) = source.and_then(|s| self.intakes.get(s).map(|i| (s, i))) else {
                continue;
            };
            for batch in batches {
                let late = self
                    .late
                    .count(panes, &batch.report, entry, source, intake, &self.metrics)?;
                self.outputs.came_late(panes.output, late);
            }
        }
        Ok(())
    }
}

/// The name of a node's batch.
pub fn rows_id(node: NodeId, interval: u64, partition: usize) -> BatchId {
    BatchId {
        node,
        interval,
        partition,
        kind: BatchKind::Rows,
    }
}

/// The name of a partition of a node's state after an interval.
pub fn state_id(node: NodeId, interval: u64, partition: usize) -> BatchId {
    BatchId {
        node,
        interval,
        partition,
        kind: BatchKind::State,
    }
}

/// Per node, its watermark after the interval (docs/time.md): the least of its inputs.
fn watermarks(graph: &Graph, record: &IntervalRecord) -> Vec<i64> {
    let mut all: Vec<i64> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let inputs = node.inputs.iter().map(|i| all[*i]).min();
        let watermark = match (node.watermark, inputs) {
            (WatermarkRule::Splits, _) => {
                let source = graph.sources.iter().position(|s| *s == node.id);
                source
                    .and_then(|s| record.sources.get(s))
                    .map_or(ENDED, |s| s.watermark_ns)
            }
            (_, None) => ENDED,
            (WatermarkRule::Inputs, Some(least)) => least,
            (WatermarkRule::Clock, Some(ENDED)) => ENDED,
            (WatermarkRule::Clock, Some(_)) => record.clock_ns,
            (WatermarkRule::AtEnd, Some(ENDED)) => ENDED,
            (WatermarkRule::AtEnd, Some(_)) => crate::dstream::record::NO_WATERMARK,
        };
        all.push(watermark);
    }
    all
}

/// An error that names what went wrong inside the engine.
pub fn missing(what: &str) -> Error {
    Error::internal(format!("{what} is missing"))
}
