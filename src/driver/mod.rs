//! The interval loop: freeze what has come, write it down, run the stages, commit, release.
//!
//! Owns: [`Program`], a set of queries that share their intervals. Guarantees: everything downstream of an interval
//! record is a pure function of it; outputs are committed in the order of intervals; a batch or state that is missing is
//! rebuilt from its lineage before it is used; a query that fails, or whose sink is slow, does not disturb the others.
//! Does **not** guarantee: durability (the journal is in memory for now).
//! Depends on the waist and the run half. Start reading at [`Program::interval`].

pub mod declared;
pub mod event_time;
pub mod execute;
pub mod idle;
pub mod intake;
pub mod lanes;
pub mod late;
mod live;
pub mod output;
pub mod progress;
pub mod recover;

use crate::config::Settings;
use crate::dstream::graph::{Graph, NodeId, Op, PanesNode, WatermarkRule};
use crate::dstream::record::{BatchId, BatchKind, ENDED, Floor, IntervalRecord};
use crate::error::{Error, Result};
use crate::lineage::BatchStore;
use crate::metrics::{Metrics, Stopwatch};
use crate::operators::stop::is_broken_off;
use crate::operators::{Batch, Dataset};
use crate::storage::{Entry, Journal};
use crate::tasks::Pool;
use declared::Declared;
use execute::Tasks;
use idle::{Idleness, Judgement};
use intake::{Intake, Reached, Taken, deal};
use late::{LateLog, Noticed};
use live::Live;
use output::Outputs;
use std::collections::VecDeque;
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
    /// For late rows: the sources with their computed columns.
    declared: Declared,
    idleness: Idleness,
    /// Per output, the sources that it is made of: indices into `intakes`.
    sources_of: Vec<Vec<usize>>,
    /// Per output, the watermark that it has reached, and on which clock it did.
    reached: Vec<(i64, i64)>,
    /// Per node, whether its input has ended.
    over: Vec<bool>,
    /// The first interval that any state is made of.
    pub oldest_needed: Option<u64>,
    /// When the first open window of arrival time ends: there is an interval then, whether or not rows come.
    next_end_ns: Option<i64>,
    has_arrival_windows: bool,
    /// Which queries still run, and which nodes they need.
    live: Live,
    /// Long work was broken off for a query that is wanted no more.
    pub broken_off: bool,
    /// How far the sources had been read when intervals ended that some output has not committed: each is to be told when
    /// all intervals before the number are committed.
    to_tell: VecDeque<(u64, Vec<Reached>)>,
}

/// What a program is made of.
pub struct Parts {
    pub graph: Graph,
    pub settings: Settings,
    pub intakes: Vec<Intake>,
    pub tasks: Tasks,
    pub pool: Pool,
    pub store: Arc<BatchStore>,
    pub outputs: Outputs,
    pub late: Arc<LateLog>,
    pub declared: Declared,
    pub metrics: Arc<Metrics>,
    pub clock: Arc<dyn Clock>,
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
    /// Every source has ended and everything is committed, or no query wants more.
    Done,
}

impl Program {
    pub fn new(parts: Parts) -> Program {
        let live = Live::new(&parts.graph);
        let mut rules = parts.graph.nodes.iter().map(|node| node.watermark);
        let has_arrival_windows = rules.any(|rule| rule == WatermarkRule::Clock);
        let sources_of: Vec<Vec<usize>> = parts.graph.outputs.iter().map(|o| parts.graph.sources_of(o)).collect();
        let timeouts = idle::timeouts(&parts.graph.outputs, &sources_of, &parts.intakes, &parts.settings);
        Program {
            idleness: Idleness::new(timeouts),
            sources_of,
            reached: Vec::new(),
            over: Vec::new(),
            graph: Arc::new(parts.graph),
            settings: parts.settings,
            intakes: parts.intakes,
            tasks: parts.tasks,
            pool: parts.pool,
            store: parts.store,
            journal: Journal::default(),
            outputs: parts.outputs,
            late: parts.late,
            declared: parts.declared,
            metrics: parts.metrics,
            clock: parts.clock,
            next: 0,
            clock_ns: i64::MIN,
            oldest_needed: None,
            next_end_ns: None,
            has_arrival_windows,
            live,
            broken_off: false,
            to_tell: VecDeque::new(),
        }
    }

