//! The window that was made last, from which the next is made: what enters is added, what leaves is taken away.
//!
//! ("Incremental aggregation", SOSP 2013, §3.1.1: `reduceByWindow` with a function and its inverse.) The work for a
//! window is that of its groups and of the panes at its two ends, however many panes lie between.
//!
//! What is in the running window can be told from its bounds alone: a pane that a window has shown gets no more rows
//! but those which that window refuses, and they are entries of their own. Panes that no later window needs leave as
//! soon as the window is made, so that a running window holds open panes only; a replay that begins with the oldest of
//! them comes to the same one.

use super::panes::PaneStore;
use crate::error::Result;
use datafusion::arrow::array::RecordBatch;

/// What is done with partial states.
pub trait Slide {
    /// Groups that agree in their first column and their keys become one.
    fn merged(&mut self, batches: Vec<RecordBatch>) -> Result<RecordBatch>;

    /// What takes these states away when it is merged.
    fn inverse(&self, batch: &RecordBatch) -> Result<RecordBatch>;

    /// Without groups that have no rows left, in an order that does not depend on the groups that have gone.
    fn settled(&self, batch: RecordBatch) -> Result<RecordBatch>;
}

/// The panes from `start` to `end`, less what the window that ends at `end` refuses.
#[derive(Debug, Clone, Default)]
pub struct Running {
    start: i64,
    end: i64,
    states: Option<RecordBatch>,
}

impl Running {
    fn holds(&self, pane: i64, refused: i64) -> bool {
        self.start <= pane && pane < self.end && refused < self.end
    }

    /// Groups kept.
    pub fn num_rows(&self) -> usize {
        self.states.as_ref().map_or(0, RecordBatch::num_rows)
    }
}

impl PaneStore {
    /// The states of the windows with these ends (ascending), by window; the first column is the end.
    pub fn slide(&mut self, ends: &[i64], slide: &mut dyn Slide) -> Result<Vec<RecordBatch>> {
        let mut running = std::mem::take(&mut self.running);
        let mut made = Vec::new();
        for end in ends {
            let start = self.spec.start_of(*end);
            let next = Running {
                start,
                end: *end,
                states: None,
            };
            running = self.moved(running, next, slide)?;
            made.extend(running.states.clone());
        }
        // The next window is known when its rows are; until then what no window needs any more is taken out.
        if let Some(end) = ends.last() {
            let needed = self.panes.keys().find(|pane| self.spec.ends(**pane).last > *end);
            let next = Running {
                start: needed.copied().unwrap_or(*end).min(*end),
                end: *end,
                states: None,
            };
            running = self.moved(running, next, slide)?;
        }
        self.running = running;
        Ok(made)
    }

    /// The running window with other bounds.
    fn moved(&self, running: Running, mut next: Running, slide: &mut dyn Slide) -> Result<Running> {
        let mut batches: Vec<RecordBatch> = running.states.iter().cloned().collect();
        let first = match running.states {
            Some(_) => running.start.min(next.start),
            None => next.start,
        };
        let before = batches.len();
        for (pane, refused, rows) in self.entries(first, next.end) {
            match (running.holds(pane, refused), next.holds(pane, refused)) {
                (false, true) => batches.push(rows),
                (true, false) => batches.push(slide.inverse(&rows)?),
                _ => {}
            }
        }
        if batches.is_empty() {
            return Ok(next);
        }
        let batches = batches.into_iter().map(|b| super::panes::with_number(b, next.end));
        let batches = batches.collect::<Result<Vec<_>>>()?;
        let states = match batches.len() == before {
            true => batches.into_iter().next(),
            false => {
                let merged = slide.merged(batches)?;
                Some(slide.settled(merged)?)
            }
        };
        next.states = states.filter(|s| s.num_rows() > 0);
        Ok(next)
    }
}
