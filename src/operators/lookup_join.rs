//! Join of a stream with a table that does not change: the table is hashed once, every interval only probes.
//!
//! DataFusion plans such a join as a [`HashJoinExec`], which forgets its build side between runs and so would hash the
//! table again in every interval. After planning, [`LookupTables::put_into`] puts a [`LookupJoinExec`] in its place;
//! which of the two inputs the planner chose to build from does not matter.
//!
//! Owns: the tables of a program's stages, each built once and shared by all copies of its stage.
//! Guarantees: the columns, names and rows of the join that it replaces; rows come in the order of the stream's rows
//! and, for each, in the order of the table's rows, whatever the cut.
//! Does **not** guarantee: anything for joins that keep the rows of the *table* (outer, semi and anti joins on its
//! side), nor for joins without an equality (nested loops, cross joins): they stay as DataFusion planned them, correct
//! but with work proportional to the table in every interval.
//! Lineage: same interval, same partition. State: none; the table is read again when the program starts.
//! Start reading at [`LookupTables::put_into`], then [`probe`] and [`table`].

mod probe;
mod table;
#[cfg(test)]
mod tests;

use super::input::InputExec;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinSide, JoinType, Result, plan_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::joins::utils::build_join_schema;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PhysicalExpr, PlanProperties, ReplaceChildrenOptions,
};
use futures::{TryStreamExt, stream};
use probe::{Column, Gives, Lookup, Probed};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use table::Table;

/// Per plan of a stage, the tables that it looks up, in the order in which they stand in the physical plan.
///
/// Planning is a pure function of the logical plan and the session, so every copy of a stage finds its own tables.
#[derive(Debug, Default)]
pub struct LookupTables(Mutex<HashMap<LogicalPlan, Vec<Arc<Table>>>>);

impl LookupTables {
    /// Replaces the joins with static tables in `plan`, which was made from `logical`.
    ///
    /// Tables that no other copy of the stage has built yet are read here. Errors: what reading them raises, and
    /// when they do not fit into memory.
    pub fn put_into(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        logical: &LogicalPlan,
        context: &Arc<TaskContext>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if plan.exists(|node| Ok(node.is::<ScalarSubqueryExec>()))? {
            // A table may depend on a subquery that has no value before the plan runs.
            return Ok(plan);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tables = known.get(logical).cloned().unwrap_or_default();
        let mut found = 0;
        let plan = plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<HashJoinExec>() else {
                return Ok(Transformed::no(node));
            };
            let Some((side, gives)) = replaceable(join) else {
                return Ok(Transformed::no(node));
            };
            if found == tables.len() {
                tables.push(Arc::new(read_table(join, side, context)?));
            }
            let table = Arc::clone(&tables[found]);
            found += 1;
            Ok(Transformed::yes(replacement(join, side, gives, table)))
        });
        let plan = plan.data()?;
        if found > 0 {
            known.insert(logical.clone(), tables);
        }
        Ok(plan)
    }
}

/// On which side of the join the stream is, and what the join gives; `None` when the join must stay as it is.
fn replaceable(join: &HashJoinExec) -> Option<(JoinSide, Gives)> {
    let side = match (reads_a_stream(join.left()), reads_a_stream(join.right())) {
        (true, false) => JoinSide::Left,
        (false, true) => JoinSide::Right,
        _ => return None,
    };
    // A sort above may have been left out because the table is sorted and was to be probed with.
    if side == JoinSide::Left && join.properties().output_ordering().is_some() {
        return None;
    }
    let gives = match (join.join_type(), side) {
        (JoinType::LeftAnti, JoinSide::Left) if join.null_aware => match join.filter() {
            None => Gives::NotIn,
            Some(_) => return None,
        },
        (JoinType::Inner, _) => Gives::Matches,
        (JoinType::Left, JoinSide::Left) | (JoinType::Right, JoinSide::Right) => Gives::AllRows,
        (JoinType::LeftSemi, JoinSide::Left) | (JoinType::RightSemi, JoinSide::Right) => Gives::WithPartner,
        (JoinType::LeftAnti, JoinSide::Left) | (JoinType::RightAnti, JoinSide::Right) => Gives::WithoutPartner,
        (JoinType::LeftMark, JoinSide::Left) | (JoinType::RightMark, JoinSide::Right) => Gives::Marked,
        _ => return None,
    };
    Some((side, gives))
}

