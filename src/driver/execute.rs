//! Running the nodes of one interval, level by level, a task per partition.

use super::idle::floored;
use super::live::Live;
use super::{Program, missing, rows_id, state_id};
use crate::dstream::graph::{Aggregation, Graph, Node, NodeId, Op, WatermarkRule};
use crate::dstream::nodes::{OFFSET, SPLIT};
use crate::dstream::record::SliceRecord;
use crate::dstream::table::unit_ns;
use crate::error::Result;
use crate::operators::Batch;
use crate::operators::closed;
use crate::operators::fragment::{Workshop, failed};
use crate::operators::runtime::{InputBatches, Runtime, State};
use crate::operators::stop::Stop;
use crate::storage::Entry;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Every node's copies, one per partition: planned once, run for every interval.
pub struct Tasks {
    /// Partitions of stateless stages under load, and of keyed state.
    pub partitions: usize,
    copies: Vec<Vec<Arc<Mutex<Runtime>>>>,
    /// Nodes by their distance from the sources: what stands in one level can run at once.
    levels: Vec<Vec<NodeId>>,
}

impl Tasks {
    /// Plans every node, `partitions` copies of each. `stops`: per output, what breaks off its long work.
    pub fn new(graph: &Graph, partitions: usize, shop: &Workshop, stops: &[Stop]) -> Result<Tasks> {
        let live = Live::new(graph);
        let mut copies = Vec::new();
        let mut depth: Vec<usize> = Vec::new();
        for node in &graph.nodes {
            depth.push(node.inputs.iter().map(|i| depth[*i] + 1).max().unwrap_or(0));
            let count = match &node.op {
                Op::Source(_) => 0,
                Op::WindowRows(_) => 1,
                Op::Closed(closed) => closed::partitions_of(closed, partitions),
                Op::Windows(windows) => keyed_partitions(Some(&windows.aggregation), partitions),
                Op::Stage(_) | Op::Panes(_) => partitions,
            };
            let target = match &node.op {
                Op::Panes(panes) => keyed_partitions(panes.aggregation.as_deref(), partitions),
                _ => partitions,
            };
            let mut shop = shop.clone();
            // Only sources feed several outputs.
            if let [output] = live.fed_by(node.id)[..] {
                shop.stop = stops.get(output).cloned().unwrap_or_default();
            }
            let copy = |_| Ok(Arc::new(Mutex::new(Runtime::new(node, target, &shop)?)));
            copies.push((0..count).map(copy).collect::<Result<Vec<_>>>()?);
        }
        let mut levels = vec![Vec::new(); depth.iter().max().map_or(0, |d| d + 1)];
        for (node, depth) in depth.iter().enumerate() {
            levels[*depth].push(node);
        }
        Ok(Tasks {
            partitions,
            copies,
            levels,
        })
    }

    pub fn levels(&self) -> &[Vec<NodeId>] {
        &self.levels
    }

    /// The copy of a node for one partition.
    pub fn copy(&self, node: NodeId, partition: usize) -> Result<Arc<Mutex<Runtime>>> {
        let copies = self.copies.get(node).filter(|c| !c.is_empty());
        let copy = copies.and_then(|c| c.get(partition % c.len()));
        copy.cloned().ok_or_else(|| missing("a task"))
    }

    /// A slice of a source as its readers see it: with `__split` and `__offset` behind, if some of them ask for them.
    pub fn placed(graph: &Graph, node: NodeId, batch: RecordBatch, slice: &SliceRecord) -> Result<RecordBatch> {
        match graph.nodes.get(node).map(|n| &n.op) {
            Some(Op::Source(source)) if source.placed => with_place(&batch, slice),
            _ => Ok(batch),
        }
    }

    /// How many partitions a node's batch of an interval has.
    pub fn partitions_of(&self, graph: &Graph, node: NodeId, entry: &Entry) -> usize {
        let Some(spec) = graph.nodes.get(node) else { return 0 };
        match (&spec.op, spec.inputs.first()) {
            (Op::Source(_), _) => entry.record.partitions,
            (Op::Windows(_) | Op::WindowRows(_) | Op::Closed(_), _) => self.copies[node].len(),
            (Op::Stage(_) | Op::Panes(_), Some(input)) => self.partitions_of(graph, *input, entry),
            (Op::Stage(_) | Op::Panes(_), None) => 0,
        }
    }
}

