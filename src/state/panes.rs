//! Open panes: per pane, the batches that fell into it, merged now and then so that few remain.
//!
//! The layout of a pane depends only on what was folded into that pane and in which order, so a pane that is rebuilt from
//! lineage has the same batches, merged in the same order, as the one that was lost. Windows of many panes are made of
//! the nodes of a [`PaneTree`].

use super::ages::Ages;
use super::rows::{Gather, Known, Rows};
use super::running::Running;
use super::tree::{PaneTree, internal};
use crate::dstream::window::{NEVER, WindowSpec};
use crate::error::Result;
use datafusion::arrow::array::{Int64Array, RecordBatch};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many batches of one size class a pane keeps before they are merged into one of the next class.
const MERGE_FANIN: usize = 8;

/// Windows of so many panes or more are made of merged panes.
const TREE_PANES_MIN: i64 = 16;

/// So many windows are made together while there are rows that some windows refuse: a row joins those in time behind the
/// windows that refuse it, and costs nothing from then on.
const DOUBTFUL_WINDOWS: usize = 32;

/// Of rows in time: no window refuses them.
const IN_TIME: i64 = i64::MIN;

/// Turns batches of partial states into one: rows that agree in their first column and their keys become one row.
pub type Merge<'a> = &'a mut dyn FnMut(Vec<RecordBatch>) -> Result<RecordBatch>;

/// The state partition of a window operator.
#[derive(Debug, Clone)]
pub struct PaneStore {
    pub(super) spec: WindowSpec,
    pub(super) panes: BTreeMap<i64, Pane>,
    ages: Ages,
    /// Windows up to this end have been shown, in the unit of the event time.
    shown_to: i64,
    /// Merged panes; only for partial states, and windows of many panes.
    tree: Option<PaneTree>,
    /// With a tree: the panes that hold rows which some windows refuse.
    doubtful: BTreeSet<i64>,
    /// With an inverse: the window that was made last.
    pub(super) running: Running,
}

/// What has come of one pane.
#[derive(Debug, Clone)]
pub struct Pane {
    /// The first interval that it is made of.
    since: u64,
    entries: Entries,
}

/// Most often one, which takes no room of its own: there may be panes by the hundred thousand.
type Entries = SmallVec<[Entry; 1]>;

#[derive(Debug, Clone)]
struct Entry {
    /// Windows that end here or earlier leave it out.
    refused: i64,
    /// Size class: 0 as it came, k + 1 merged from entries of class k.
    class: u8,
    rows: Rows,
}

impl Pane {
    /// The rows that no window refuses.
    pub fn in_time(&self) -> impl Iterator<Item = &Rows> {
        self.entries.iter().filter(|e| e.refused == IN_TIME).map(|e| &e.rows)
    }

    /// Adds an entry, and merges those of its class when there are enough of them.
    fn push(&mut self, refused: i64, rows: Rows, merge: &mut Option<Merge<'_>>) -> Result<()> {
        self.entries.push(Entry {
            refused,
            class: 0,
            rows,
        });
        let Some(merge) = merge else {
            return Ok(());
        };
        for class in 0..u8::MAX {
            let alike = |e: &Entry| e.refused == refused && e.class == class;
            if self.entries.iter().filter(|e| alike(e)).count() < MERGE_FANIN {
                break;
            }
            let together = self.entries.iter().filter(|e| alike(e)).map(|e| e.rows.batch());
            let rows = Rows::all(merge(together.collect())?);
            self.entries.retain(|e| !alike(e));
            self.entries.push(Entry {
                refused,
                class: class + 1,
                rows,
            });
        }
        Ok(())
    }
}

impl PaneStore {
    /// `merges`: whether what comes are partial states, which can be merged.
    pub fn new(spec: WindowSpec, merges: bool) -> Self {
        let tree = merges && spec.panes_per_window() >= TREE_PANES_MIN;
        PaneStore {
            spec,
            panes: BTreeMap::new(),
            ages: Ages::default(),
            shown_to: i64::MIN,
            tree: tree.then(|| PaneTree::new(&spec)),
            doubtful: BTreeSet::new(),
            running: Running::default(),
        }
    }

