//! Merged panes, two by two: a window of many panes is a few nodes of a binary tree, and need not merge them all.
//!
//! Node `i` of level `k` holds the panes `i·2^k` to `(i+1)·2^k`, counted from the epoch, so that every window uses the
//! nodes of the windows before it. A node is a function of what its panes hold and of nothing else: it may be made now
//! or later, or again after a loss, and is the same to the last bit. (Arasu and Widom, "Resource Sharing in Continuous
//! Sliding-Window Aggregates", VLDB 2004.)

use super::ordered::Ordered;
use super::panes::{Merge, Pane};
use super::rows::{Gather, Known, Rows, by_number};
use crate::dstream::window::WindowSpec;
use crate::error::{Error, Result};
use datafusion::arrow::error::ArrowError;
use std::collections::BTreeMap;

/// The tree over the panes of one partition of state.
#[derive(Debug, Clone)]
pub struct PaneTree {
    width: i64,
    offset: i64,
    /// Per level, the nodes that have been made. Level 0 are the panes themselves.
    levels: Vec<Level>,
    /// No node holds panes from this one on.
    made_to: i64,
}

/// The nodes of one level. `None`: made once, and no longer what its panes hold.
type Level = Ordered<Option<Rows>>;

/// A node of a window: where it stands, and at which edge of the window.
#[derive(Debug, Clone, Copy)]
struct Node {
    number: i64,
    /// Which of some windows.
    window: u32,
    level: u8,
    right: bool,
}

/// What some windows are made of: nodes at both edges, and what lies between.
///
/// Windows that begin in the same 2^[`MIDDLE`] panes, and end in the same ones, have their middle in common. It is merged
/// once for all of them; so it is for one alone, since the same rows merged in another order may be another sum of floats.
pub struct Cover {
    /// Window by window, in the order of time.
    edges: Vec<Node>,
    /// One for each window, by its place.
    middle_of: Vec<Option<usize>>,
    middles: Vec<Option<Rows>>,
}

impl Cover {
    /// About how many rows the windows are made of.
    pub fn num_parts(&self) -> usize {
        self.edges.len() + self.middle_of.len()
    }
}

impl Node {
    fn level(&self) -> usize {
        usize::from(self.level)
    }
}

/// As many as numbers have bits.
const LEVELS: usize = 64;

/// Nodes of this level and above are the middle of a window.
const MIDDLE: usize = 4;

/// Below this level nodes are taken to hold panes.
const SMALL_LEVELS: usize = 3;

impl PaneTree {
    pub fn new(spec: &WindowSpec) -> PaneTree {
        PaneTree {
            width: spec.pane(),
            offset: spec.pane_start(0),
            levels: Vec::new(),
            made_to: i64::MIN,
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
            if let Some(node) = nodes.get_mut(number >> level) {
                *node = None;
            }
        }
    }

    /// Panes before `first` are gone. Nodes over them are of no use to any later window.
    pub fn forgot(&mut self, first: Option<i64>) {
        let Some(first) = first else {
            self.levels.iter_mut().for_each(Level::clear);
            return;
        };
        let first = self.number(first);
        for (level, nodes) in self.levels.iter_mut().enumerate() {
            // The first node that begins at that pane or behind it.
            nodes.forget_before(-((-first) >> level));
        }
    }

    /// What some windows (start and end, ascending) are made of; nodes that are missing are made.
    pub fn make_for(&mut self, windows: &[(i64, i64)], panes: &BTreeMap<i64, Pane>, merge: Merge<'_>) -> Result<Cover> {
        // At each edge half of the nodes below the middle, on average.
        let mut edges: Vec<Node> = Vec::with_capacity(windows.len() * MIDDLE);
        let mut spans: Vec<(i64, i64)> = Vec::new();
        let mut middle_of = Vec::with_capacity(windows.len());
        for (window, (start, end)) in windows.iter().enumerate() {
            let (from, to) = (self.number(*start), self.number(*end));
            let (first, behind) = (-((-from) >> MIDDLE), to >> MIDDLE);
            if first >= behind {
                nodes_of(window, 0, from, to, &mut edges);
                middle_of.push(None);
                continue;
            }
            nodes_of(window, 0, from, first << MIDDLE, &mut edges);
            nodes_of(window, 0, behind << MIDDLE, to, &mut edges);
            if spans.last() != Some(&(first, behind)) {
                spans.push((first, behind));
            }
            middle_of.push(Some(spans.len() - 1));
        }
        let mut inner: Vec<Node> = Vec::new();
        for (middle, (first, behind)) in spans.iter().enumerate() {
            nodes_of(middle, MIDDLE, *first, *behind, &mut inner);
        }
        self.make_nodes(&[&edges, &inner], panes, merge)?;
        let middles = self.middles(spans.len(), &inner, merge)?;
        Ok(Cover {
            edges,
            middle_of,
            middles,
        })
    }

