//! Breaking off a plan that runs. A batch over a whole input can take minutes, in which nobody may want its rows any
//! more; what works interval by interval needs none of this.
//!
//! A plan runs as one long poll, so it is asked at every place where many rows come from: its inputs, and joins. What it
//! does between two batches of these (sorting them, say) is not broken off.

use crate::error::Error;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether an output is wanted no more. All clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
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
            if stop.is_stopped() {
                return Err(DataFusionError::External(Box::new(BrokenOff)));
            }
            batch
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
