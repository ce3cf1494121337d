//! Logical nodes that batch SQL lacks: an interval's input, a static table, a window function over a table.
//!
//! They stand in DataFusion logical plans; `operators` turns them into execution plans. They hold data only, so that a
//! plan can be sent elsewhere.

use crate::dstream::table::TableSpec;
use crate::dstream::window::WindowSpec;
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The time of a row as its window operator sees it, in the unit of the event-time column.
pub const TS: &str = "__ts";
/// The watermark of the row's own split before the row, in nanoseconds (NULL-free; −∞ is `i64::MIN`).
pub const WM: &str = "__wm";
/// Which row of the slice it was, for `late_rows`.
pub const ROW: &str = "__row";
/// The start of the row's pane.
pub const PANE: &str = "__pane";

/// The recorded clock of the interval that runs, where a query asks for `now()`.
pub const NOW: &str = "__now";
/// The split that a row was read from, and how many rows of it came before: what `random()` and `uuid()` are made of.
pub const SPLIT: &str = "__split";
pub const OFFSET: &str = "__offset";

/// The functions that clocks and chance are planned as. The first has no code: where it stands, a stage reads `__now`.
pub const CLOCK_FUNCTION: &str = "__clock";
pub const RANDOM_FUNCTION: &str = "__random";
pub const UUID_FUNCTION: &str = "__uuid";
/// The function that gives 0.0 for both zeros.
pub const ZERO_FUNCTION: &str = "__one_zero";

pub const WINDOW_START: &str = "window_start";
pub const WINDOW_END: &str = "window_end";
pub const WINDOW_TIME: &str = "window_time";

/// Leaf: the current interval's batches of input `slot` of the stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InputNode {
    pub slot: usize,
    /// Which columns of the input's batches, in order.
    pub columns: Vec<usize>,
    /// The names and types of those columns as the plan above sees them.
    pub schema: DFSchemaRef,
    /// The last column of the schema is the recorded clock of the interval, and stands in no batch.
    pub clock: bool,
}

impl InputNode {
    pub fn plan(slot: usize, columns: Vec<usize>, schema: DFSchemaRef) -> LogicalPlan {
        LogicalPlan::Extension(Extension {
            node: Arc::new(InputNode {
                slot,
                columns,
                schema,
                clock: false,
            }),
        })
    }

    /// The same with the recorded clock behind the columns; `schema` ends with it.
    pub fn with_clock(slot: usize, columns: Vec<usize>, schema: DFSchemaRef) -> LogicalPlan {
        LogicalPlan::Extension(Extension {
            node: Arc::new(InputNode {
                slot,
                columns,
                schema,
                clock: true,
            }),
        })
    }
}

impl PartialOrd for InputNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.slot, &self.columns).partial_cmp(&(other.slot, &other.columns))
    }
}

impl UserDefinedLogicalNodeCore for InputNode {
    fn name(&self) -> &str {
        "Input"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Input {}", self.slot)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, _: Vec<LogicalPlan>) -> Result<Self> {
        Ok(self.clone())
    }
}

/// Leaf: a table that does not change, read once when the query starts.
#[derive(Debug, Clone)]
pub struct StaticNode {
    pub table: Arc<TableSpec>,
    /// Indices into the declared columns.
    pub columns: Vec<usize>,
    pub schema: DFSchemaRef,
}

impl StaticNode {
    pub fn plan(table: Arc<TableSpec>, columns: Vec<usize>, schema: DFSchemaRef) -> LogicalPlan {
        LogicalPlan::Extension(Extension {
            node: Arc::new(StaticNode { table, columns, schema }),
        })
    }
}

impl PartialEq for StaticNode {
    fn eq(&self, other: &Self) -> bool {
        self.table.name == other.table.name && self.columns == other.columns && self.schema == other.schema
    }
}

impl Eq for StaticNode {}

impl Hash for StaticNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.table.name.hash(state);
        self.columns.hash(state);
    }
}

impl PartialOrd for StaticNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (&self.table.name, &self.columns).partial_cmp(&(&other.table.name, &other.columns))
    }
}

impl UserDefinedLogicalNodeCore for StaticNode {
    fn name(&self) -> &str {
        "Static"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Static {}", self.table.name)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, _: Vec<LogicalPlan>) -> Result<Self> {
        Ok(self.clone())
    }
}

/// A window function over a table: the input's columns, then `window_start`, `window_end`, `window_time`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WindowNode {
    pub input: LogicalPlan,
    /// The time column of the input.
    pub time: Expr,
    /// Columns of the input: whose rows sessions are made of. Empty for other windows.
    pub partition: Vec<Expr>,
    pub window: WindowSpec,
    pub unit: TimeUnit,
    /// Over the time at which rows arrive, not over their event time.
    pub arrival: bool,
    /// Aggregates over it are made from those of the window before.
    pub inverse: bool,
    pub schema: DFSchemaRef,
    /// As written, for EXPLAIN: `TUMBLE 10 s`.
    pub label: String,
}

impl PartialOrd for WindowNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (&self.window, &self.label).partial_cmp(&(&other.window, &other.label))
    }
}

impl UserDefinedLogicalNodeCore for WindowNode {
    fn name(&self) -> &str {
        "Window"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        std::iter::once(&self.time).chain(&self.partition).cloned().collect()
    }

    /// Predicates on the windows stay above; all others may go below, except that a session is made of all rows of its
    /// key, so that only whole keys may be left out below it.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let mut kept: HashSet<String> = [WINDOW_START, WINDOW_END, WINDOW_TIME].map(String::from).into();
        if matches!(self.window, WindowSpec::Session { .. }) {
            let columns = self.input.schema().columns().into_iter();
            let others = columns.filter(|c| !self.partition.contains(&Expr::Column(c.clone())));
            kept.extend(others.map(|c| c.name));
        }
        kept
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Window {}", self.label)
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        if exprs.is_empty() || inputs.len() != 1 {
            return internal_err!("a window function has one time column and one input");
        }
        let (time, input) = (exprs.remove(0), inputs.remove(0));
        let fields = self.schema.iter().skip(self.schema.fields().len() - 3);
        let windows = fields.map(|(q, f)| (q.cloned(), Arc::clone(f)));
        let columns = input.schema().iter().map(|(q, f)| (q.cloned(), Arc::clone(f)));
        let schema = datafusion::common::DFSchema::new_with_metadata(
            columns.chain(windows).collect(),
            self.schema.metadata().clone(),
        )?;
        Ok(WindowNode {
            input,
            time,
            partition: exprs,
            schema: Arc::new(schema),
            ..self.clone()
        })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        let mut needed: Vec<usize> = output_columns.iter().copied().filter(|i| *i < width).collect();
        for expr in std::iter::once(&self.time).chain(&self.partition) {
            if let Expr::Column(column) = expr {
                needed.push(self.input.schema().maybe_index_of_column(column)?);
            }
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
