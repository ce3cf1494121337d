//! Making lost batches again: the lineage is walked back to what can still be read, and only the tasks on the way run.
//!
//! (D-Streams, SOSP 2013, §3.2 and §4: parallel recovery; the tasks of one node and interval run in parallel.)

use super::execute::{Folded, Tasks, closes_at, fold, held, is_stateful, since};
use super::idle::floored;
use super::{Program, missing, rows_id};
use crate::dstream::graph::{NodeId, Op};
use crate::error::{Error, Kind, Result};
use crate::lineage::{closure, needs_history};
use crate::operators::runtime::State;
use crate::operators::{Batch, Dataset, Slice};
use crate::storage::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Needed = BTreeMap<NodeId, BTreeSet<usize>>;

/// What has been made again so far.
#[derive(Default)]
struct Remade {
    rows: BTreeMap<(NodeId, usize), Arc<Batch>>,
    states: BTreeMap<(NodeId, usize), State>,
}

impl Program {
    /// A lost batch of interval `t`.
    pub(super) fn recover_rows(&mut self, node: NodeId, t: u64, partition: usize) -> Result<Arc<Batch>> {
        let needed = self.needed(node, partition, t)?;
        let first = if needs_history(&self.graph, &needed) {
            self.first_entry()?
        } else {
            t
        };
        let remade = self.replay(&needed, first, t)?;
        let batch = remade
            .rows
            .get(&(node, partition))
            .cloned()
            .ok_or_else(|| missing("a batch made again"))?;
        self.store.put(rows_id(node, t, partition), Arc::clone(&batch));
        Ok(batch)
    }

    /// A lost partition of state, as it was after interval `t`.
    pub(super) fn recover_state(&mut self, node: NodeId, t: u64, partition: usize) -> Result<State> {
        let Some(first) = self.journal.first().filter(|first| *first <= t) else {
            // Nothing open is made of any interval: there was nothing in it.
            return self.empty_state(node);
        };
        let needed = self.needed(node, partition, t)?;
        let mut remade = self.replay(&needed, first, t)?;
        remade
            .states
            .remove(&(node, partition))
            .ok_or_else(|| missing("a state made again"))
    }

    fn first_entry(&self) -> Result<u64> {
        self.journal.first().ok_or_else(|| missing("the journal"))
    }

    fn entry(&self, t: u64) -> Result<Arc<Entry>> {
        let lost = || Error::new(Kind::State, format!("interval {t} is no longer written down"));
        self.journal.get(t).ok_or_else(lost)
    }

    fn needed(&self, node: NodeId, partition: usize, t: u64) -> Result<Needed> {
        let entry = self.entry(t)?;
        let partitions_of = |id| self.tasks.partitions_of(&self.graph, id, &entry);
        Ok(closure(&self.graph, node, partition, &partitions_of))
    }

    /// Runs the needed tasks of the intervals `first..=t` again, in order; gives the batches of `t` and the states after it.
    fn replay(&mut self, needed: &Needed, first: u64, t: u64) -> Result<Remade> {
        let mut remade = Remade::default();
        for interval in first..=t {
            let entry = self.entry(interval)?;
            remade.rows.clear();
            for (node, partitions) in needed {
                self.remake(*node, partitions, &entry, &mut remade)?;
                self.leave_out(*node, interval, first, &mut remade);
            }
        }
        let watermarks = self.entry(t)?;
        for ((node, partition), state) in &mut remade.states {
            let copy = self.tasks.copy(*node, *partition)?;
            held(&copy).forget(state, watermarks.watermarks[*node]);
        }
        Ok(remade)
    }

    /// What a window gave that began before the replay is not whole this time. Nothing open is made of it, or the replay
    /// would have begun earlier, so it is left out.
    fn leave_out(&self, node: NodeId, interval: u64, first: u64, remade: &mut Remade) {
        for ((of, partition), batch) in &mut remade.rows {
            if *of == node && self.journal.made_of(interval, (node, *partition)) < first {
                *batch = Arc::default();
            }
        }
    }