    /// Takes rows into `taken` (one per source), up to the limits. A source that fails takes the queries that read it
    /// with it. `timed`: the clock closes intervals too.
    pub fn gather(&mut self, taken: &mut Vec<Taken>, timed: bool) {
        taken.resize_with(self.intakes.len(), Taken::default);
        // Under backlog rows and bytes decide; where windows are of arrival time, so does the clock.
        let (by_clock, cut_ns) = (timed && self.has_arrival_windows, self.next_cut_ns());
        let clock = Arc::clone(&self.clock);
        let cut = || by_clock && clock.now_ns() >= cut_ns;
        let (rows, bytes) = (
            self.settings.max_rows_per_interval,
            self.settings.max_bytes_per_interval,
        );
        let mut failed = Vec::new();
        for (index, (intake, taken)) in self.intakes.iter_mut().zip(taken).enumerate() {
            let took = intake.discover().and_then(|()| intake.take(taken, rows, bytes, &cut));
            if let Err(error) = took {
                failed.push((index, error));
            }
        }
        self.fail_sources(failed);
    }

    /// Judges what was taken by the clock of its interval.
    fn settle(&mut self, taken: &mut [Taken]) {
        let mut failed = Vec::new();
        for (index, (intake, taken)) in self.intakes.iter_mut().zip(taken).enumerate() {
            match intake.settle(taken, self.clock_ns) {
                Ok(Some(ahead_ns)) => self.metrics.jumped(ahead_ns),
                Ok(None) => {}
                Err(error) => failed.push((index, error)),
            }
        }
        self.fail_sources(failed);
    }

    fn fail_sources(&mut self, failed: Vec<(usize, Error)>) {
        for (index, error) in failed {
            if let Some(node) = self.graph.sources.get(index).copied() {
                self.fail(node, error);
            }
        }
    }

    /// The queries that a node feeds cannot go on; the others do.
    fn fail(&mut self, node: NodeId, error: Error) {
        let broken_off = is_broken_off(&error);
        self.broken_off |= broken_off;
        let error = Arc::new(error);
        for output in self.live.fed_by(node) {
            match broken_off {
                true => self.outputs.stop_one(output),
                false => self.outputs.fail(output, &error),
            }
        }
        self.prune();
    }

    /// Looks what has become of outputs that are delivered to at their own pace, and tells the sources what is committed.
    pub fn look(&mut self) {
        if self.outputs.look() {
            self.prune();
        }
        let oldest = self.outputs.oldest_waiting().unwrap_or(u64::MAX);
        while let Some((_, reached)) = self.to_tell.pop_front_if(|(before, _)| *before <= oldest) {
            self.intakes
                .iter_mut()
                .zip(&reached)
                .for_each(|(intake, reached)| intake.committed(reached));
        }
    }

    /// Stops one query.
    pub fn stop_one(&mut self, output: usize) {
        self.outputs.stop_one(output);
        self.prune();
    }

    /// Forgets what only queries needed that run no longer.
    fn prune(&mut self) {
        self.idleness.retain(|output| self.outputs.runs(output));
        for node in self.live.update(|output| self.outputs.runs(output)) {
            self.store.forget(node);
            let Some(index) = self.graph.sources.iter().position(|s| *s == node) else {
                continue;
            };
            let failed = self.live.fed_by(node).into_iter().find_map(|o| self.outputs.failure(o));
            if let Some(error) = failed {
                self.intakes[index].failed(error);
            }
            if !self.intakes[index].ended() {
                self.intakes[index].close();
            }
        }
    }

    /// A limit of some source has been reached: the interval is closed at once.
    pub fn full(&self, taken: &[Taken]) -> bool {
        let (rows, bytes) = (
            self.settings.max_rows_per_interval,
            self.settings.max_bytes_per_interval,
        );
        taken.iter().any(|t| t.rows >= rows || t.bytes >= bytes)
    }

    /// Something has come, and the next multiple of the setting `interval` has been reached; or an output is to be told
    /// the clock.
    pub fn is_due(&self, taken: &[Taken]) -> bool {
        let waits = self.until_due(taken).into_iter().chain(self.until_told());
        waits.min().is_some_and(|wait| wait.is_zero())
    }

    /// How long to wait before an output is told the clock that keeps rows back.
    pub fn until_told(&self) -> Option<Duration> {
        let wait = self.outputs.next_tell_ns()?.saturating_sub(self.clock.now_ns());
        Some(Duration::from_nanos(wait.max(0) as u64))
    }