fn reads_a_stream(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<InputExec>() || plan.children().into_iter().any(reads_a_stream)
}

fn read_table(join: &HashJoinExec, stream: JoinSide, context: &Arc<TaskContext>) -> Result<Table> {
    let (side, keys) = match stream {
        JoinSide::Left => (
            join.right(),
            join.on().iter().map(|on| Arc::clone(&on.1)).collect::<Vec<_>>(),
        ),
        _ => (join.left(), join.on().iter().map(|on| Arc::clone(&on.0)).collect()),
    };
    let rows = table::read(Arc::clone(side), Arc::clone(context))?;
    Table::new(rows, &keys, join.null_equality(), context)
}

fn replacement(join: &HashJoinExec, stream: JoinSide, gives: Gives, table: Arc<Table>) -> Arc<dyn ExecutionPlan> {
    let (left, right) = (join.left(), join.right());
    let (_, all) = build_join_schema(&left.schema(), &right.schema(), join.join_type());
    let column = |i: &usize| match &all[*i] {
        c if c.side == JoinSide::None => Column::Mark,
        c if c.side == stream => Column::Stream(c.index),
        c => Column::Table(c.index),
    };
    let columns = match join.projection.as_deref() {
        Some(projection) => projection.iter().map(column).collect(),
        None => (0..all.len()).map(|i| column(&i)).collect(),
    };
    let keys = join.on().iter().map(|(l, r)| match stream {
        JoinSide::Left => Arc::clone(l),
        _ => Arc::clone(r),
    });
    let lookup = Lookup {
        keys: keys.collect(),
        table,
        null_equality: join.null_equality(),
        filter: join.filter().cloned(),
        stream,
        gives,
        columns,
        schema: join.schema(),
    };
    let input = Arc::clone(if stream == JoinSide::Left { left } else { right });
    let partitions = input.output_partitioning().partition_count();
    let properties = PlanProperties::clone(join.properties())
        .with_partitioning(Partitioning::UnknownPartitioning(partitions))
        .with_emission_type(EmissionType::Incremental);
    let node = Arc::new(LookupJoinExec {
        input,
        lookup: Arc::new(lookup),
        properties: Arc::new(properties),
    });
    match join.fetch() {
        Some(limit) => Arc::new(GlobalLimitExec::new(node, 0, Some(limit))),
        None => node,
    }
}

/// Probes a table that was built at planning with the rows of its one input.
#[derive(Debug)]
pub struct LookupJoinExec {
    input: Arc<dyn ExecutionPlan>,
    lookup: Arc<Lookup>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for LookupJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "LookupJoinExec: table_rows={}", self.lookup.table.num_rows())
    }
}

impl ExecutionPlan for LookupJoinExec {
    fn name(&self) -> &str {
        "LookupJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
            return plan_err!("a lookup join has one input");
        };
        Ok(Arc::new(LookupJoinExec {
            input,
            lookup: Arc::clone(&self.lookup),
            properties: Arc::clone(&self.properties),
        }))
    }

    /// Nothing to forget: the table is the same in every run.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let lookup = Arc::clone(&self.lookup);
        let chunk_rows = context.session_config().batch_size();
        let input = self.input.execute(partition, context)?;
        let joined = input
            .and_then(move |batch| futures::future::ready(Probed::new(Arc::clone(&lookup), batch, chunk_rows)))
            .map_ok(stream::iter)
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), joined)))
    }
}
