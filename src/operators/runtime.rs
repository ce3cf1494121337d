//! One partition's copy of a node, ready to run.

use super::Batch;
use super::closed::Closed;
use super::fragment::{Fragment, Workshop};
use super::panes::Panes;
use super::sessions::Sessions;
use super::windows::{Windows, in_unit};
use crate::dstream::graph::{Node, Op};
use crate::dstream::window::WindowSpec;
use crate::error::{Error, Result};
use crate::state::held::Held;
use crate::state::panes::PaneStore;
use crate::state::sessions::SessionStore;
use std::sync::Arc;

/// A node's task, with its plans.
pub enum Runtime {
    Stage(Fragment),
    Panes(Box<Panes>),
    Windows(Box<Windows>),
    Sessions(Box<Sessions>),
    Closed(Box<Closed>),
}

/// A partition of state.
#[derive(Debug, Clone)]
pub enum State {
    Panes(PaneStore),
    Sessions(SessionStore),
    Held(Held),
}

impl State {
    /// The first interval that something open is made of.
    pub fn oldest_interval(&self) -> Option<u64> {
        match self {
            State::Panes(panes) => panes.oldest_interval(),
            State::Sessions(sessions) => sessions.oldest_interval(),
            State::Held(held) => held.oldest_interval(),
        }
    }

    /// The end of the first window that is still to be shown, in the unit of the event time.
    pub fn next_end(&self) -> Option<i64> {
        match self {
            State::Panes(panes) => panes.next_end(),
            State::Sessions(sessions) => sessions.next_end(),
            State::Held(_) => None,
        }
    }

    /// Rows, or groups, that are kept.
    pub fn num_rows(&self) -> usize {
        match self {
            State::Panes(panes) => panes.num_rows(),
            State::Sessions(sessions) => sessions.num_rows(),
            State::Held(held) => held.num_rows(),
        }
    }
}

/// The batches of one input of a task: one per partition of the input's node.
pub type InputBatches = Vec<Arc<Batch>>;

impl Runtime {
    /// `partitions`: of the state side that a node exchanges to.
    pub fn new(node: &Node, partitions: usize, shop: &Workshop) -> Result<Runtime> {
        Ok(match &node.op {
            Op::Source(_) => return Err(Error::internal("a source has no task")),
            Op::Stage(stage) => Runtime::Stage(Fragment::new(&stage.plan, shop)?),
            Op::Panes(panes) => Runtime::Panes(Box::new(Panes::new(panes, partitions, shop)?)),
            Op::Windows(w) => {
                let schema = Arc::clone(&node.schema);
                match w.window.spec {
                    WindowSpec::Session { gap } => Runtime::Sessions(Box::new(Sessions::values(w, gap, schema, shop)?)),
                    _ => Runtime::Windows(Box::new(Windows::values(w, schema, shop)?)),
                }
            }
            Op::WindowRows(w) => {
                let schema = Arc::clone(&node.schema);
                match w.window.spec {
                    WindowSpec::Session { gap } => Runtime::Sessions(Box::new(Sessions::rows(w, gap, schema, shop)?)),
                    _ => Runtime::Windows(Box::new(Windows::rows(w, schema, shop)?)),
                }
            }
            Op::Closed(closed) => Runtime::Closed(Box::new(Closed::new(closed, node.inputs.len(), partitions, shop)?)),
        })
    }

    /// The empty state that a stateful node starts with.
    pub fn new_state(&self) -> Option<State> {
        match self {
            Runtime::Windows(windows) => Some(State::Panes(windows.new_state())),
            Runtime::Sessions(sessions) => Some(State::Sessions(sessions.new_state())),
            Runtime::Closed(closed) => Some(State::Held(closed.new_state())),
            Runtime::Stage(_) | Runtime::Panes(_) => None,
        }
    }

    /// A stateless task: one partition's batch of the one input, in an interval of that clock.
    pub fn run(&mut self, input: &Batch, clock_ns: i64) -> Result<Batch> {
        match self {
            Runtime::Stage(fragment) => {
                let batches = input.record_batches();
                match batches.is_empty() {
                    true => Ok(Batch::default()),
                    false => Ok(Batch {
                        since: input.since,
                        ..Batch::rows(fragment.run_at(clock_ns, vec![batches])?)
                    }),
                }
            }
            Runtime::Panes(panes) => panes.run(input, clock_ns),
            Runtime::Windows(_) | Runtime::Sessions(_) | Runtime::Closed(_) => {
                Err(Error::internal("a stateful task needs its state"))
            }
        }
    }

    /// Folds an interval's batches (per input, per partition of that input) into partition `partition` of the state.
    pub fn fold(&mut self, state: &mut State, partition: usize, interval: u64, inputs: &[InputBatches]) -> Result<()> {
        match (self, state) {
            (Runtime::Windows(windows), State::Panes(panes)) => {
                let pieces = inputs.iter().flatten().flat_map(|batch| batch.bucket(partition));
                windows.fold(panes, interval, pieces)
            }
            (Runtime::Sessions(sessions), State::Sessions(open)) => {
                let pieces = inputs.iter().flatten().flat_map(|batch| batch.bucket(partition));
                sessions.fold(open, interval, pieces)
            }
            (Runtime::Closed(closed), State::Held(held)) => {
                for (input, batches) in inputs.iter().enumerate() {
                    let rows = batches.iter().flat_map(|b| b.record_batches()).collect();
                    closed.fold(held, partition, interval, input, rows)?;
                }
                Ok(())
            }
            _ => Err(Error::internal("a task was given the state of another")),
        }
    }

    /// What the node gives when its watermark has reached `watermark_ns`.
    pub fn close(&mut self, state: &mut State, watermark_ns: i64) -> Result<Batch> {
        match (self, state) {
            (Runtime::Windows(windows), State::Panes(panes)) => windows.close(panes, watermark_ns),
            (Runtime::Sessions(sessions), State::Sessions(open)) => {
                let watermark = in_unit(watermark_ns, sessions.window());
                sessions.close(open, watermark)
            }
            (Runtime::Closed(closed), State::Held(held)) => closed.close(held, watermark_ns),
            _ => Err(Error::internal("a task was given the state of another")),
        }
    }

    /// Forgets, without giving it, what was given at `watermark_ns` before.
    pub fn forget(&mut self, state: &mut State, watermark_ns: i64) {
        match (self, state) {
            (Runtime::Windows(windows), State::Panes(panes)) => windows.forget(panes, watermark_ns),
            (Runtime::Closed(closed), State::Held(held)) => closed.forget(held, watermark_ns),
            _ => {}
        }
    }
}