    /// How long to wait before what has come is run; `None` when nothing has come.
    pub fn until_due(&self, taken: &[Taken]) -> Option<Duration> {
        let came = taken.iter().any(|t| t.rows > 0 || !t.bad.is_empty());
        let constants = self.next == 0 && self.graph.has_constants();
        let next = self.next_cut_ns();
        let due = match came || constants || self.intakes.iter().any(Intake::would_advance) || self.fell_quiet() {
            true => Some(next),
            // Nothing comes: the next thing to happen is that somebody has been quiet for long enough, or that a window
            // of arrival time ends.
            false => {
                let quiet = self.idleness.next_deadline().map(|deadline| deadline.max(next));
                quiet.into_iter().chain(self.next_end_ns).min()
            }
        };
        let wait = due?.saturating_sub(self.clock.now_ns());
        Some(Duration::from_nanos(wait.max(0) as u64))
    }

    /// Some query waits for a split that has fallen quiet since the last interval.
    fn fell_quiet(&self) -> bool {
        let watched = |(place, intake): (usize, &Intake)| self.idleness.watches(place) && intake.fell_quiet();
        self.intakes.iter().enumerate().any(watched)
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

    /// More comes only when somebody puts it in: what ends by itself has ended, and everything is committed.
    pub fn has_worked_off(&self) -> bool {
        let taken = self.intakes.iter().all(|intake| !intake.awaited || intake.ended());
        taken && self.outputs.oldest_waiting().is_none()
    }

    /// Ends the outputs whose own sources have ended: what they fill may be read by others of the program.
    fn finish_ended(&mut self) {
        let ended: Vec<bool> = self.intakes.iter().map(Intake::ended).collect();
        for (index, sources) in self.sources_of.iter().enumerate() {
            if sources.iter().all(|source| ended.get(*source) != Some(&false)) {
                self.outputs.finish_one(index);
            }
        }
    }

    /// Runs one interval over what was taken.
    pub fn interval(&mut self, mut taken: Vec<Taken>) -> Result<Turn> {
        let t = self.next;
        let watch = Stopwatch::start();
        self.clock_ns = self.clock_ns.max(self.clock.now_ns());
        self.settle(&mut taken);
        let rows: usize = taken.iter().map(|t| t.rows).sum();
        let entry = self.freeze(t, taken)?;
        self.run_nodes(&entry, rows <= SMALL_INTERVAL_ROWS);
        let given = self.fill_outputs(&entry);
        self.count_late(&entry);
        self.outputs.deliver(t, self.clock_ns);
        self.finish_ended();
        self.next += 1;
        self.tell_sources();
        self.prune();
        self.release(t);
        self.metrics.interval(t, rows as u64, given as u64, watch);
        if !self.outputs.any_runs() || self.ended() {
            return Ok(Turn::Done);
        }
        Ok(Turn::Ran)
    }

    /// Tells the sources that everything taken so far is committed, or changes nothing; once it is, when an output lags.
    pub fn tell_sources(&mut self) {
        if self.to_tell.back().is_some_and(|(before, _)| *before == self.next) {
            self.to_tell.pop_back();
        }
        let reached = self.intakes.iter().map(Intake::reached).collect();
        self.to_tell.push_back((self.next, reached));
        self.look();
    }

    /// Hands the interval's rows to the outputs; gives how many there were.
    fn fill_outputs(&mut self, entry: &Entry) -> usize {
        let graph = Arc::clone(&self.graph);
        let mut rows = 0;
        for (index, output) in graph.outputs.iter().enumerate() {
            if !self.outputs.runs(index) {
                continue;
            }
            let mut batches = Vec::new();
            let gathered = output.nodes.iter().try_for_each(|node| {
                batches.extend(self.all_batches(*node, entry)?);
                Ok(())
            });
            match gathered.and_then(|()| self.outputs.take(index, output, &batches)) {
                Ok(given) => rows += given,
                Err(error) => self.outputs.fail(index, &Arc::new(error)),
            }
        }
        rows
    }

    /// Closes the interval: slices, partitions, watermarks and the clock, which was read once, go into its record.
    fn freeze(&mut self, t: u64, taken: Vec<Taken>) -> Result<Arc<Entry>> {
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
            self.metrics.read(index, taken.rows as u64);
            self.metrics.bad(taken.bad.len() as u64);
            self.late.keep_bad(&self.graph, *node, taken.bad);
            let watermark = intake.advance_watermark();
            let (mut source, dealt) = deal(taken.slices, partitions, watermark);
            if !self.idleness.is_off() {
                source.splits = intake.stand(self.clock_ns);
            }
            kept.push((!intake.source().replayable()).then(|| {
                let mut slices: Vec<_> = dealt.iter().flatten().collect();
                slices.sort_by_key(|s| s.record);
                slices.into_iter().map(|s| s.batch.clone()).collect()
            }));
            for (partition, mut slices) in dealt.into_iter().enumerate() {
                for slice in &mut slices {
                    let mut whole = slice.clone();
                    whole.batch = Tasks::placed(&self.graph, *node, whole.batch, &source.slices[slice.record])?;
                    *slice = intake.without_future(whole, self.clock_ns)?;
                }
                let batch = Batch {
                    data: Dataset::Slices(slices),
                    ..Batch::default()
                };
                if self.live.needs(*node) {
                    self.store.put(rows_id(*node, t, partition), Arc::new(batch));
                }
            }
            record.sources.push(source);
        }
        let of_source = |place: usize| record.sources.get(place).map_or(ENDED, |s| s.watermark_ns);
        let mut watermarks = watermarks(&self.graph, record.clock_ns, of_source);
        let floors = match self.idleness.is_off() {
            true => Vec::new(),
            false => self.look_for_idle(&record, &mut watermarks),
        };
        self.note_reached(&watermarks);
        let over = watermarks.iter().map(|watermark| *watermark == ENDED).collect();
        let over = std::mem::replace(&mut self.over, over);
        Ok(self.journal.append(Entry {
            record,
            watermarks,
            over,
            floors,
            kept,
        }))
    }

