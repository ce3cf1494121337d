//! Aggregates without GROUP BY keys: which rows belong together is known, so nothing is looked up row by row.
//!
//! The first column of a batch is a number, that of a pane or a window; rows with equal numbers make up one group.

use super::fragment::{Fragment, failed};
use crate::error::Result;
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::PhysicalExpr;
use std::collections::HashMap;
use std::sync::Arc;

/// Rows to states: the partial aggregation without keys, for rows of many panes.
pub struct Tally {
    /// What the aggregates are over.
    pub input: Fragment,
    pub number: Arc<dyn PhysicalExpr>,
    pub aggregates: Vec<Arc<AggregateFunctionExpr>>,
    pub filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// The number, then the state columns of each aggregate.
    pub states: SchemaRef,
}

impl Tally {
    /// One row of states per number, in the order in which the numbers first come.
    pub fn run(&mut self, batches: Vec<RecordBatch>) -> Result<RecordBatch> {
        let accumulators = self.aggregates.iter().map(accumulator);
        let mut accumulators = accumulators.collect::<Result<Vec<_>>>()?;
        let mut known: HashMap<i64, usize> = HashMap::new();
        let mut numbers: Vec<i64> = Vec::new();
        for batch in self.input.run(vec![batches])? {
            let groups = self.groups(&batch, &mut known, &mut numbers)?;
            let calls = self.aggregates.iter().zip(&self.filters);
            for ((aggregate, filter), accumulator) in calls.zip(&mut accumulators) {
                let values = aggregate.expressions();
                let values = values.iter().map(|e| evaluated(e, &batch));
                let values = values.collect::<Result<Vec<_>>>()?;
                let filter = filter.as_ref().map(|e| evaluated(e, &batch)).transpose()?;
                let filter = filter.as_ref().map(|f| f.as_boolean());
                let updated = accumulator.update_batch(&values, &groups, filter, numbers.len());
                updated.map_err(failed)?;
            }
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(numbers))];
        for accumulator in &mut accumulators {
            columns.extend(accumulator.state(EmitTo::All).map_err(failed)?);
        }
        RecordBatch::try_new(Arc::clone(&self.states), columns).map_err(|e| failed(e.into()))
    }

    /// For each row the place of its number among those that have come.
    fn groups(
        &self,
        batch: &RecordBatch,
        known: &mut HashMap<i64, usize>,
        numbers: &mut Vec<i64>,
    ) -> Result<Vec<usize>> {
        let column = evaluated(&self.number, batch)?;
        let mut groups = Vec::with_capacity(batch.num_rows());
        for run in column.as_primitive::<Int64Type>().values().chunk_by(|a, b| a == b) {
            let group = *known.entry(run[0]).or_insert_with(|| {
                numbers.push(run[0]);
                numbers.len() - 1
            });
            groups.resize(groups.len() + run.len(), group);
        }
        Ok(groups)
    }
}

fn evaluated(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    let value = expr.evaluate(batch).map_err(failed)?;
    value.into_array(batch.num_rows()).map_err(failed)
}

/// States to fewer states, and to values. Rows with equal numbers follow each other.
pub struct Folding {
    aggregates: Vec<Arc<AggregateFunctionExpr>>,
    /// The number, then the state columns of each aggregate.
    states: SchemaRef,
    /// The number, then a value per aggregate.
    values: SchemaRef,
}

impl Folding {
    pub fn new(aggregates: Vec<Arc<AggregateFunctionExpr>>, states: SchemaRef, values: SchemaRef) -> Folding {
        Folding {
            aggregates,
            states,
            values,
        }
    }

    /// One row of states per number.
    pub fn merged(&self, batches: &[RecordBatch]) -> Result<RecordBatch> {
        self.run(batches, &self.states, |accumulator| accumulator.state(EmitTo::All))
    }

    /// One row of values per number.
    pub fn values(&self, batches: &[RecordBatch]) -> Result<RecordBatch> {
        self.run(batches, &self.values, |accumulator| {
            accumulator.evaluate(EmitTo::All).map(|value| vec![value])
        })
    }

    fn run(
        &self,
        batches: &[RecordBatch],
        schema: &SchemaRef,
        mut take: impl FnMut(&mut dyn GroupsAccumulator) -> datafusion::common::Result<Vec<ArrayRef>>,
    ) -> Result<RecordBatch> {
        let rows = concat_batches(&self.states, batches).map_err(|e| failed(e.into()))?;
        let (numbers, groups) = runs(&rows);
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(numbers))];
        let mut at = 1;
        for aggregate in &self.aggregates {
            let width = aggregate.state_fields().map_err(failed)?.len();
            let mut accumulator = accumulator(aggregate)?;
            let states = &rows.columns()[at..at + width];
            accumulator
                .merge_batch(states, &groups, columns[0].len())
                .map_err(failed)?;
            columns.extend(take(accumulator.as_mut()).map_err(failed)?);
            at += width;
        }
        RecordBatch::try_new(Arc::clone(schema), columns).map_err(|e| failed(e.into()))
    }
}

/// The numbers, each once, and for each row the place of its number among them.
fn runs(rows: &RecordBatch) -> (Vec<i64>, Vec<usize>) {
    let (mut numbers, mut groups) = (Vec::new(), Vec::with_capacity(rows.num_rows()));
    for run in rows
        .column(0)
        .as_primitive::<Int64Type>()
        .values()
        .chunk_by(|a, b| a == b)
    {
        groups.resize(groups.len() + run.len(), numbers.len());
        numbers.push(run[0]);
    }
    (numbers, groups)
}

fn accumulator(aggregate: &Arc<AggregateFunctionExpr>) -> Result<Box<dyn GroupsAccumulator>> {
    if aggregate.groups_accumulator_supported() {
        return aggregate.create_groups_accumulator().map_err(failed);
    }
    let one = Arc::clone(aggregate);
    Ok(Box::new(GroupsAccumulatorAdapter::new(move || {
        one.create_accumulator()
    })))
}