    /// One node's batches of one interval again. Nodes come in topological order.
    fn remake(
        &mut self,
        node: NodeId,
        partitions: &BTreeSet<usize>,
        entry: &Arc<Entry>,
        remade: &mut Remade,
    ) -> Result<()> {
        let graph = Arc::clone(&self.graph);
        let spec = graph.nodes.get(node).ok_or_else(|| missing("a node"))?;
        // The closure was taken for one interval; another may have had other partitions.
        let count = self.tasks.partitions_of(&graph, node, entry);
        let partitions: Vec<usize> = match is_stateful(spec) {
            true => partitions.iter().copied().collect(),
            false if partitions.len() > 1 || feeds_fold(&graph, node) => (0..count).collect(),
            false => partitions.iter().copied().filter(|p| *p < count).collect(),
        };
        if matches!(spec.op, Op::Source(_)) {
            for partition in partitions {
                let batch = self.source_batch(node, partition, entry)?;
                remade.rows.insert((node, partition), batch);
            }
            return Ok(());
        }
        let mut jobs: Vec<Box<dyn FnOnce() -> Result<Folded> + Send>> = Vec::new();
        for partition in &partitions {
            jobs.push(self.remake_job(node, *partition, entry, remade)?);
        }
        self.metrics.recomputed(jobs.len() as u64);
        for (partition, result) in partitions.into_iter().zip(self.pool.run(jobs, false)) {
            let (batch, state) = result?;
            remade.rows.insert((node, partition), Arc::new(batch));
            if let Some(state) = state {
                remade.states.insert((node, partition), state);
            }
        }
        Ok(())
    }

    fn remake_job(
        &mut self,
        node: NodeId,
        partition: usize,
        entry: &Arc<Entry>,
        remade: &mut Remade,
    ) -> Result<Box<dyn FnOnce() -> Result<Folded> + Send>> {
        let graph = Arc::clone(&self.graph);
        let spec = graph.nodes.get(node).ok_or_else(|| missing("a node"))?;
        let copy = self.tasks.copy(node, partition)?;
        let of = |input: NodeId, p: usize| remade.rows.get(&(input, p)).cloned();
        if is_stateful(spec) {
            let mut inputs = Vec::new();
            for input in &spec.inputs {
                let count = self.tasks.partitions_of(&graph, *input, entry);
                let batches = (0..count).map(|p| of(*input, p).ok_or_else(|| missing("an input made again")));
                inputs.push(batches.collect::<Result<Vec<_>>>()?);
            }
            let state = match remade.states.remove(&(node, partition)) {
                Some(state) => state,
                None => self.empty_state(node)?,
            };
            let since = since(&inputs, entry.record.interval);
            let watermark = closes_at(entry, node);
            return Ok(Box::new(move || {
                fold(&copy, state, partition, since, &inputs, watermark)
            }));
        }
        let input = spec.inputs.first().ok_or_else(|| missing("an input"))?;
        let input = of(*input, partition).ok_or_else(|| missing("an input made again"))?;
        let input = floored(&graph, spec, input, entry);
        let clock_ns = entry.record.clock_ns;
        Ok(Box::new(move || Ok((held(&copy).run(&input, clock_ns)?, None))))
    }

    /// A source's batch from the store, from what was kept of it, or read again.
    fn source_batch(&mut self, node: NodeId, partition: usize, entry: &Entry) -> Result<Arc<Batch>> {
        if let Some(batch) = self.store.get(&rows_id(node, entry.record.interval, partition)) {
            return Ok(batch);
        }
        let index = self
            .graph
            .sources
            .iter()
            .position(|s| *s == node)
            .ok_or_else(|| missing("a source"))?;
        let (intake, record) = (&self.intakes[index], &entry.record.sources[index]);
        let clock_ns = entry.record.clock_ns;
        let mut slices = Vec::new();
        for (number, slice) in record
            .slices
            .iter()
            .enumerate()
            .filter(|(_, s)| s.partition == partition)
        {
            let (batch, watermarks) = match entry.kept.get(index).and_then(|k| k.as_ref()?.get(number)) {
                Some(batch) => (batch.clone(), intake.watermarks(batch, slice, clock_ns)?),
                None => intake.reread(slice, clock_ns)?,
            };
            let whole = Slice {
                batch: Tasks::placed(&self.graph, node, batch, slice)?,
                watermarks,
                record: number,
            };
            slices.push(intake.without_future(whole, clock_ns)?);
        }
        self.metrics.recomputed(1);
        Ok(Arc::new(Batch {
            data: Dataset::Slices(slices),
            ..Batch::default()
        }))
    }
}

/// Whether a node that folds reads it, directly or through stages: then all its partitions are needed.
fn feeds_fold(graph: &crate::dstream::graph::Graph, node: NodeId) -> bool {
    let reads = |n: &&crate::dstream::graph::Node| n.inputs.contains(&node);
    graph
        .nodes
        .iter()
        .filter(reads)
        .any(|n| is_stateful(n) || feeds_fold(graph, n.id))
}
