//! Breaking off a plan that runs. A batch over a whole input can take minutes, in which nobody may want its rows any
//! more; what works interval by interval needs none of this.
//!
//! A plan runs as one long poll, so it is asked at every place where many rows come from: its inputs, joins, and the
//! conditions of joins, of which one that is never true gives no row for long. What it does between two batches of these
//! (sorting them, say) is not broken off.

use crate::error::Error;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether an output is wanted no more. All clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Errors: it has been said.
    fn check(&self) -> Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(DataFusionError::External(Box::new(BrokenOff))),
            false => Ok(()),
        }
    }
}

/// What a plan fails with that has been broken off.
#[derive(Debug, thiserror::Error)]
#[error("it was stopped")]
struct BrokenOff;

/// Whether an error says that a plan was broken off: that is no failure.
pub fn is_broken_off(error: &Error) -> bool {
    let cause = error
        .source
        .as_deref()
        .and_then(|e| e.downcast_ref::<DataFusionError>());
    matches!(cause.map(DataFusionError::find_root), Some(DataFusionError::External(e)) if e.is::<BrokenOff>())
}

/// The same plan, which ends with an error soon after `stop` has been said.
pub fn stoppable(plan: Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let node = asked_in_condition(node, stop)?;
        if node.children().len() == 1 && !node.is::<UnnestExec>() {
            return Ok(Transformed::no(node));
        }
        let asked: Arc<dyn ExecutionPlan> = Arc::new(StopExec {
            input: node,
            stop: stop.clone(),
        });
        Ok(Transformed::yes(asked))
    })
    .data()
}

/// A join whose condition asks, each time that it is looked at; any other node as it is.
fn asked_in_condition(node: Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Arc<dyn ExecutionPlan>> {
    let asked = |filter: &JoinFilter| {
        let condition: Arc<dyn PhysicalExpr> = Arc::new(StopExpr {
            condition: Arc::clone(filter.expression()),
            stop: stop.clone(),
        });
        Some(JoinFilter::new(
            condition,
            filter.column_indices().to_vec(),
            Arc::clone(filter.schema()),
        ))
    };
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
        && let Some(filter) = join.filter()
    {
        let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
        let same = NestedLoopJoinExecBuilder::new(left, right, *join.join_type());
        let same = same.with_projection_ref(join.projection().clone());
        return Ok(Arc::new(same.with_filter(asked(filter)).build()?));
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>()
        && let Some(filter) = join.filter()
    {
        return join.builder().with_filter(asked(filter)).build_exec();
    }
    Ok(node)
}

/// A condition, as long as its answer is wanted.
#[derive(Debug, Clone)]
struct StopExpr {
    condition: Arc<dyn PhysicalExpr>,
    stop: Stop,
}

impl PartialEq for StopExpr {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for StopExpr {}

impl Hash for StopExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for StopExpr {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for StopExpr {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.condition.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.condition.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.stop.check()?;
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(condition) => Ok(Arc::new(StopExpr {
                condition,
                stop: self.stop.clone(),
            })),
            None => internal_err!("what may be stopped has no condition"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}

/// Hands on the batches of its input, as long as they are wanted.
#[derive(Debug)]
struct StopExec {
    input: Arc<dyn ExecutionPlan>,
    stop: Stop,
}

impl DisplayAs for StopExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "StopExec")
    }
}

impl ExecutionPlan for StopExec {
    fn name(&self) -> &str {
        "StopExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
        match children.pop() {
            Some(input) => Ok(Arc::new(StopExec {
                input,
                stop: self.stop.clone(),
            })),
            None => internal_err!("what may be stopped has no input"),
        }
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let stop = self.stop.clone();
        let rows = self.input.execute(partition, context)?.map(move |batch| {
            stop.check()?;
            batch
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
