//! Merged panes, two by two: a window of many panes is a few nodes of a binary tree, and need not merge them all.
//!
//! Node `i` of level `k` holds the panes `i·2^k` to `(i+1)·2^k`, counted from the epoch, so that every window uses the
//! nodes of the windows before it. A node is a function of what its panes hold and of nothing else: it may be made now
//! or later, or again after a loss, and is the same to the last bit. (Arasu and Widom, "Resource Sharing in Continuous
//! Sliding-Window Aggregates", VLDB 2004.)

use super::panes::{Merge, Pane};
use super::rows::{Gather, Known, Rows, by_number};
use crate::dstream::window::WindowSpec;
use crate::error::{Error, Result};
use datafusion::arrow::error::ArrowError;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// The tree over the panes of one partition of state.
#[derive(Debug, Clone)]
pub struct PaneTree {
    width: i64,
    offset: i64,
    /// Per level, the nodes that have been made. Level 0 are the panes themselves.
    levels: Vec<Level>,
    /// No node holds panes from this one on.
    made_to: i64,
    /// Panes forgotten since nodes were last looked through.
    forgotten: usize,
}

type Level = HashMap<i64, Rows, BuildHasherDefault<Mix>>;
type Numbers = HashSet<i64, BuildHasherDefault<Mix>>;

/// A node of a window: where it stands, and at which edge of the window.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    level: usize,
    number: i64,
    right: bool,
}

/// As many as numbers have bits.
const LEVELS: usize = 64;

/// Below this level nodes are taken to hold panes.
const SMALL_LEVELS: usize = 3;

impl PaneTree {
    pub fn new(spec: &WindowSpec) -> PaneTree {
        PaneTree {
            width: spec.pane(),
            offset: spec.pane_start(0),
            levels: Vec::new(),
            made_to: i64::MIN,
            forgotten: 0,
        }
    }

    /// The number of the pane that starts at `pane`.
    fn number(&self, pane: i64) -> i64 {
        pane.saturating_sub(self.offset).div_euclid(self.width)
    }

    /// The start of the pane of that number.
    fn start(&self, number: i64) -> i64 {
        number.saturating_mul(self.width).saturating_add(self.offset)
    }

    /// Rows have come into a pane: the nodes over it are no longer what it holds.
    pub fn changed(&mut self, pane: i64) {
        let number = self.number(pane);
        if number >= self.made_to {
            return;
        }
        for (level, nodes) in self.levels.iter_mut().enumerate() {
            nodes.remove(&(number >> level));
        }
    }

    /// Panes before `first` are gone. Nodes over them are of no use to any later window.
    pub fn forgot(&mut self, panes: usize, first: Option<i64>) {
        self.forgotten += panes;
        let Some(first) = first else {
            self.levels.clear();
            self.forgotten = 0;
            return;
        };
        // Looking through all nodes is worth it once a good part of them goes.
        if self.forgotten * 4 < self.levels.first().map_or(0, Level::len) {
            return;
        }
        self.forgotten = 0;
        let first = self.number(first);
        for (level, nodes) in self.levels.iter_mut().enumerate() {
            nodes.retain(|number, _| *number << level >= first);
        }
    }

    /// Makes the nodes of some windows (start and end, ascending), as far as they are missing.
    pub fn make_for(&mut self, windows: &[(i64, i64)], panes: &BTreeMap<i64, Pane>, merge: Merge<'_>) -> Result<()> {
        let mut missing: Vec<Numbers> = Vec::new();
        let mut before = Edges::default();
        for (start, end) in windows {
            nodes_of(self.number(*start), self.number(*end), &mut |node| {
                // Windows that follow each other share most of their nodes.
                if before.put(node, ()).is_some() {
                    return;
                }
                while missing.len() <= node.level {
                    missing.push(Numbers::default());
                    self.levels
                        .resize_with(missing.len().max(self.levels.len()), Level::default);
                }
                self.miss(node.level, node.number, panes, &mut missing);
            });
        }
        self.make_missing(missing, panes, merge)
    }

    /// Adds the nodes of each window, which have been made, in the order of time; after each window calls `then`.
    pub fn gather<'a>(
        &'a self,
        windows: &[(i64, i64)],
        gather: &mut Gather<'a>,
        mut then: impl FnMut(&mut Gather<'a>, i64, i64),
    ) {
        let mut before: Edges<Option<Known>> = Edges::default();
        for (start, end) in windows {
            nodes_of(self.number(*start), self.number(*end), &mut |node| {
                let known = match before.get(node) {
                    Some(known) => known,
                    None => {
                        let nodes = self.levels.get(node.level);
                        let rows = nodes.and_then(|nodes| nodes.get(&node.number));
                        let known = rows.map(|rows| gather.know(rows));
                        before.put(node, known);
                        known
                    }
                };
                if let Some(known) = known {
                    gather.add(*end, known);
                }
            });
            then(gather, *start, *end);
        }
    }