    /// The rows of the panes from `start` to `end`: pane, the end up to which windows refuse them, rows.
    pub(super) fn entries(&self, start: i64, end: i64) -> impl Iterator<Item = (i64, i64, RecordBatch)> {
        let panes = self.panes.range(start..end.max(start));
        panes.flat_map(|(pane, of)| of.entries.iter().map(|e| (*pane, e.refused, e.rows.batch())))
    }

    /// Adds rows of one pane. `merge` turns several batches of partial states into one; `None` keeps rows as they are.
    pub fn push(
        &mut self,
        pane: i64,
        refused: i64,
        rows: Rows,
        interval: u64,
        merge: &mut Option<Merge<'_>>,
    ) -> Result<()> {
        if let Some(tree) = &mut self.tree {
            match refused {
                IN_TIME => tree.changed(pane),
                _ => {
                    self.doubtful.insert(pane);
                }
            }
        }
        let pane = self.panes.entry(pane).or_insert_with(|| {
            self.ages.add(interval);
            Pane {
                since: interval,
                entries: SmallVec::new(),
            }
        });
        self.ages.earlier(&mut pane.since, interval);
        pane.push(refused, rows, merge)
    }

    /// The ends of the windows that hold rows and close at `watermark`, ascending.
    pub fn closing(&self, watermark: i64) -> Vec<i64> {
        let (mut ends, mut after) = (Vec::new(), self.shown_to);
        for pane in self.panes.keys() {
            let row = self.spec.ends(*pane);
            // Panes are in order of time, and so are the ends of their first windows.
            if row.first > watermark && watermark != NEVER {
                break;
            }
            for end in row.within(after, watermark) {
                ends.push(end);
                after = end;
            }
            if row.last >= watermark {
                // All ends up to the watermark from here on are those of this pane.
                break;
            }
        }
        ends
    }

    /// The rows of the windows with these ends (ascending), by window; the first column is the end.
    pub fn windows(&mut self, ends: &[i64], merge: Option<Merge<'_>>) -> Result<Vec<RecordBatch>> {
        if self.tree.is_some()
            && let Some(merge) = merge
        {
            return self.windows_of_tree(ends, merge);
        }
        let mut batches = Vec::new();
        for end in ends {
            let panes = match *end {
                NEVER => self.panes.range(..),
                end => self.panes.range(self.spec.start_of(end)..end),
            };
            let entries = panes.flat_map(|(_, pane)| &pane.entries);
            for entry in entries.filter(|e| e.refused < *end) {
                batches.push(with_number(entry.rows.batch(), *end)?);
            }
        }
        Ok(batches)
    }

