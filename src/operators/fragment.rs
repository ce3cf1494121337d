//! A logical plan made runnable: planned once, run for every interval.
//!
//! One fragment belongs to one worker at a time ("one copy of the plan per worker, never two intervals on one copy").

use super::input::{InputExec, Inputs, Slots};
use super::lookup_join::LookupTables;
use super::stop::{self, Stop};
use super::{static_table::StaticTables, window_expand::WindowExpandExec};
use crate::dstream::nodes::{InputNode, StaticNode, WindowNode};
use crate::error::wording::plain;
use crate::error::{Error, Kind, Result};
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, plan_err};
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use std::sync::Arc;

/// What fragments are built with: functions and options, and the rows of static tables.
#[derive(Clone)]
pub struct Workshop {
    pub session: Arc<SessionState>,
    pub tables: Arc<StaticTables>,
    /// Those of them that stages join with, indexed; filled as stages are planned.
    pub lookups: Arc<LookupTables>,
    /// Breaks off long work for the output that is made.
    pub stop: Stop,
}

/// A runnable plan with its inputs.
pub struct Fragment {
    plan: Arc<dyn ExecutionPlan>,
    slots: Arc<Slots>,
    context: Arc<TaskContext>,
}

impl Fragment {
    /// Plans `logical`, whose leaves are [`InputNode`]s and [`StaticNode`]s.
    pub fn new(logical: &LogicalPlan, shop: &Workshop) -> Result<Fragment> {
        let plan = shop.plan(logical)?;
        Ok(Fragment::of(plan, shop))
    }

    /// The same for a plan whose rows somebody may have ceased to want before it has run.
    pub fn stoppable(logical: &LogicalPlan, shop: &Workshop) -> Result<Fragment> {
        let plan = stop::stoppable(shop.plan(logical)?, &shop.stop).map_err(failed)?;
        Ok(Fragment::of(plan, shop))
    }

    /// Takes a plan that is already physical.
    pub fn of(plan: Arc<dyn ExecutionPlan>, shop: &Workshop) -> Fragment {
        let slots = Arc::new(Slots::default());
        let config = shop.session.config().clone().with_extension(Arc::clone(&slots));
        let context = TaskContext::from(shop.session.as_ref()).with_session_config(config);
        Fragment {
            plan,
            slots,
            context: Arc::new(context),
        }
    }

    pub fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    /// Runs the plan over one interval's input (per slot, its batches) and gives its rows, in order.
    ///
    /// Errors: what the expressions of the query raise (a cast that fails, a division by zero).
    pub fn run(&mut self, inputs: Vec<Vec<RecordBatch>>) -> Result<Vec<RecordBatch>> {
        self.run_over(Inputs {
            batches: inputs,
            clock_ns: None,
        })
    }

    /// The same for a plan that may ask for the recorded clock of the interval.
    pub fn run_at(&mut self, clock_ns: i64, inputs: Vec<Vec<RecordBatch>>) -> Result<Vec<RecordBatch>> {
        self.run_over(Inputs {
            batches: inputs,
            clock_ns: Some(clock_ns),
        })
    }

    fn run_over(&mut self, inputs: Inputs) -> Result<Vec<RecordBatch>> {
        self.slots.fill(inputs);
        let stream = collect(Arc::clone(&self.plan), Arc::clone(&self.context));
        let result = futures::executor::block_on(stream);
        self.slots.fill(Inputs::default());
        self.plan = reset_plan_states(Arc::clone(&self.plan)).map_err(internal)?;
        let mut rows = result.map_err(failed)?;
        rows.retain(|batch| batch.num_rows() > 0);
        Ok(rows)
    }
}

impl Workshop {
    /// Turns a logical fragment into a physical plan with one partition; reads the static tables that it joins with.
    pub fn plan(&self, logical: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
        let leaves = Leaves {
            tables: Arc::clone(&self.tables),
        };
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(leaves)]);
        let planning = planner.create_physical_plan(logical, self.session.as_ref());
        let plan = futures::executor::block_on(planning).and_then(super::union::in_order);
        let plan = plan.map_err(failed)?;
        let context = Arc::new(TaskContext::from(self.session.as_ref()));
        self.lookups.put_into(plan, logical, &context).map_err(failed)
    }
}

/// What went wrong while a plan ran or was made, in words for people.
pub fn failed(error: DataFusionError) -> Error {
    let kind = match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => Kind::Limit,
        DataFusionError::NotImplemented(_) | DataFusionError::Plan(_) => Kind::Refused,
        DataFusionError::Internal(_) => Kind::Internal,
        _ => Kind::Data,
    };
    let message = match error.find_root() {
        DataFusionError::Execution(m) | DataFusionError::Plan(m) | DataFusionError::NotImplemented(m) => m.clone(),
        DataFusionError::ArrowError(inner, _) => arrow_words(inner),
        other => other.strip_backtrace(),
    };
    Error::new(kind, plain(&message)).because(error)
}

fn arrow_words(error: &datafusion::arrow::error::ArrowError) -> String {
    use datafusion::arrow::error::ArrowError::*;
    match error {
        CastError(m)
        | ParseError(m)
        | ComputeError(m)
        | InvalidArgumentError(m)
        | SchemaError(m)
        | ArithmeticOverflow(m) => m.clone(),
        DivideByZero => "division by zero".to_string(),
        other => other.to_string(),
    }
}

fn internal(error: DataFusionError) -> Error {
    Error::internal(error.strip_backtrace()).because(error)
}

/// Makes the leaves and window functions of a fragment physical.
struct Leaves {
    tables: Arc<StaticTables>,
}

#[async_trait]
impl ExtensionPlanner for Leaves {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> datafusion::common::Result<Option<Arc<dyn ExecutionPlan>>> {
        let any = node.as_any();
        if let Some(input) = any.downcast_ref::<InputNode>() {
            return Ok(Some(Arc::new(InputExec::of(input))));
        }
        if let Some(table) = any.downcast_ref::<StaticNode>() {
            return self.tables.scan(table).map(Some);
        }
        if let (Some(window), Some(input)) = (any.downcast_ref::<WindowNode>(), physical_inputs.first()) {
            return Ok(Some(Arc::new(WindowExpandExec::try_new(window, Arc::clone(input))?)));
        }
        plan_err!("{} cannot run here", node.name())
    }
}