    /// Makes those of the nodes that are missing.
    fn make_nodes(&mut self, nodes: &[&[Node]], panes: &BTreeMap<i64, Pane>, merge: Merge<'_>) -> Result<()> {
        let top = nodes.iter().copied().flatten().map(Node::level).max().unwrap_or(0);
        if self.levels.len() <= top {
            self.levels.resize_with(top + 1, Level::default);
        }
        let mut missing: Vec<Vec<i64>> = vec![Vec::new(); top + 1];
        for nodes in nodes {
            // Windows that follow each other share most of their nodes.
            let mut before = Edges::default();
            for node in *nodes {
                if before.put(*node, ()).is_none() {
                    self.miss(node.level(), node.number, panes, &mut missing);
                }
            }
        }
        self.make_missing(missing, panes, merge)
    }

    /// The middles, each of its nodes, which have been made.
    fn middles(&self, count: usize, nodes: &[Node], merge: Merge<'_>) -> Result<Vec<Option<Rows>>> {
        let mut middles = vec![None; count];
        let mut gather = Gather::default();
        let mut parts: Vec<&Rows> = Vec::new();
        for of_one in nodes.chunk_by(|a, b| a.window == b.window) {
            parts.clear();
            parts.extend(of_one.iter().filter_map(|n| self.node(n.level(), n.number)));
            let middle = of_one[0].window;
            match parts[..] {
                [] => {}
                [one] => middles[middle as usize] = Some(one.clone()),
                _ => gather.add_all(i64::from(middle), &parts),
            }
        }
        if let Some(batch) = gather.finish().map_err(internal)? {
            for (middle, rows) in by_number(merge(vec![batch])?).map_err(internal)? {
                middles[middle as usize] = Some(rows);
            }
        }
        Ok(middles)
    }

