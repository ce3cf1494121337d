//! Which queries of a program still run, and which nodes they need.
//!
//! Only sources are shared between queries, so a node that fails takes one query with it, and a source all that read it.

use crate::dstream::graph::{Graph, NodeId};
use std::collections::BTreeSet;

/// Per node, the outputs that it feeds and whether some of them still run.
pub struct Live {
    feeds: Vec<BTreeSet<usize>>,
    needed: Vec<bool>,
}

impl Live {
    pub fn new(graph: &Graph) -> Live {
        let mut feeds: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); graph.nodes.len()];
        for (index, output) in graph.outputs.iter().enumerate() {
            for node in &output.nodes {
                feeds[*node].insert(index);
            }
        }
        // Nodes are in topological order: a node's own outputs are known before those of its inputs.
        for node in graph.nodes.iter().rev() {
            for input in &node.inputs {
                let of_node = feeds[node.id].clone();
                feeds[*input].extend(of_node);
            }
        }
        let needed = vec![true; feeds.len()];
        Live { feeds, needed }
    }

    pub fn needs(&self, node: NodeId) -> bool {
        self.needed.get(node).copied().unwrap_or(false)
    }

    /// Whether only this output is made of a node.
    pub fn is_alone(&self, node: NodeId, output: usize) -> bool {
        self.feeds
            .get(node)
            .is_some_and(|of| of.len() == 1 && of.contains(&output))
    }

    /// The outputs that fail with a node.
    pub fn fed_by(&self, node: NodeId) -> Vec<usize> {
        self.feeds
            .get(node)
            .map(|f| f.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The nodes that no output needs any more, and one needed before.
    pub fn update(&mut self, runs: impl Fn(usize) -> bool) -> Vec<NodeId> {
        let mut dropped = Vec::new();
        for (node, needed) in self.needed.iter_mut().enumerate().filter(|(_, needed)| **needed) {
            if !self.feeds[node].iter().any(|output| runs(*output)) {
                *needed = false;
                dropped.push(node);
            }
        }
        dropped
    }
}
