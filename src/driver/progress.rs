//! Where every query stands: what its splits have reached, who holds its windows back, and which window is next.

use super::intake::Stand;
use super::{Program, state_id};
use crate::dstream::graph::Op;
use crate::dstream::record::{ENDED, NO_WATERMARK};
use crate::dstream::table::unit_ns;
use crate::dstream::window::WindowSpec;

/// One split of one query. All times are nanoseconds; event times are instants in UTC.
#[derive(Debug, Clone)]
pub struct Progress {
    pub query: String,
    pub source: String,
    pub split: String,
    /// The latest event time that was seen, less what the delay rounds down.
    pub event_time_ns: Option<i64>,
    pub watermark_ns: Option<i64>,
    pub state: SplitState,
    /// Since when, on the recorded clock, the query has not got further, if this split holds it.
    pub holds_since_ns: Option<i64>,
    /// The end of the oldest open window, told where the watermark is held.
    pub open_window_end_ns: Option<i64>,
    /// The event time that would close it, if this split gave it.
    pub closes_at_ns: Option<i64>,
    /// What it is waited for, if it holds the windows and has nothing to give.
    pub wait: Option<Wait>,
}

/// What windows wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Rows of the split; a time-out would let the others go on.
    Others,
    /// Rows of the split, as none has got further.
    Rows,
    /// Rows of the split, until it has been quiet for so many nanoseconds.
    Until(i64),
    /// That the source gets a split: a time-out does not pass over that.
    Split,
}

/// Stands where the name of a split would, of a source that has none to be read and may get some.
const NO_SPLIT: &str = "none";

/// A split of a query, and what tells whether it holds the windows.
struct Standing {
    row: Progress,
    place: usize,
    watermark_ns: i64,
    holds: bool,
    has_split: bool,
    delay_ns: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitState {
    /// Rows come.
    Live,
    /// The source says that nothing is there; the split is waited for.
    Quiet,
    /// Quiet for longer than the query's time-out: nobody waits for it.
    Idle,
    Ended,
}

impl Program {
    /// Every split of every query that runs, query by query.
    pub fn progress(&self) -> Vec<Progress> {
        (0..self.graph.outputs.len())
            .filter(|output| self.outputs.runs(*output))
            .flat_map(|q| self.of_query(q))
            .collect()
    }

    fn of_query(&self, output: usize) -> Vec<Progress> {
        let mut standing: Vec<Standing> = Vec::new();
        for place in &self.sources_of[output] {
            standing.extend(self.of_source(output, *place));
        }
        let holder = (0..standing.len())
            .filter(|at| standing[*at].holds)
            .min_by_key(|at| standing[*at].watermark_ns);
        if let Some(holder) = holder.filter(|_| self.has_windows(output)) {
            let end = self.open_window_end(output);
            let wait = self.wait(output, &standing, holder);
            let since = self.reached.get(output).map(|(_, since)| *since);
            let held = &mut standing[holder];
            let row = &mut held.row;
            row.holds_since_ns = since.filter(|since| *since != i64::MIN);
            row.open_window_end_ns = end;
            row.closes_at_ns = end.map(|end| end.saturating_add(held.delay_ns));
            row.wait = wait;
        }
        standing.into_iter().map(|standing| standing.row).collect()
    }

