//! The D-Stream graph: what the planner makes and the driver runs.
//!
//! A node's dataset for (interval, partition) is an immutable batch. Every node states its [`LineageRule`], from which
//! the recovery planner knows what a lost batch is made of (D-Streams, SOSP 2013, §3.2).

use crate::dstream::table::TableSpec;
use crate::dstream::window::WindowSpec;
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::logical_expr::{Expr, LogicalPlan};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The place of a node in [`Graph::nodes`].
pub type NodeId = usize;

/// A program: several queries over shared sources, in topological order.
#[derive(Debug, Clone)]
pub struct Graph {
    pub nodes: Vec<Node>,
    /// The ids of the source nodes, in order of first use.
    pub sources: Vec<NodeId>,
    pub outputs: Vec<Output>,
}

impl Graph {
    /// The nodes that an output is made of.
    pub fn nodes_of(&self, output: &Output) -> BTreeSet<NodeId> {
        let mut reached = BTreeSet::new();
        let mut left = output.nodes.clone();
        while let Some(id) = left.pop() {
            if let Some(node) = self.nodes.get(id).filter(|_| reached.insert(id)) {
                left.extend(&node.inputs);
            }
        }
        reached
    }

    /// The sources that an output is made of: places in [`Graph::sources`], ascending.
    pub fn sources_of(&self, output: &Output) -> Vec<usize> {
        let nodes = self.nodes_of(output);
        (0..self.sources.len())
            .filter(|place| nodes.contains(&self.sources[*place]))
            .collect()
    }

    /// Per output, whether it is made of a source whose event time is used.
    pub fn timed_outputs(&self) -> Vec<bool> {
        let is_timed = |id: &NodeId| match self.nodes.get(*id).map(|node| &node.op) {
            Some(Op::Source(source)) => source.event_time.is_some(),
            _ => false,
        };
        let of = |output: &Output| self.nodes_of(output).iter().any(is_timed);
        self.outputs.iter().map(of).collect()
    }

    /// Whether some rows come from the SQL itself (`VALUES`, a static table): they are there before any source has given
    /// one.
    pub fn has_constants(&self) -> bool {
        let is_constant = |node: &Node| node.inputs.is_empty() && !matches!(node.op, Op::Source(_));
        self.nodes.iter().any(is_constant)
    }
}

/// One D-Stream.
#[derive(Debug, Clone)]
pub struct Node {
    pub id: NodeId,
    /// What EXPLAIN shows: `Source bid`, `Window TUMBLE 10s`.
    pub label: String,
    pub inputs: Vec<NodeId>,
    pub op: Op,
    /// Columns of the batches it gives (hidden columns not counted).
    pub schema: SchemaRef,
    pub lineage: LineageRule,
    pub watermark: WatermarkRule,
    /// What it remembers between intervals and what bounds that, for EXPLAIN.
    pub state: String,
}

/// What a node does with its input.
#[derive(Debug, Clone)]
pub enum Op {
    Source(SourceNode),
    /// A fused chain of stateless operators over one input.
    Stage(StageNode),
    /// The map side of windows: a stateless chain, panes, partial aggregation, exchange by key.
    Panes(PanesNode),
    /// The state side: keeps the panes, gives windows as they close.
    Windows(WindowsNode),
    /// Windows without aggregation: keeps the rows of open windows, gives them as the windows close.
    WindowRows(WindowRowsNode),
    /// A DataFusion batch over what has closed on all inputs.
    Closed(ClosedNode),
}

/// How a lost batch of a node is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineageRule {
    /// From the recorded ranges of the splits.
    Ranges,
    /// From the same partition of the same interval of its input.
    SamePartition,
    /// From all partitions of the same interval of its inputs (an exchange by key, or a gathering).
    AllPartitions,
    /// From its own state before the interval, and all partitions of the interval of its inputs. A lost state is folded
    /// again from the first interval that something open is made of.
    Fold,
}

impl LineageRule {
    pub fn describe(self) -> &'static str {
        match self {
            LineageRule::Ranges => "recorded ranges of the splits",
            LineageRule::SamePartition => "same interval, same partition of the input",
            LineageRule::AllPartitions => "same interval, all partitions of the inputs",
            LineageRule::Fold => "own state of the interval before, and all partitions of the inputs",
        }
    }
}

/// What a node promises downstream (docs/time.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatermarkRule {
    /// The minimum over the splits of the source.
    Splits,
    /// The minimum of its inputs.
    Inputs,
    /// The recorded clock of the interval.
    Clock,
    /// Nothing before every source below has ended.
    AtEnd,
}

/// A table that is read.
#[derive(Debug, Clone)]
pub struct SourceNode {
    pub table: Arc<TableSpec>,
    /// Physical columns that some query of the program uses: indices into [`TableSpec::physical_schema`], ascending.
    pub columns: Vec<usize>,
    /// Set when some operator uses time.
    pub event_time: Option<EventTime>,
    pub bounded: bool,
    /// Its batches end with `__split` and `__offset`: some query asks for `random()` or `uuid()`.
    pub placed: bool,
    /// Over [`TableSpec::physical_schema`]: rows for which it is not true are asked for by no query of the program.
    pub predicate: Option<Expr>,
}

