//! Open panes: per pane, the batches that fell into it, merged now and then so that few remain.
//!
//! The layout of a pane depends only on what was folded into that pane and in which order, so a pane that is rebuilt from
//! lineage has the same batches, merged in the same order, as the one that was lost.

use crate::dstream::window::{NEVER, WindowSpec};
use crate::error::Result;
use datafusion::arrow::array::RecordBatch;
use std::collections::BTreeMap;

/// How many batches of one size class a pane keeps before they are merged into one of the next class.
const MERGE_FANIN: usize = 8;

/// The state partition of a window operator.
#[derive(Debug, Clone)]
pub struct PaneStore {
    spec: WindowSpec,
    panes: BTreeMap<i64, Pane>,
    /// Windows up to this end have been shown, in the unit of the event time.
    shown_to: i64,
}

#[derive(Debug, Clone)]
struct Pane {
    /// The first interval that it is made of.
    since: u64,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// Windows that end here or earlier leave it out.
    refused: i64,
    /// Size class: 0 as it came, k + 1 merged from entries of class k.
    class: u8,
    batch: RecordBatch,
}

impl PaneStore {
    pub fn new(spec: WindowSpec) -> Self {
        PaneStore {
            spec,
            panes: BTreeMap::new(),
            shown_to: i64::MIN,
        }
    }

    /// Adds rows of one pane. `merge` turns several batches of partial states into one; `None` keeps rows as they are.
    pub fn push(
        &mut self,
        pane: i64,
        refused: i64,
        batch: RecordBatch,
        interval: u64,
        merge: &mut Option<impl FnMut(Vec<RecordBatch>) -> Result<RecordBatch>>,
    ) -> Result<()> {
        let pane = self.panes.entry(pane).or_insert(Pane {
            since: interval,
            entries: Vec::new(),
        });
        pane.since = pane.since.min(interval);
        let entries = &mut pane.entries;
        entries.push(Entry {
            refused,
            class: 0,
            batch,
        });
        let Some(merge) = merge else {
            return Ok(());
        };
        for class in 0..u8::MAX {
            let alike = |e: &Entry| e.refused == refused && e.class == class;
            if entries.iter().filter(|e| alike(e)).count() < MERGE_FANIN {
                break;
            }
            let together: Vec<RecordBatch> = entries.iter().filter(|e| alike(e)).map(|e| e.batch.clone()).collect();
            let batch = merge(together)?;
            entries.retain(|e| !alike(e));
            entries.push(Entry {
                refused,
                class: class + 1,
                batch,
            });
        }
        Ok(())
    }

    /// The ends of the windows that hold rows and close at `watermark`, ascending.
    pub fn closing(&self, watermark: i64) -> Vec<i64> {
        let mut ends = std::collections::BTreeSet::new();
        for pane in self.panes.keys() {
            let row = self.spec.ends(*pane);
            if row.first > watermark && watermark != NEVER {
                // Panes are in order of time, and so are the ends of their first windows.
                break;
            }
            ends.extend(row.iter().filter(|end| *end > self.shown_to && *end <= watermark));
        }
        ends.into_iter().collect()
    }

    /// The batches of the window that ends at `end`, in order of pane and arrival.
    pub fn window(&self, end: i64) -> Vec<&RecordBatch> {
        let start = self.spec.start_of(end);
        let panes = match end {
            NEVER => self.panes.range(..),
            _ => self.panes.range(start..end),
        };
        let entries = panes.flat_map(|(_, pane)| &pane.entries);
        entries.filter(|e| e.refused < end).map(|e| &e.batch).collect()
    }

    /// Notes that windows up to `watermark` have been shown, and forgets the panes that no later window needs.
    /// `forget_to` is the watermark less the allowed lateness.
    pub fn shown(&mut self, watermark: i64, forget_to: i64) {
        self.shown_to = self.shown_to.max(watermark);
        while let Some((pane, _)) = self.panes.first_key_value() {
            if self.spec.ends(*pane).last > forget_to {
                break;
            }
            self.panes.pop_first();
        }
    }

    /// The first interval that an open pane is made of; lineage is kept back to it.
    pub fn oldest_interval(&self) -> Option<u64> {
        self.panes.values().map(|p| p.since).min()
    }

    /// The first interval that some of the windows with these ends (ascending) are made of.
    pub fn oldest_of(&self, ends: &[i64]) -> Option<u64> {
        let (first, last) = (ends.first()?, ends.last()?);
        let panes = match *last {
            NEVER => self.panes.range(..),
            last => self.panes.range(self.spec.start_of(*first)..last),
        };
        panes.map(|(_, pane)| pane.since).min()
    }

    /// The end of the first window that is still to be shown.
    pub fn next_end(&self) -> Option<i64> {
        let next = |pane: &i64| self.spec.ends(*pane).iter().find(|end| *end > self.shown_to);
        self.panes.keys().find_map(next)
    }

    pub fn is_empty(&self) -> bool {
        self.panes.is_empty()
    }

    /// Rows (or groups) kept.
    pub fn num_rows(&self) -> usize {
        self.panes
            .values()
            .flat_map(|p| &p.entries)
            .map(|e| e.batch.num_rows())
            .sum()
    }
}