    fn of_source(&self, output: usize, place: usize) -> Vec<Standing> {
        let (Some(intake), Some(Op::Source(source))) = (
            self.intakes.get(place),
            self.graph.sources.get(place).map(|id| &self.graph.nodes[*id].op),
        ) else {
            return Vec::new();
        };
        let standing = |split: &str, watermark_ns: i64, state| Standing {
            place,
            watermark_ns,
            holds: !matches!(state, SplitState::Ended | SplitState::Idle) && source.event_time.is_some(),
            has_split: true,
            delay_ns: intake.delay_ns(),
            row: Progress {
                query: self.graph.outputs[output].name.clone(),
                source: source.table.name.clone(),
                split: split.to_string(),
                event_time_ns: known(watermark_ns).map(|w| w.saturating_add(intake.delay_ns())),
                watermark_ns: known(watermark_ns),
                state,
                holds_since_ns: None,
                open_window_end_ns: None,
                closes_at_ns: None,
                wait: None,
            },
        };
        let mut all = Vec::new();
        for Stand {
            split,
            watermark_ns,
            ended,
            quiet,
        } in intake.stands()
        {
            let (idle, floor_ns) = self.idleness.stands(output, place, split.id);
            let state = match (ended, idle, quiet) {
                (true, _, _) => SplitState::Ended,
                (_, true, _) => SplitState::Idle,
                (_, _, true) => SplitState::Quiet,
                _ => SplitState::Live,
            };
            all.push(standing(&split.name, watermark_ns.max(floor_ns), state));
        }
        // Its watermark stays where it is until a split appears.
        if let Some(watermark_ns) = intake.awaits_split() {
            all.push(Standing {
                has_split: false,
                ..standing(NO_SPLIT, watermark_ns, SplitState::Quiet)
            });
        }
        all
    }

    /// What the windows of a query wait for, if the split that holds them has nothing to give.
    fn wait(&self, output: usize, standing: &[Standing], holder: usize) -> Option<Wait> {
        let held = &standing[holder];
        if held.row.state != SplitState::Quiet {
            return None;
        }
        if !held.has_split {
            return Some(Wait::Split);
        }
        if let Some(timeout_ns) = self.idleness.timeout_ns(output, held.place) {
            return Some(Wait::Until(timeout_ns));
        }
        let is_ahead = standing.iter().any(|other| other.watermark_ns > held.watermark_ns);
        Some(if is_ahead { Wait::Others } else { Wait::Rows })
    }

    /// Whether event time closes windows of a query.
    fn has_windows(&self, output: usize) -> bool {
        let windows = |node: usize| match &self.graph.nodes[node].op {
            Op::Windows(node) => Some(&node.window),
            Op::WindowRows(node) => Some(&node.window),
            _ => None,
        };
        let mut all = self
            .graph
            .nodes_of(&self.graph.outputs[output])
            .into_iter()
            .filter_map(windows);
        all.any(|window| window.spec != WindowSpec::Forever && !window.arrival)
    }

    /// The end of the first window of a query that is still to be shown.
    fn open_window_end(&self, output: usize) -> Option<i64> {
        let last = self.next.checked_sub(1)?;
        let ends = self
            .graph
            .nodes_of(&self.graph.outputs[output])
            .into_iter()
            .filter_map(|node| {
                let unit = match &self.graph.nodes[node].op {
                    Op::Windows(windows) => windows.window.unit,
                    Op::WindowRows(windows) => windows.window.unit,
                    _ => return None,
                };
                let ends = (0..self.tasks.partitions).filter_map(|p| self.store.next_end(&state_id(node, last, p)));
                ends.min().map(|end| end.saturating_mul(unit_ns(unit)))
            });
        ends.min().filter(|end| *end != i64::MAX)
    }

    /// Notes when the watermark of a query moved; `of_nodes` are those after the interval.
    pub(super) fn note_reached(&mut self, of_nodes: &[i64]) {
        self.reached
            .resize(self.graph.outputs.len(), (NO_WATERMARK, self.clock_ns));
        for (output, reached) in self.graph.outputs.iter().zip(&mut self.reached) {
            let watermark = output
                .nodes
                .iter()
                .filter_map(|node| of_nodes.get(*node))
                .copied()
                .min();
            let watermark = watermark.unwrap_or(ENDED);
            if watermark > reached.0 {
                *reached = (watermark, self.clock_ns);
            }
        }
    }
}

fn known(watermark_ns: i64) -> Option<i64> {
    (watermark_ns != NO_WATERMARK && watermark_ns != ENDED).then_some(watermark_ns)
}