/// The event time of a source: where it comes from, and the declared delay.
#[derive(Debug, Clone)]
pub struct EventTime {
    /// The name of the column, for people.
    pub column: String,
    /// An expression over the source's batch: a physical column, or what a computed column is computed from.
    pub expr: Expr,
    pub unit: TimeUnit,
    pub delay_ns: i64,
}

/// A stateless chain over one input, as a logical plan with [`crate::dstream::nodes::InputNode`] 0 as its leaf.
#[derive(Debug, Clone)]
pub struct StageNode {
    pub plan: LogicalPlan,
}

/// The map side of windows: a stateless chain, then panes, then (with an aggregation) partial states by pane and key.
#[derive(Debug, Clone)]
pub struct PanesNode {
    /// `__ts`, then every column that is used above.
    pub rows: LogicalPlan,
    /// The same for slices that may hold late rows, with `__wm` and `__row` behind.
    pub judged: Option<LogicalPlan>,
    pub window: Windowing,
    /// `None`: the rows themselves are kept.
    pub aggregation: Option<Arc<Aggregation>>,
    /// Where the rows come from, for `late_rows`.
    pub source: NodeId,
    /// The output that late rows are counted for.
    pub output: usize,
}

/// A window function with what judges its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windowing {
    pub spec: WindowSpec,
    pub unit: TimeUnit,
    pub lateness_ns: i64,
    /// Over the time at which rows arrive: nothing is late, and the recorded clock closes windows.
    pub arrival: bool,
}

/// An aggregation by pane and key.
#[derive(Debug)]
pub struct Aggregation {
    /// `Aggregate` with group `[__pane, keys…]` over an input of `__pane` and the columns of [`PanesNode::rows`] behind
    /// `__ts`: the template from which the physical partial, merging and final aggregates are made.
    pub template: LogicalPlan,
    /// How many group keys follow `__pane`.
    pub keys: usize,
    /// No GROUP BY at all: one row even over nothing (only with [`WindowSpec::Forever`]).
    pub single_row: bool,
    /// What stands where in the result.
    pub layout: Vec<ResultColumn>,
    /// Windows are made from those before them.
    pub inverse: Option<Inverse>,
}

/// How a window is made from the one before it: partial states of what leaves are inverted, and merged. The counts and
/// sums of exact numbers among the aggregates of the template are negated; some of them stand there for this alone.
#[derive(Debug, Clone)]
pub struct Inverse {
    /// The aggregate that counts the rows of a group.
    pub rows: usize,
    /// Sums, each with the aggregate that counts its values: over none of them it is NULL.
    pub sums: Vec<(usize, usize)>,
    /// Aggregates whose inverse the host has registered, by their names.
    pub registered: Vec<(usize, String)>,
}

/// Where a column of a window aggregate's result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultColumn {
    WindowStart,
    WindowEnd,
    WindowTime,
    /// The k-th column behind the pane: keys, then aggregates.
    Column(usize),
}

/// The state side of a window aggregate; its inputs are [`PanesNode`]s.
#[derive(Debug, Clone)]
pub struct WindowsNode {
    pub window: Windowing,
    pub aggregation: Arc<Aggregation>,
}

/// Windows whose rows are kept; its inputs are [`PanesNode`]s without aggregation.
#[derive(Debug, Clone)]
pub struct WindowRowsNode {
    pub window: Windowing,
    /// Of a session: the columns of the row whose values it belongs to.
    pub partition: Vec<usize>,
    /// From a kept row and its window to the columns above: a stateless plan whose leaf has the columns of the row,
    /// then `window_start`, `window_end`, `window_time`.
    pub finish: LogicalPlan,
    /// The type of the event time, which those three columns have too.
    pub time_type: DataType,
}

/// A batch over closed windows, or over everything at the end of the input.
#[derive(Debug, Clone)]
pub struct ClosedNode {
    /// Leaves are [`crate::dstream::nodes::InputNode`] k, for the k-th input.
    pub plan: LogicalPlan,
    pub closes: Closes,
    /// The rows of all windows have one order: they are in one partition.
    pub ordered: bool,
}

/// When a [`ClosedNode`] runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closes {
    /// When a window has closed on all inputs: per input, the column that holds `window_end` (or `window_start`, with
    /// the windows that it starts), in the columns of that input.
    PerWindow(Vec<WindowKey>),
    /// Once, when every input has ended.
    AtEnd,
}

/// How the end of its window is read off a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowKey {
    pub column: usize,
    /// The column holds starts of these windows, not ends.
    pub from_start: Option<WindowSpec>,
    pub unit: TimeUnit,
}

/// The result of one query.
#[derive(Debug, Clone)]
pub struct Output {
    /// The target of INSERT, SINK or VIEW, else `q1`, `q2` … by place in the program.
    pub name: String,
    /// UNION ALL branches are given in this order.
    pub nodes: Vec<NodeId>,
    pub schema: SchemaRef,
    /// `LIMIT` and `OFFSET`: ends the query once given.
    pub skip: usize,
    pub fetch: Option<usize>,
    /// A column to order an interval's rows by, so that windows come in the order of their ends.
    pub order_by: Option<usize>,
    /// It ends by itself: with its input, or once `LIMIT` rows are given.
    pub bounded: bool,
    /// `IDLE TIMEOUT`, in nanoseconds; `None` leaves it to the setting.
    pub idle_timeout_ns: Option<i64>,
    /// Warnings and notes for EXPLAIN.
    pub notes: Vec<String>,
}
