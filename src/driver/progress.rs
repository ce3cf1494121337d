//! Where every query stands: what its splits have reached, who holds its windows back, and which window is next.

use super::intake::Stand;
use super::{Program, state_id};
use crate::dstream::graph::Op;
use crate::dstream::record::{ENDED, NO_WATERMARK};
use crate::dstream::table::unit_ns;

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
        let name = &self.graph.outputs[output].name;
        let mut rows = Vec::new();
        let mut holder: Option<(i64, usize, i64)> = None;
        for place in &self.sources_of[output] {
            let (Some(intake), Some(Op::Source(source))) = (
                self.intakes.get(*place),
                self.graph.sources.get(*place).map(|id| &self.graph.nodes[*id].op),
            ) else {
                continue;
            };
            for Stand {
                split,
                watermark_ns,
                ended,
                quiet,
            } in intake.stands()
            {
                let (idle, floor_ns) = self.idleness.stands(output, *place, split.id);
                let watermark_ns = watermark_ns.max(floor_ns);
                let state = match (ended, idle, quiet) {
                    (true, _, _) => SplitState::Ended,
                    (_, true, _) => SplitState::Idle,
                    (_, _, true) => SplitState::Quiet,
                    _ => SplitState::Live,
                };
                let holds = !ended && !idle && source.event_time.is_some();
                if holds && holder.is_none_or(|(least, _, _)| watermark_ns < least) {
                    holder = Some((watermark_ns, rows.len(), intake.delay_ns()));
                }
                rows.push(Progress {
                    query: name.clone(),
                    source: source.table.name.clone(),
                    split: split.name.clone(),
                    event_time_ns: known(watermark_ns).map(|w| w.saturating_add(intake.delay_ns())),
                    watermark_ns: known(watermark_ns),
                    state,
                    holds_since_ns: None,
                    open_window_end_ns: None,
                    closes_at_ns: None,
                });
            }
        }
        if let Some((_, row, delay_ns)) = holder {
            let end = self.open_window_end(output);
            let held = &mut rows[row];
            held.holds_since_ns = self
                .reached
                .get(output)
                .map(|(_, since)| *since)
                .filter(|since| *since != i64::MIN);
            held.open_window_end_ns = end;
            held.closes_at_ns = end.map(|end| end.saturating_add(delay_ns));
        }
        rows
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