    /// Makes missing nodes, and those below that they are made of.
    fn make_missing(&mut self, mut missing: Vec<Numbers>, panes: &BTreeMap<i64, Pane>, merge: Merge<'_>) -> Result<()> {
        for level in (1..missing.len()).rev() {
            for number in missing[level].clone() {
                self.miss(level - 1, number * 2, panes, &mut missing);
                self.miss(level - 1, number * 2 + 1, panes, &mut missing);
            }
        }
        for (level, numbers) in missing.into_iter().enumerate() {
            let mut numbers: Vec<i64> = numbers.into_iter().collect();
            numbers.sort_unstable();
            if let Some(last) = numbers.last() {
                self.made_to = self.made_to.max((last + 1) << level);
            }
            self.make(level, &numbers, panes, merge)?;
        }
        Ok(())
    }

    fn miss(&self, level: usize, number: i64, panes: &BTreeMap<i64, Pane>, missing: &mut [Numbers]) {
        if self.levels[level].contains_key(&number) {
            return;
        }
        // Whether there are any panes below is asked of large nodes only: looking for a few costs less than asking.
        let empty = || {
            let (start, end) = (self.start(number << level), self.start((number + 1) << level));
            panes.range(start..end).next().is_none()
        };
        if level < SMALL_LEVELS || !empty() {
            missing[level].insert(number);
        }
    }

    /// Makes nodes of one level, all at once, of the level below.
    fn make(&mut self, level: usize, numbers: &[i64], panes: &BTreeMap<i64, Pane>, merge: Merge<'_>) -> Result<()> {
        let (below, here) = self.levels.split_at_mut(level);
        let below = below.last();
        let (width, offset) = (self.width, self.offset);
        let mut gather = Gather::default();
        let mut parts: Vec<&Rows> = Vec::new();
        for number in numbers {
            parts.clear();
            match below {
                Some(below) => parts.extend([number * 2, number * 2 + 1].iter().filter_map(|child| below.get(child))),
                None => {
                    let start = number.saturating_mul(width).saturating_add(offset);
                    parts.extend(panes.get(&start).into_iter().flat_map(Pane::in_time));
                }
            }
            match parts[..] {
                [] => {}
                [one] => {
                    here[0].insert(*number, one.clone());
                }
                _ => parts.iter().for_each(|rows| {
                    let known = gather.know(rows);
                    gather.add(*number, known);
                }),
            }
        }
        if let Some(batch) = gather.finish().map_err(internal)? {
            here[0].extend(by_number(merge(vec![batch])?).map_err(internal)?);
        }
        Ok(())
    }

    /// Rows kept beside those of the panes.
    pub fn num_rows(&self) -> usize {
        let merged = self.levels.iter().skip(1).flat_map(Level::values);
        merged.map(Rows::num_rows).sum()
    }
}

/// The nodes that make up the panes `from..to`, in the order of time: at most two of each level.
fn nodes_of(from: i64, to: i64, give: &mut impl FnMut(Node)) {
    let (mut from, mut to, mut level) = (from, to, 0);
    let mut behind = [Node::default(); LEVELS];
    let mut count = 0;
    while from < to {
        if from & 1 == 1 {
            give(Node {
                level,
                number: from,
                right: false,
            });
            from += 1;
        }
        if to & 1 == 1 {
            to -= 1;
            behind[count] = Node {
                level,
                number: to,
                right: true,
            };
            count += 1;
        }
        (from, to, level) = (from >> 1, to >> 1, level + 1);
    }
    behind[..count].iter().rev().for_each(|node| give(*node));
}

/// What was last known of the nodes at the two edges of a window, level by level.
struct Edges<T>([[Option<(i64, T)>; 2]; LEVELS]);

impl<T: Copy> Default for Edges<T> {
    fn default() -> Self {
        Edges([[None; 2]; LEVELS])
    }
}

impl<T: Copy> Edges<T> {
    fn get(&self, node: Node) -> Option<T> {
        let known = self.0[node.level][usize::from(node.right)];
        known
            .filter(|(number, _)| *number == node.number)
            .map(|(_, known)| known)
    }

    /// Gives what was known of the very same node.
    fn put(&mut self, node: Node, known: T) -> Option<T> {
        let before = self.get(node);
        self.0[node.level][usize::from(node.right)] = Some((node.number, known));
        before
    }
}

pub fn internal(error: ArrowError) -> Error {
    Error::internal(error.to_string())
}

/// A hash of numbers that follow each other: one multiplication.
#[derive(Default)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_cover_each_pane_of_a_window_once_and_in_order() {
        for from in -70..70 {
            for to in from..from + 130 {
                let mut panes = Vec::new();
                let mut nodes = 0;
                nodes_of(from, to, &mut |node| {
                    nodes += 1;
                    panes.extend(node.number << node.level..(node.number + 1) << node.level);
                });
                assert_eq!(panes, (from..to).collect::<Vec<_>>(), "{from}..{to}");
                assert!(nodes <= 14, "{nodes} nodes for {from}..{to}");
            }
        }
    }
}