    fn windows_of_tree(&mut self, ends: &[i64], merge: Merge<'_>) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        let at_once = match self.doubtful.is_empty() {
            true => ends.len(),
            false => DOUBTFUL_WINDOWS,
        };
        for ends in ends.chunks(at_once.max(1)) {
            self.settle(ends[0].saturating_sub(1), merge)?;
            let windows: Vec<(i64, i64)> = ends.iter().map(|end| (self.spec.start_of(*end), *end)).collect();
            let Some(tree) = &mut self.tree else { continue };
            let cover = tree.make_for(&windows, &self.panes, merge)?;
            let mut gather = Gather::with_capacity(cover.num_parts());
            let doubtful = doubtful_rows(&self.doubtful, &self.panes, &windows, &mut gather);
            tree.gather(&cover, &windows, &mut gather, |gather, start, end| {
                let of_window = doubtful
                    .iter()
                    .filter(|d| start <= d.pane && d.pane < end && d.refused < end);
                of_window.for_each(|d| gather.add(end, d.rows));
            });
            batches.extend(gather.finish().map_err(internal)?);
        }
        Ok(batches)
    }

    /// Notes that windows up to `watermark` have been shown, and forgets the panes that no later window needs.
    /// `forget_to` is the watermark less the allowed lateness.
    pub fn shown(&mut self, watermark: i64, forget_to: i64) {
        self.shown_to = self.shown_to.max(watermark);
        let mut some_gone = false;
        while let Some(first) = self.panes.first_entry() {
            if self.spec.ends(*first.key()).last > forget_to {
                break;
            }
            self.ages.remove(first.remove().since);
            some_gone = true;
        }
        let first = self.panes.keys().next().copied();
        if let (Some(tree), true) = (&mut self.tree, some_gone) {
            tree.forgot(first);
            match first {
                Some(first) => self.doubtful = self.doubtful.split_off(&first),
                None => self.doubtful.clear(),
            }
        }
    }

    /// With a tree: rows that only windows up to `limit` refuse join those in time, when all windows up to there have been
    /// made. They come in the order of their refusals, so that a replay, which makes more windows on its way, adds them in
    /// the same order.
    fn settle(&mut self, limit: i64, merge: Merge<'_>) -> Result<()> {
        let Some(tree) = &mut self.tree else {
            return Ok(());
        };
        let panes = &mut self.panes;
        let mut settled = Vec::new();
        for key in &self.doubtful {
            let Some(pane) = panes.get_mut(key) else { continue };
            let joins = |e: &Entry| e.refused != IN_TIME && e.refused <= limit;
            if pane.entries.iter().any(joins) {
                tree.changed(*key);
                let (mut joining, left): (Entries, Entries) =
                    std::mem::take(&mut pane.entries).into_iter().partition(joins);
                pane.entries = left;
                joining.sort_by_key(|e| e.refused);
                for entry in joining {
                    pane.push(IN_TIME, entry.rows, &mut Some(&mut *merge))?;
                }
            }
            if pane.entries.iter().all(|e| e.refused == IN_TIME) {
                settled.push(*key);
            }
        }
        for key in settled {
            self.doubtful.remove(&key);
        }
        Ok(())
    }

    /// What has been shown refuses nothing any more.
    pub fn settle_shown(&mut self, merge: Merge<'_>) -> Result<()> {
        match self.doubtful.is_empty() {
            true => Ok(()),
            false => self.settle(self.shown_to, merge),
        }
    }

    /// The end of the first window that is still to be shown.
    pub fn next_end(&self) -> Option<i64> {
        let next = |pane: &i64| self.spec.ends(*pane).within(self.shown_to, i64::MAX).next();
        self.panes.keys().find_map(next)
    }

    /// The first interval that an open pane is made of; lineage is kept back to it.
    pub fn oldest_interval(&self) -> Option<u64> {
        self.ages.oldest()
    }

    /// The first interval that some of the windows with these ends (ascending) are made of.
    pub fn oldest_of(&self, ends: &[i64]) -> Option<u64> {
        let (first, last) = (ends.first()?, ends.last()?);
        let panes = match *last {
            NEVER => self.panes.range(..),
            last => self.panes.range(self.spec.start_of(*first)..last),
        };
        let mut least = None;
        for (_, pane) in panes {
            least = least.into_iter().chain([pane.since]).min();
            // Most often that is the first.
            if least == self.ages.oldest() {
                break;
            }
        }
        least
    }

    /// Rows (or groups) kept.
    pub fn num_rows(&self) -> usize {
        let entries = self.panes.values().flat_map(|p| &p.entries);
        let entries: usize = entries.map(|e| e.rows.num_rows()).sum();
        entries + self.running.num_rows() + self.tree.as_ref().map_or(0, PaneTree::num_rows)
    }
}

/// Rows of a pane that windows up to an end refuse.
struct Doubtful {
    pane: i64,
    refused: i64,
    rows: Known,
}

/// Those of them that some of these windows (start and end, ascending) hold.
fn doubtful_rows<'a>(
    doubtful: &BTreeSet<i64>,
    panes: &'a BTreeMap<i64, Pane>,
    windows: &[(i64, i64)],
    gather: &mut Gather<'a>,
) -> Vec<Doubtful> {
    let (Some((start, _)), Some((_, end))) = (windows.first(), windows.last()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for key in doubtful.range(*start..*end) {
        let entries = panes.get(key).into_iter().flat_map(|pane| &pane.entries);
        for entry in entries.filter(|e| e.refused != IN_TIME && e.refused < *end) {
            found.push(Doubtful {
                pane: *key,
                refused: entry.refused,
                rows: gather.know(&entry.rows),
            });
        }
    }
    found
}

/// The window's end in place of the pane.
pub(super) fn with_number(batch: RecordBatch, end: i64) -> Result<RecordBatch> {
    let mut columns = batch.columns().to_vec();
    columns[0] = Arc::new(Int64Array::from_value(end, batch.num_rows()));
    RecordBatch::try_new(batch.schema(), columns).map_err(internal)
}
