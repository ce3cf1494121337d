//! The leaf of every stage: the batches of the current interval, handed over through the task context.
//!
//! The plan is built once and run for every interval, so its leaf holds no rows; it finds them in the [`Slots`] that
//! the stage puts into its task context before each run.

use crate::dstream::nodes::InputNode;
use datafusion::arrow::array::{ArrayRef, RecordBatch, TimestampNanosecondArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
    ReplaceChildrenOptions,
};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The inputs of a stage for one run.
#[derive(Debug, Default)]
pub struct Slots(Mutex<Inputs>);

/// Per slot its batches, and the recorded clock of their interval for plans that ask for it.
#[derive(Debug, Default)]
pub struct Inputs {
    pub batches: Vec<Vec<RecordBatch>>,
    pub clock_ns: Option<i64>,
}

impl Slots {
    /// Puts the batches of all slots in; whatever was there is forgotten.
    pub fn fill(&self, inputs: Inputs) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = inputs;
    }

    fn get(&self, slot: usize) -> Option<(Vec<RecordBatch>, Option<i64>)> {
        let inputs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let batches = inputs.batches.get(slot)?;
        Some((batches.clone(), inputs.clock_ns))
    }
}

/// Reads slot `slot`, giving some of its columns under the names and types of the plan.
#[derive(Debug)]
pub struct InputExec {
    slot: usize,
    columns: Vec<usize>,
    /// The last column is the clock of the interval.
    clock: bool,
    properties: Arc<PlanProperties>,
}

impl InputExec {
    pub fn new(slot: usize, columns: Vec<usize>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        InputExec {
            slot,
            columns,
            clock: false,
            properties: Arc::new(properties),
        }
    }

    /// The leaf of a logical plan.
    pub fn of(node: &InputNode) -> Self {
        InputExec {
            clock: node.clock,
            ..InputExec::new(
                node.slot,
                node.columns.clone(),
                Arc::new(node.schema.as_arrow().clone()),
            )
        }
    }

    fn given(&self, batch: &RecordBatch, clock_ns: Option<i64>) -> Result<RecordBatch> {
        let schema = self.properties.eq_properties.schema();
        if !self.clock {
            return renamed(batch, &self.columns, schema);
        }
        let Some(clock_ns) = clock_ns else {
            return internal_err!("a stage that asks for the clock runs without one");
        };
        let mut arrays: Vec<ArrayRef> = self.columns.iter().map(|i| Arc::clone(batch.column(*i))).collect();
        arrays.push(Arc::new(TimestampNanosecondArray::from_value(
            clock_ns,
            batch.num_rows(),
        )));
        Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
    }
}

impl DisplayAs for InputExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "InputExec: slot={}", self.slot)
    }
}

impl ExecutionPlan for InputExec {
    fn name(&self) -> &str {
        "InputExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(slots) = context.session_config().get_extension::<Slots>() else {
            return internal_err!("a stage runs without its input");
        };
        let Some((batches, clock_ns)) = slots.get(self.slot) else {
            return internal_err!("a stage has no input {}", self.slot);
        };
        let schema = Arc::clone(self.properties.eq_properties.schema());
        let projected = batches.iter().map(|batch| self.given(batch, clock_ns));
        let projected = projected.collect::<Result<Vec<_>>>()?;
        Ok(Box::pin(MemoryStream::try_new(projected, schema, None)?))
    }
}

/// Some columns of a batch under other names.
pub fn renamed(batch: &RecordBatch, columns: &[usize], schema: &SchemaRef) -> Result<RecordBatch> {
    let arrays = columns.iter().map(|i| Arc::clone(batch.column(*i))).collect();
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}
