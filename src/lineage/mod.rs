//! What exists, and what a lost batch is made of.
//!
//! Owns: the [`BatchStore`], and [`closure`], which walks lineage rules from a lost batch to the tasks that make it again.
//! Guarantees: pure data and pure functions; anything in the store may vanish at any time between two looks.
//! Does **not** guarantee: that a batch is there; ask, and recover what is not.
//! Depends on `dstream`, `operators` and the ground. Start reading at [`closure`].

use crate::dstream::graph::{Graph, LineageRule, NodeId};
use crate::dstream::record::{BatchId, BatchKind};
use crate::operators::Batch;
use crate::operators::runtime::State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Batches and partitions of state, by name. Shared by the driver and whoever lists or loses batches.
#[derive(Debug, Default)]
pub struct BatchStore {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rows: BTreeMap<BatchId, Arc<Batch>>,
    states: BTreeMap<BatchId, State>,
}

impl BatchStore {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, id: BatchId, batch: Arc<Batch>) {
        self.lock().rows.insert(id, batch);
    }

    pub fn get(&self, id: &BatchId) -> Option<Arc<Batch>> {
        self.lock().rows.get(id).cloned()
    }

    pub fn put_state(&self, id: BatchId, state: State) {
        self.lock().states.insert(id, state);
    }

    /// Takes a partition of state out, to be moved on to the next interval.
    pub fn take_state(&self, id: &BatchId) -> Option<State> {
        self.lock().states.remove(id)
    }

    /// Drops a batch or a partition of state, as if its worker had died. True when it was there.
    pub fn lose(&self, id: &BatchId) -> bool {
        let mut inner = self.lock();
        match id.kind {
            BatchKind::Rows => inner.rows.remove(id).is_some(),
            BatchKind::State => inner.states.remove(id).is_some(),
        }
    }

    /// The names of all that is there.
    pub fn list(&self) -> Vec<BatchId> {
        let inner = self.lock();
        inner.rows.keys().chain(inner.states.keys()).copied().collect()
    }

    /// Releases batches of intervals before `interval`; states are always of the last one.
    pub fn release_before(&self, interval: u64) {
        self.lock().rows.retain(|id, _| id.interval >= interval);
    }

    /// The end of the first window that a partition of state has still to show, in the unit of its event time.
    pub fn next_end(&self, id: &BatchId) -> Option<i64> {
        self.lock().states.get(id).and_then(State::next_end)
    }

    /// Drops all that a node has made: nobody needs it any more.
    pub fn forget(&self, node: NodeId) {
        let mut inner = self.lock();
        inner.rows.retain(|id, _| id.node != node);
        inner.states.retain(|id, _| id.node != node);
    }

    /// Rows, or groups, kept in all states.
    pub fn state_rows(&self) -> usize {
        self.lock().states.values().map(State::num_rows).sum()
    }
}

/// The tasks from which a batch is made again: per node, the partitions that are needed, down to the
/// sources. What is still in the store is not asked for: a source's batch that is there is used when its turn comes.
pub fn closure(
    graph: &Graph,
    node: NodeId,
    partition: usize,
    partitions_of: &dyn Fn(NodeId) -> usize,
) -> BTreeMap<NodeId, BTreeSet<usize>> {
    let mut needed: BTreeMap<NodeId, BTreeSet<usize>> = BTreeMap::new();
    let mut open = vec![(node, partition)];
    while let Some((node, partition)) = open.pop() {
        if !needed.entry(node).or_default().insert(partition) {
            continue;
        }
        let Some(spec) = graph.nodes.get(node) else { continue };
        for input in &spec.inputs {
            match spec.lineage {
                LineageRule::Ranges => {}
                LineageRule::SamePartition => open.push((*input, partition)),
                LineageRule::AllPartitions | LineageRule::Fold => {
                    open.extend((0..partitions_of(*input)).map(|p| (*input, p)));
                }
            }
        }
    }
    needed
}

/// Whether making a node's batch again needs intervals before it.
pub fn needs_history(graph: &Graph, needed: &BTreeMap<NodeId, BTreeSet<usize>>) -> bool {
    needed
        .keys()
        .filter_map(|id| graph.nodes.get(*id))
        .any(|node| node.lineage == LineageRule::Fold)
}
