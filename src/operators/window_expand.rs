//! Window assignment on its own: every row once per window over it, with the window's columns behind.
//!
//! Only for queries that show windowed rows as they are, and for those that run as a batch; aggregates and operators over
//! closed windows keep panes. Sessions are made of all rows of the input, so they stand in batches alone.
//! Lineage: same interval, same partition. State: none.

use crate::dstream::nodes::WindowNode;
use crate::dstream::window::WindowSpec;
use crate::operators::all_sessions::{Span, sessions};
use crate::operators::panes::as_i64;
use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array, make_array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};
use std::fmt;
use std::sync::Arc;

#[derive(Debug)]
pub struct WindowExpandExec {
    input: Arc<dyn ExecutionPlan>,
    /// Index of the time column in the input.
    time: usize,
    /// Of sessions: the columns whose values a row shares with its session.
    keys: Vec<usize>,
    window: WindowSpec,
    properties: Arc<PlanProperties>,
}

impl WindowExpandExec {
    pub fn try_new(node: &WindowNode, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        let Expr::Column(column) = &node.time else {
            return plan_err!("the time of a window function must be a column");
        };
        let time = node.input.schema().index_of_column(column)?;
        let key = |key: &Expr| match key {
            Expr::Column(column) => node.input.schema().index_of_column(column),
            _ => plan_err!("the key of a session must be a column"),
        };
        let keys = node.partition.iter().map(key).collect::<Result<Vec<usize>>>()?;
        let schema = Arc::new(node.schema.as_arrow().clone());
        Ok(Self::over(input, time, keys, node.window, schema))
    }

    fn over(
        input: Arc<dyn ExecutionPlan>,
        time: usize,
        keys: Vec<usize>,
        window: WindowSpec,
        schema: SchemaRef,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        WindowExpandExec {
            input,
            time,
            keys,
            window,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for WindowExpandExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "WindowExpandExec")
    }
}

impl ExecutionPlan for WindowExpandExec {
    fn name(&self) -> &str {
        "WindowExpandExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else {
            return plan_err!("a window function has one input");
        };
        let keys = self.keys.clone();
        Ok(Arc::new(Self::over(input, self.time, keys, self.window, self.schema())))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (time, window, schema) = (self.time, self.window, self.schema());
        let WindowSpec::Session { gap } = window else {
            let expanded = input.map(move |batch| expand(&batch?, time, window, &schema));
            return Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), expanded)));
        };
        let keys = self.keys.clone();
        let all = async move {
            let batches: Vec<RecordBatch> = input.try_collect().await?;
            let spans = sessions(&batches, time, &keys, gap)?;
            let batches = batches.into_iter().zip(spans);
            let given = batches.map(move |(batch, spans)| with_windows(&batch, time, spans, &schema));
            Ok::<_, DataFusionError>(stream::iter(given))
        };
        let expanded = stream::once(all).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), expanded)))
    }
}

/// Rows without event time belong to no window.
fn expand(batch: &RecordBatch, time: usize, window: WindowSpec, schema: &SchemaRef) -> Result<RecordBatch> {
    let times = as_i64(batch.column(time)).map_err(|e| DataFusionError::External(Box::new(e)))?;
    let mut spans = Vec::with_capacity(times.len());
    for (row, ts) in times.iter().enumerate() {
        for end in ts.into_iter().flat_map(|ts| window.ends(ts).iter()) {
            let start = window.start_of(end);
            spans.push(Span { row, start, end });
        }
    }
    with_windows(batch, time, spans, schema)
}

/// The rows that are in windows, once for each, with its columns behind.
fn with_windows(batch: &RecordBatch, time: usize, spans: Vec<Span>, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = UInt32Array::from_iter_values(spans.iter().map(|span| span.row as u32));
    let taken = batch.columns().iter().map(|c| Ok(take(c, &rows, None)?));
    let mut columns = taken.collect::<Result<Vec<ArrayRef>>>()?;
    let data_type = batch.column(time).data_type();
    columns.push(typed(spans.iter().map(|span| span.start), data_type)?);
    columns.push(typed(spans.iter().map(|span| span.end), data_type)?);
    columns.push(typed(spans.iter().map(|span| span.end - 1), data_type)?);
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn typed(values: impl Iterator<Item = i64>, data_type: &DataType) -> Result<ArrayRef> {
    let numbers = Int64Array::from_iter_values(values);
    Ok(make_array(
        numbers
            .into_data()
            .into_builder()
            .data_type(data_type.clone())
            .build()?,
    ))
}