    /// Leaves out who is idle: gives the floors, and puts in the watermarks of the queries that have a time-out.
    fn look_for_idle(&mut self, record: &IntervalRecord, of_nodes: &mut [i64]) -> Vec<Floor> {
        let Judgement { sources, floors } = self.idleness.advance(record);
        for output in self.idleness.outputs() {
            let own = |place| {
                let own = sources.iter().find(|(of, p, _)| (*of, *p) == (output, place));
                own.map_or(ENDED, |(_, _, watermark)| *watermark)
            };
            let of_query = watermarks(&self.graph, record.clock_ns, own);
            for (node, watermark) in of_query.into_iter().enumerate() {
                if self.live.is_alone(node, output) {
                    of_nodes[node] = watermark;
                }
            }
        }
        for (place, intake) in self.intakes.iter_mut().enumerate() {
            intake.judge_from(|split| self.idleness.judged_from(place, split));
        }
        floors
    }

    /// Forgets what nothing open is made of any more.
    fn release(&mut self, t: u64) {
        self.store.release_before(t);
        let oldest = self.oldest_needed.unwrap_or(t + 1).min(t + 1);
        if self.journal.first().is_some_and(|first| first < oldest) {
            self.journal.release_before(oldest);
        }
        self.metrics.kept(self.journal.len() as u64);
    }

    /// Late rows and what else the tasks noticed, counted once per interval.
    fn count_late(&mut self, entry: &Entry) {
        let graph = Arc::clone(&self.graph);
        let mut noticed = Noticed::default();
        for node in &graph.nodes {
            let Op::Panes(panes) = &node.op else { continue };
            if !self.live.needs(node.id) || !self.outputs.runs(panes.output) {
                continue;
            }
            if let Err(error) = self.count_late_of(node.id, panes, entry, &mut noticed) {
                self.outputs.fail(panes.output, &Arc::new(error));
            }
        }
    }

    fn count_late_of(&mut self, node: NodeId, panes: &PanesNode, entry: &Entry, noticed: &mut Noticed) -> Result<()> {
        let source = self.graph.sources.iter().position(|s| *s == panes.source);
        for batch in self.all_batches(node, entry)? {
            let Some((source, intake)) = source.and_then(|s| self.intakes.get(s).map(|i| (s, i))) else {
                continue;
            };
            let report = noticed.new_of(&self.graph, panes, &batch.report);
            late::count(&self.metrics, &self.graph, panes, &report, source, intake);
            let late = self
                .late
                .collect(panes, &report, entry, source, intake, &mut self.declared)?;
            self.outputs.came_late(panes.output, late);
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
fn watermarks(graph: &Graph, clock_ns: i64, of_source: impl Fn(usize) -> i64) -> Vec<i64> {
    let mut all: Vec<i64> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let inputs = node.inputs.iter().map(|i| all[*i]).min();
        let watermark = match (node.watermark, inputs) {
            (WatermarkRule::Splits, _) => {
                let source = graph.sources.iter().position(|s| *s == node.id);
                source.map_or(ENDED, &of_source)
            }
            (_, None) => ENDED,
            (WatermarkRule::Inputs, Some(least)) => least,
            (WatermarkRule::Clock, Some(ENDED)) => ENDED,
            (WatermarkRule::Clock, Some(_)) => clock_ns,
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