fn with_place(batch: &RecordBatch, slice: &SliceRecord) -> Result<RecordBatch> {
    let first = slice.rows_before as i64;
    let rows = batch.num_rows();
    let split = Int64Array::from_value(i64::from(slice.split), rows);
    let offset = Int64Array::from_iter_values(first..first + rows as i64);
    let hidden = [SPLIT, OFFSET].map(|name| Arc::new(Field::new(name, DataType::Int64, false)));
    let fields: Vec<_> = batch.schema().fields().iter().cloned().chain(hidden).collect();
    let mut columns = batch.columns().to_vec();
    columns.extend([Arc::new(split) as ArrayRef, Arc::new(offset)]);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| failed(e.into()))
}

/// Without keys there is nothing to exchange by; and rows that are kept whole are gathered by what reads them.
fn keyed_partitions(aggregation: Option<&Aggregation>, partitions: usize) -> usize {
    match aggregation {
        Some(aggregation) if aggregation.keys > 0 => partitions,
        _ => 1,
    }
}

/// A task's copy, whoever broke off while holding it.
pub fn held(copy: &Mutex<Runtime>) -> MutexGuard<'_, Runtime> {
    copy.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a stateful task gives: its rows, and its state after the interval.
pub type Folded = (Batch, Option<State>);

impl Program {
    /// Runs all nodes of the interval that some query needs; their batches are in the store afterwards. A task that fails
    /// takes its query with it.
    pub(super) fn run_nodes(&mut self, entry: &Arc<Entry>, inline: bool) {
        self.oldest_needed = None;
        self.next_end_ns = None;
        for level in 0..self.tasks.levels().len() {
            let mut jobs: Vec<Box<dyn FnOnce() -> Result<Folded> + Send>> = Vec::new();
            let mut names = Vec::new();
            for node in self.tasks.levels()[level].clone() {
                if matches!(self.graph.nodes[node].op, Op::Source(_)) || !self.live.needs(node) {
                    continue;
                }
                for partition in 0..self.tasks.partitions_of(&self.graph, node, entry) {
                    match self.job(node, partition, entry) {
                        Ok(job) => {
                            jobs.push(job);
                            names.push((node, partition));
                        }
                        Err(error) => self.fail(node, error),
                    }
                }
            }
            let results = self.pool.run(jobs, inline);
            for ((node, partition), result) in names.into_iter().zip(results) {
                match result {
                    Ok(done) if self.live.needs(node) => self.keep(node, partition, entry.record.interval, done),
                    Ok(_) => {}
                    Err(error) => self.fail(node, error),
                }
            }
        }
    }

    /// What a task gave, into the store.
    fn keep(&mut self, node: NodeId, partition: usize, t: u64, (batch, state): Folded) {
        if let Some(since) = batch.since.filter(|since| state.is_some() && *since < t) {
            self.journal.note(t, (node, partition), since);
        }
        self.store.put(rows_id(node, t, partition), Arc::new(batch));
        if let Some(state) = state {
            // Noted here and not asked of the store, from which states may have been lost by then.
            let since = state.oldest_interval();
            self.oldest_needed = self.oldest_needed.into_iter().chain(since).min();
            let end = arrival_end(&self.graph, node, &state).filter(|end| *end > self.clock_ns);
            self.next_end_ns = self.next_end_ns.into_iter().chain(end).min();
            self.store.put_state(state_id(node, t, partition), state);
        }
    }

    fn job(
        &mut self,
        node: NodeId,
        partition: usize,
        entry: &Arc<Entry>,
    ) -> Result<Box<dyn FnOnce() -> Result<Folded> + Send>> {
        let t = entry.record.interval;
        let copy = self.tasks.copy(node, partition)?;
        let graph = Arc::clone(&self.graph);
        let spec = graph.nodes.get(node).ok_or_else(|| missing("a node"))?;
        if is_stateful(spec) {
            let inputs = self.gathered(spec, entry)?;
            let state = self.state_before(node, partition, t)?;
            let watermark = closes_at(entry, node);
            let since = since(&inputs, t);
            return Ok(Box::new(move || {
                fold(&copy, state, partition, since, &inputs, watermark)
            }));
        }
        let input = spec.inputs.first().ok_or_else(|| missing("an input"))?;
        let input = floored(&graph, spec, self.batch(*input, t, partition)?, entry);
        let clock_ns = entry.record.clock_ns;
        Ok(Box::new(move || Ok((held(&copy).run(&input, clock_ns)?, None))))
    }

