//! Rows of a source as it is declared: with its computed columns, as `SELECT *` gives them.
//!
//! Late rows and the like are read again from the source, which has no computed columns. Guarantees: the columns of the
//! table, in their order. Does **not** guarantee: values for columns that cannot be computed from such rows, nobody
//! else having asked for them; they are NULL. Start reading at [`Declared::rows`].

use crate::dstream::graph::{Graph, Op};
use crate::dstream::nodes::InputNode;
use crate::dstream::table::{Column as TableColumn, TableSpec};
use crate::error::Result;
use crate::operators::fragment::{Fragment, Workshop, failed};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sources of a program that have computed columns and windows over them, by their places in the graph.
pub struct Declared(BTreeMap<usize, Table>);

struct Table {
    spec: Arc<TableSpec>,
    /// Per column, what computes it.
    computing: Vec<Option<Fragment>>,
}

impl Declared {
    /// Errors: the computed columns of a source cannot be planned.
    pub fn new(graph: &Graph, shop: &Workshop) -> Result<Declared> {
        let mut tables = BTreeMap::new();
        for (place, node) in graph.sources.iter().enumerate() {
            let Some(Op::Source(source)) = graph.nodes.get(*node).map(|node| &node.op) else {
                continue;
            };
            let judges = |op: &Op| matches!(op, Op::Panes(panes) if panes.source == *node);
            let has_late_rows = graph.nodes.iter().any(|node| judges(&node.op));
            if !has_late_rows || source.table.columns.iter().all(|column| column.computed.is_none()) {
                continue;
            }
            let mut computing = Vec::with_capacity(source.table.columns.len());
            for column in &source.table.columns {
                computing.push(match computed(&source.table, column).map_err(failed)? {
                    Some(plan) => Some(Fragment::new(&plan, shop)?),
                    None => None,
                });
            }
            let spec = Arc::clone(&source.table);
            tables.insert(place, Table { spec, computing });
        }
        Ok(Declared(tables))
    }

    /// All columns of the table, from those that the source gives; `clock_ns` is that of the interval.
    pub fn rows(&mut self, source: usize, clock_ns: i64, physical: RecordBatch) -> Result<RecordBatch> {
        let Some(table) = self.0.get_mut(&source) else {
            return Ok(physical);
        };
        let rows = physical.num_rows();
        let mut given = physical.columns().iter();
        let (mut columns, mut fields) = (Vec::new(), Vec::new());
        for (column, computing) in table.spec.columns.iter().zip(&mut table.computing) {
            let values = match computing {
                Some(computing) => values(computing, clock_ns, &physical),
                None => given.next().cloned(),
            };
            columns.push(values.unwrap_or_else(|| new_null_array(&column.data_type, rows)));
            fields.push(Field::new(&column.name, column.data_type.clone(), true));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::new(Schema::new(fields));
        RecordBatch::try_new_with_options(schema, columns, &options).map_err(|e| failed(e.into()))
    }
}

/// The values of a column, one per row, unless one of them cannot be computed.
fn values(computing: &mut Fragment, clock_ns: i64, physical: &RecordBatch) -> Option<ArrayRef> {
    let batches = computing.run_at(clock_ns, vec![vec![physical.clone()]]).ok()?;
    let values: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(0).as_ref()).collect();
    concat(&values)
        .ok()
        .filter(|values| values.len() == physical.num_rows())
}

/// A computed column over those that the source gives.
fn computed(table: &TableSpec, column: &TableColumn) -> std::result::Result<Option<LogicalPlan>, DataFusionError> {
    let Some(expr) = &column.computed else {
        return Ok(None);
    };
    let physical = table.physical_schema();
    let nullable = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
    let schema = DFSchema::try_from(Schema::new(physical.fields().iter().map(nullable).collect::<Vec<_>>()))?;
    let leaf = InputNode::plan(0, (0..physical.fields().len()).collect(), Arc::new(schema));
    let plan = LogicalPlanBuilder::from(leaf).project([expr.clone().alias(&column.name)])?;
    plan.build().map(Some)
}