    /// Adds the parts of each window; after each window calls `then`.
    pub fn gather<'a>(
        &'a self,
        cover: &'a Cover,
        windows: &[(i64, i64)],
        gather: &mut Gather<'a>,
        mut then: impl FnMut(&mut Gather<'a>, i64, i64),
    ) {
        let mut before: Edges<Option<Known>> = Edges::default();
        let mut edges = cover.edges.iter().peekable();
        let mut middle_before: Option<(usize, Option<Known>)> = None;
        for (window, (start, end)) in windows.iter().enumerate() {
            let mut add = |gather: &mut Gather<'a>, node: &Node| {
                let known = before.get(*node).unwrap_or_else(|| {
                    let known = self.node(node.level(), node.number).map(|rows| gather.know(rows));
                    before.put(*node, known);
                    known
                });
                known.into_iter().for_each(|known| gather.add(*end, known));
            };
            while let Some(node) = edges.next_if(|node| node.window as usize == window && !node.right) {
                add(gather, node);
            }
            if let Some(middle) = cover.middle_of[window] {
                let known = match middle_before {
                    Some((before, known)) if before == middle => known,
                    _ => cover.middles[middle].as_ref().map(|rows| gather.know(rows)),
                };
                middle_before = Some((middle, known));
                known.into_iter().for_each(|known| gather.add(*end, known));
            }
            while let Some(node) = edges.next_if(|node| node.window as usize == window) {
                add(gather, node);
            }
            then(gather, *start, *end);
        }
    }

    fn node(&self, level: usize, number: i64) -> Option<&Rows> {
        self.levels.get(level)?.get(number)?.as_ref()
    }

    /// Makes missing nodes, and those below that they are made of.
    fn make_missing(
        &mut self,
        mut missing: Vec<Vec<i64>>,
        panes: &BTreeMap<i64, Pane>,
        merge: Merge<'_>,
    ) -> Result<()> {
        for level in (0..missing.len()).rev() {
            let numbers = &mut missing[level];
            // A few ascending runs, which a stable sort only merges.
            numbers.sort();
            numbers.dedup();
            if level > 0 {
                for number in numbers.clone() {
                    self.miss(level - 1, number * 2, panes, &mut missing);
                    self.miss(level - 1, number * 2 + 1, panes, &mut missing);
                }
            }
        }
        for (level, numbers) in missing.into_iter().enumerate() {
            if let Some(last) = numbers.last() {
                self.made_to = self.made_to.max((last + 1) << level);
            }
            self.make(level, &numbers, panes, merge)?;
        }
        Ok(())
    }

    fn miss(&self, level: usize, number: i64, panes: &BTreeMap<i64, Pane>, missing: &mut [Vec<i64>]) {
        if self.node(level, number).is_some() {
            return;
        }
        // Whether there are any panes below is asked of large nodes only: looking for a few costs less than asking.
        let empty = || {
            let (start, end) = (self.start(number << level), self.start((number + 1) << level));
            panes.range(start..end).next().is_none()
        };
        if level < SMALL_LEVELS || !empty() {
            missing[level].push(number);
        }
    }

    /// Makes nodes of one level, all at once, of the level below.
    fn make(&mut self, level: usize, numbers: &[i64], panes: &BTreeMap<i64, Pane>, merge: Merge<'_>) -> Result<()> {
        let (width, offset) = (self.width, self.offset);
        let (below, here) = self.levels.split_at_mut(level);
        let (below, Some(here)) = (below.last(), here.first_mut()) else {
            return Ok(());
        };
        let mut gather = Gather::default();
        let mut parts: Vec<&Rows> = Vec::new();
        for number in numbers {
            parts.clear();
            match below {
                Some(below) => {
                    let child = |number: i64| below.get(number).and_then(Option::as_ref);
                    parts.extend([number * 2, number * 2 + 1].into_iter().filter_map(child));
                }
                None => {
                    let start = number.saturating_mul(width).saturating_add(offset);
                    parts.extend(panes.get(&start).into_iter().flat_map(Pane::in_time));
                }
            }
            match parts[..] {
                [] => {}
                [one] => here.put(*number, Some(one.clone())),
                _ => gather.add_all(*number, &parts),
            }
        }
        if let Some(batch) = gather.finish().map_err(internal)? {
            for (number, rows) in by_number(merge(vec![batch])?).map_err(internal)? {
                here.put(number, Some(rows));
            }
        }
        Ok(())
    }

    /// Rows kept beside those of the panes.
    pub fn num_rows(&self) -> usize {
        let merged = self.levels.iter().skip(1).flat_map(Level::values).flatten();
        merged.map(Rows::num_rows).sum()
    }
}

/// The nodes that make up the nodes `from..to` of a level, in the order of time: at most two of each level.
fn nodes_of(window: usize, lowest: usize, from: i64, to: i64, nodes: &mut Vec<Node>) {
    let node = |level, number, right| Node {
        number,
        window: window as u32,
        level: level as u8,
        right,
    };
    let (mut left, mut up) = (from, 0);
    while left < to >> up {
        if left & 1 == 1 {
            nodes.push(node(lowest + up, left, false));
            left += 1;
        }
        (left, up) = (left >> 1, up + 1);
    }
    // Those at the right edge come behind, the largest first.
    for up in (0..up).rev() {
        let behind = to >> up;
        if behind & 1 == 1 {
            nodes.push(node(lowest + up, behind - 1, true));
        }
    }
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
        let known = self.0[node.level()][usize::from(node.right)];
        known
            .filter(|(number, _)| *number == node.number)
            .map(|(_, known)| known)
    }

    /// Gives what was known of the very same node.
    fn put(&mut self, node: Node, known: T) -> Option<T> {
        let before = self.get(node);
        self.0[node.level()][usize::from(node.right)] = Some((node.number, known));
        before
    }
}

pub fn internal(error: ArrowError) -> Error {
    Error::internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_cover_each_pane_of_a_window_once_and_in_order() {
        for from in -70..70 {
            for to in from..from + 130 {
                let mut nodes = Vec::new();
                nodes_of(0, 0, from, to, &mut nodes);
                let panes = nodes
                    .iter()
                    .flat_map(|n| n.number << n.level..(n.number + 1) << n.level);
                assert_eq!(panes.collect::<Vec<_>>(), (from..to).collect::<Vec<_>>());
                assert!(nodes.len() <= 14, "{} nodes for {from}..{to}", nodes.len());
            }
        }
    }
}