    /// Per input of a node, the batches of all its partitions.
    pub(super) fn gathered(&mut self, spec: &Node, entry: &Arc<Entry>) -> Result<Vec<InputBatches>> {
        let mut inputs = Vec::new();
        for input in &spec.inputs {
            inputs.push(self.all_batches(*input, entry)?);
        }
        Ok(inputs)
    }

    /// All batches of a node in the interval that runs.
    pub(super) fn all_batches(&mut self, node: NodeId, entry: &Entry) -> Result<Vec<Arc<Batch>>> {
        let partitions = self.tasks.partitions_of(&self.graph, node, entry);
        let t = entry.record.interval;
        (0..partitions).map(|p| self.batch(node, t, p)).collect()
    }

    /// A batch of the interval that runs, made again when it has been lost.
    pub(super) fn batch(&mut self, node: NodeId, t: u64, partition: usize) -> Result<Arc<Batch>> {
        match self.store.get(&rows_id(node, t, partition)) {
            Some(batch) => Ok(batch),
            None => self.recover_rows(node, t, partition),
        }
    }

    /// The state before interval `t`, made again when it has been lost.
    fn state_before(&mut self, node: NodeId, partition: usize, t: u64) -> Result<State> {
        let Some(before) = t.checked_sub(1) else {
            return self.empty_state(node);
        };
        match self.store.take_state(&state_id(node, before, partition)) {
            Some(state) => Ok(state),
            None => self.recover_state(node, before, partition),
        }
    }

    pub(super) fn empty_state(&self, node: NodeId) -> Result<State> {
        let copy = self.tasks.copy(node, 0)?;
        let state = held(&copy).new_state();
        state.ok_or_else(|| missing("a state"))
    }
}

/// When the first open window of a node that the clock closes ends, in nanoseconds.
fn arrival_end(graph: &Graph, node: NodeId, state: &State) -> Option<i64> {
    let window = match &graph.nodes.get(node)?.op {
        Op::Windows(windows) => windows.window,
        Op::WindowRows(rows) => rows.window,
        _ => return None,
    };
    let end = state.next_end().filter(|_| by_clock(graph, node))?;
    Some(end.saturating_mul(unit_ns(window.unit)))
}

/// Whether windows of arrival time stand at or below a node.
fn by_clock(graph: &Graph, node: NodeId) -> bool {
    graph.nodes.get(node).is_some_and(|node| {
        node.watermark == WatermarkRule::Clock || node.inputs.iter().any(|input| by_clock(graph, *input))
    })
}

pub fn is_stateful(spec: &Node) -> bool {
    matches!(spec.op, Op::Windows(_) | Op::WindowRows(_) | Op::Closed(_))
}

/// The first interval that what is folded in interval `t` is made of.
pub fn since(inputs: &[InputBatches], t: u64) -> u64 {
    let earlier = inputs.iter().flatten().filter_map(|batch| batch.since);
    earlier.min().unwrap_or(t).min(t)
}

/// The watermark of a node that may give something still: the other sources of a program go on when its own have ended.
pub fn closes_at(entry: &Entry, node: NodeId) -> Option<i64> {
    let over = entry.over.get(node).copied().unwrap_or_default();
    entry.watermarks.get(node).copied().filter(|_| !over)
}

/// A stateful task: the interval's batches into the state, then what closes at its watermark.
pub fn fold(
    copy: &Mutex<Runtime>,
    mut state: State,
    partition: usize,
    since: u64,
    inputs: &[InputBatches],
    watermark_ns: Option<i64>,
) -> Result<Folded> {
    let mut runtime = held(copy);
    runtime.fold(&mut state, partition, since, inputs)?;
    let batch = match watermark_ns {
        Some(watermark_ns) => runtime.close(&mut state, watermark_ns)?,
        None => Batch::default(),
    };
    Ok((batch, Some(state)))
}
