//! UNION ALL inside a fragment: one input after the other, in one partition.
//!
//! DataFusion's own gives a partition per input, which are then gathered by spawned tasks in the order in which they
//! happen to finish: neither deterministic nor possible on a thread without a runtime.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PhysicalExpr, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use std::fmt;
use std::sync::Arc;

/// Replaces every union of a plan by one that keeps the order of its inputs.
pub fn in_order(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let replaced = plan.transform_up(|node| match node.is::<UnionExec>() {
        true => {
            let inputs = node.children().into_iter().cloned().collect();
            let union: Arc<dyn ExecutionPlan> = Arc::new(UnionInOrder::new(inputs, node.schema()));
            Ok(Transformed::yes(union))
        }
        false => Ok(Transformed::no(node)),
    })?;
    Ok(replaced.data)
}

#[derive(Debug)]
struct UnionInOrder {
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl UnionInOrder {
    fn new(inputs: Vec<Arc<dyn ExecutionPlan>>, schema: datafusion::arrow::datatypes::SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        UnionInOrder {
            inputs,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for UnionInOrder {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "UnionInOrder")
    }
}

impl ExecutionPlan for UnionInOrder {
    fn name(&self) -> &str {
        "UnionInOrder"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(UnionInOrder::new(children, self.schema())))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a union in order has one partition");
        }
        let mut streams = Vec::new();
        for input in &self.inputs {
            for partition in 0..input.output_partitioning().partition_count() {
                streams.push(input.execute(partition, Arc::clone(&context))?);
            }
        }
        let schema = self.schema();
        let typed = Arc::clone(&schema);
        // Inputs may differ from the union in names and in whether NULL may occur.
        let rows = stream::iter(streams).flatten().map(move |batch| {
            let batch = batch?;
            let columns: Vec<usize> = (0..batch.num_columns()).collect();
            super::input::renamed(&batch, &columns, &typed)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
