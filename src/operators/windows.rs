//! The state side of windows: folds partial states (or rows) into panes, and gives windows as they close.
//!
//! A window merges its panes once, when the watermark passes its end ("Panes", Li et al., SIGMOD Record 2005; the
//! papers' `reduceByWindow`). Lineage: its own state before the interval, and all partitions of its inputs.
//! State: the open panes; bounded by the watermark.

use super::folding::{Folding, Tally};
use super::fragment::{Fragment, Workshop, failed};
use super::inverse::{Sliding, Undo};
use super::{Batch, Piece};
use crate::dstream::graph::{Aggregation, ResultColumn, WindowRowsNode, Windowing, WindowsNode};
use crate::dstream::record::ENDED;
use crate::dstream::table::unit_ns;
use crate::dstream::window::{NEVER, WindowSpec};
use crate::error::{Error, Result};
use crate::state::panes::{Merge, PaneStore};
use crate::state::rows::by_number;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, PrimitiveArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use std::sync::Arc;

/// The three physical forms of one aggregation by `[__pane, keys…]`.
pub struct Aggregates {
    /// Rows to partial states.
    pub partial: Fragment,
    /// The same without the pane, for rows of one pane; if the states are the same then.
    pub partial_by_key: Option<Fragment>,
    /// The same without keys, for rows of many panes.
    pub tally: Option<Tally>,
    /// How many state columns each aggregate has.
    pub widths: Vec<usize>,
    /// The keys behind the pane, over the columns of the rows.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    pub rows: SchemaRef,
    /// Partial states to fewer partial states.
    pub merge: Fragment,
    /// Partial states to values.
    pub last: Fragment,
    /// Both without looking groups up, when there are no keys.
    pub folding: Option<Folding>,
    /// Without GROUP BY: the values over no rows at all (a count of 0, a NULL for the rest).
    pub nothing: Option<Fragment>,
}

impl Aggregates {
    /// Plans the template once and takes it apart.
    pub fn new(aggregation: &Aggregation, shop: &Workshop) -> Result<Aggregates> {
        let plan = shop.plan(&aggregation.template)?;
        let Some(template) = find_aggregate(&plan) else {
            return Err(Error::internal("an aggregation without an aggregate"));
        };
        let filters = template.filter_expr().to_vec();
        let none = vec![None; filters.len()];
        let aggregates = template.aggr_expr().to_vec();
        let states = aggregates.iter().map(|aggregate| aggregate.state_fields());
        let widths = states
            .map(|fields| Ok(fields.map_err(failed)?.len()))
            .collect::<Result<_>>()?;
        let group = template.group_expr().clone();
        let rows = template.input_schema();
        let make = |mode, group: PhysicalGroupBy, filters, input: Arc<dyn ExecutionPlan>| {
            AggregateExec::try_new(mode, group, aggregates.clone(), filters, input, Arc::clone(&rows)).map_err(failed)
        };
        let no_groups = PhysicalGroupBy::new_single(Vec::new());
        let nothing = match aggregation.single_row {
            true => Some(make(
                AggregateMode::Single,
                no_groups,
                filters.clone(),
                Arc::clone(template.input()),
            )?),
            false => None,
        };
        let keys = PhysicalGroupBy::new_single(group.expr().iter().skip(1).cloned().collect());
        let by_key_alone = aggregation.keys > 0 || aggregates.iter().all(|a| has_one_state(a));
        let partial_by_key = by_key_alone.then(|| {
            let input = Arc::clone(template.input());
            make(AggregateMode::Partial, keys, filters.clone(), input)
        });
        let partial = make(
            AggregateMode::Partial,
            group.clone(),
            filters.clone(),
            Arc::clone(template.input()),
        )?;
        let tally = match group.expr() {
            [(number, _)] => Some(Tally {
                input: Fragment::of(Arc::clone(template.input()), shop),
                number: Arc::clone(number),
                aggregates: aggregates.clone(),
                filters,
                states: partial.schema(),
            }),
            _ => None,
        };
        let states = partial.schema();
        let all = (0..states.fields().len()).collect();
        let leaf: Arc<dyn ExecutionPlan> = Arc::new(super::input::InputExec::new(0, all, states));
        let merge = make(
            AggregateMode::PartialReduce,
            group.as_final(),
            none.clone(),
            Arc::clone(&leaf),
        )?;
        let last = make(AggregateMode::Final, group.as_final(), none, leaf)?;
        let folding =
            (aggregation.keys == 0).then(|| Folding::new(aggregates.clone(), partial.schema(), last.schema()));
        Ok(Aggregates {
            partial: Fragment::of(Arc::new(partial), shop),
            partial_by_key: partial_by_key
                .transpose()?
                .map(|plan| Fragment::of(Arc::new(plan), shop)),
            tally,
            widths,
            keys: group.expr().iter().skip(1).map(|(key, _)| Arc::clone(key)).collect(),
            rows,
            merge: Fragment::of(Arc::new(merge), shop),
            last: Fragment::of(Arc::new(last), shop),
            folding,
            nothing: nothing.map(|plan| Fragment::of(Arc::new(plan), shop)),
        })
    }
}

/// Whether DataFusion's form of an aggregate for one group has the states of the form for many. That of `avg` counts 0
/// over nothing where the other has NULL, and those of `corr` are other numbers altogether.
fn has_one_state(aggregate: &AggregateFunctionExpr) -> bool {
    let plain = !aggregate.is_distinct() && aggregate.order_bys().is_empty();
    let alike = plain && matches!(aggregate.fun().name(), "count" | "sum" | "min" | "max");
    alike || !aggregate.groups_accumulator_supported()
}

fn find_aggregate(plan: &Arc<dyn ExecutionPlan>) -> Option<AggregateExec> {
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return Some(aggregate.clone());
    }
    plan.children().into_iter().find_map(find_aggregate)
}

/// One state partition's copy of a [`WindowsNode`] or a [`WindowRowsNode`].
pub struct Windows {
    window: Windowing,
    result: Gives,
    schema: SchemaRef,
}

enum Gives {
    Values {
        states: States,
        /// Windows are made from those before them.
        undo: Option<Undo>,
        nothing: Option<Fragment>,
        layout: Vec<ResultColumn>,
    },
    Rows {
        finish: Fragment,
        time_type: DataType,
    },
}

impl Windows {
    pub fn values(node: &WindowsNode, schema: SchemaRef, shop: &Workshop) -> Result<Windows> {
        let Aggregates {
            merge,
            last,
            folding,
            nothing,
            widths,
            ..
        } = Aggregates::new(&node.aggregation, shop)?;
        let layout = node.aggregation.layout.clone();
        let undo = Undo::of(&node.aggregation, &widths, &shop.session)?;
        let result = Gives::Values {
            states: States { merge, last, folding },
            undo,
            nothing,
            layout,
        };
        Ok(Windows {
            window: node.window,
            result,
            schema,
        })
    }

    pub fn rows(node: &WindowRowsNode, schema: SchemaRef, shop: &Workshop) -> Result<Windows> {
        let finish = Fragment::new(&node.finish, shop)?;
        let result = Gives::Rows {
            finish,
            time_type: node.time_type.clone(),
        };
        Ok(Windows {
            window: node.window,
            result,
            schema,
        })
    }

    pub fn new_state(&self) -> PaneStore {
        // A window that is made from the one before it needs no merged panes.
        let merges = matches!(self.result, Gives::Values { undo: None, .. });
        PaneStore::new(self.window.spec, merges)
    }

    /// Folds one interval's pieces into the state.
    pub fn fold<'a>(
        &mut self,
        state: &mut PaneStore,
        interval: u64,
        pieces: impl Iterator<Item = &'a Piece>,
    ) -> Result<()> {
        let mut merge;
        let mut merge: Option<Merge<'_>> = match &mut self.result {
            Gives::Values { states, .. } => {
                merge = |batches: Vec<RecordBatch>| states.merged(batches);
                Some(&mut merge)
            }
            Gives::Rows { .. } => None,
        };
        for piece in pieces {
            for (pane, rows) in by_number(piece.batch.clone()).map_err(|e| failed(e.into()))? {
                state.push(pane, piece.refused, rows, interval, &mut merge)?;
            }
        }
        Ok(())
    }

    /// The windows that close at the operator's watermark (nanoseconds), in the order of their ends.
    pub fn close(&mut self, state: &mut PaneStore, watermark_ns: i64) -> Result<Batch> {
        let watermark = in_unit(watermark_ns, &self.window);
        let ends = state.closing(watermark);
        let batches = match ends.is_empty() && !self.owes_a_row(watermark) {
            true => Vec::new(),
            false => self.give(state, &ends)?,
        };
        let since = state.oldest_of(&ends);
        self.forget(state, watermark_ns);
        if let Gives::Values { states, .. } = &mut self.result {
            state.settle_shown(&mut |batches| states.merged(batches))?;
        }
        Ok(Batch {
            since,
            ..Batch::rows(batches)
        })
    }

    /// What a state folded again from lineage must not show once more.
    pub fn forget(&self, state: &mut PaneStore, watermark_ns: i64) {
        let watermark = in_unit(watermark_ns, &self.window);
        let forget_to = match watermark_ns {
            ENDED => NEVER,
            _ => in_unit(watermark_ns.saturating_sub(self.window.lateness_ns), &self.window),
        };
        state.shown(watermark, forget_to);
    }

    /// An aggregate without GROUP BY has one row at the end, even over nothing.
    fn owes_a_row(&self, watermark: i64) -> bool {
        matches!(self.result, Gives::Values { nothing: Some(_), .. }) && watermark == NEVER
    }

    fn give(&mut self, state: &mut PaneStore, ends: &[i64]) -> Result<Vec<RecordBatch>> {
        match &mut self.result {
            Gives::Values {
                states,
                undo,
                nothing,
                layout,
            } => {
                let input = match undo {
                    Some(undo) => state.slide(ends, &mut Sliding { states, undo })?,
                    None => state.windows(ends, Some(&mut |batches| states.merged(batches)))?,
                };
                let mut rows = states.values(input)?;
                if let (true, Some(nothing)) = (rows.is_empty(), nothing) {
                    rows = over_nothing(nothing, &states.last.schema())?;
                }
                rows.iter()
                    .map(|r| laid_out(r, layout, &self.window, &self.schema))
                    .collect()
            }
            Gives::Rows { finish, time_type } => {
                let input = state.windows(ends, None)?;
                let rows = input.iter().map(|b| with_window(b, &self.window, time_type));
                let rows = rows.collect::<Result<Vec<_>>>()?;
                finish.run(vec![rows])
            }
        }
    }
}

/// What is done with partial states, whose first column says which of them belong together.
pub(super) struct States {
    merge: Fragment,
    last: Fragment,
    folding: Option<Folding>,
}

impl States {
    /// States to fewer states. Without keys, those that belong together follow each other.
    pub(super) fn merged(&mut self, batches: Vec<RecordBatch>) -> Result<RecordBatch> {
        match &self.folding {
            Some(folding) => folding.merged(&batches),
            None => {
                let rows = self.merge.run(vec![batches])?;
                concat_batches(&self.merge.schema(), &rows).map_err(|e| failed(e.into()))
            }
        }
    }

    /// States of windows, by their ends, to values in the order of the ends.
    fn values(&mut self, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        match &self.folding {
            _ if batches.is_empty() => Ok(batches),
            Some(folding) => Ok(vec![folding.values(&batches)?]),
            None => {
                let rows = self.last.run(vec![batches])?;
                sorted_by_end(&self.last.schema(), rows)
            }
        }
    }
}

/// A watermark in the unit of the event time, rounded down.
pub fn in_unit(watermark_ns: i64, window: &Windowing) -> i64 {
    match watermark_ns {
        ENDED => NEVER,
        i64::MIN => i64::MIN,
        ns if window.spec == WindowSpec::Forever => ns.min(NEVER - 1),
        ns => ns.div_euclid(unit_ns(window.unit)),
    }
}

/// DataFusion's hash tables give groups in no order that people expect: windows come by their ends.
fn sorted_by_end(schema: &SchemaRef, rows: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
    if rows.is_empty() {
        return Ok(rows);
    }
    let all = concat_batches(schema, &rows).map_err(|e| failed(e.into()))?;
    let ends = all.column(0).as_primitive::<Int64Type>();
    if ends.values().is_sorted() {
        return Ok(vec![all]);
    }
    let order = sort_to_indices(ends, None, None).map_err(|e| failed(e.into()))?;
    Ok(vec![take_record_batch(&all, &order).map_err(|e| failed(e.into()))?])
}

/// The one row of an aggregate without GROUP BY over nothing, behind the end of its window.
fn over_nothing(nothing: &mut Fragment, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let with_end = |row: RecordBatch| {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_value(NEVER, row.num_rows()))];
        columns.extend_from_slice(row.columns());
        RecordBatch::try_new(Arc::clone(schema), columns).map_err(|e| failed(e.into()))
    };
    nothing.run(vec![Vec::new()])?.into_iter().map(with_end).collect()
}

/// The result's columns in the order of the query.
fn laid_out(
    rows: &RecordBatch,
    layout: &[ResultColumn],
    window: &Windowing,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let ends = rows.column(0).as_primitive::<Int64Type>();
    let column = |(column, field): (&ResultColumn, &Arc<Field>)| match column {
        ResultColumn::Column(k) => Ok(Arc::clone(rows.column(k + 1))),
        ResultColumn::WindowStart => times(ends, |end| window.spec.start_of(end), field.data_type()),
        ResultColumn::WindowEnd => times(ends, |end| end, field.data_type()),
        ResultColumn::WindowTime => times(ends, |end| end - 1, field.data_type()),
    };
    let columns = layout
        .iter()
        .zip(schema.fields())
        .map(column)
        .collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|e| failed(e.into()))
}

/// A kept row without its pane, with the three columns of its window behind.
fn with_window(batch: &RecordBatch, window: &Windowing, data_type: &DataType) -> Result<RecordBatch> {
    let ends = batch.column(0).as_primitive::<Int64Type>();
    let mut columns = batch.columns()[1..].to_vec();
    columns.push(times(ends, |end| window.spec.start_of(end), data_type)?);
    columns.push(times(ends, |end| end, data_type)?);
    columns.push(times(ends, |end| end - 1, data_type)?);
    let mut fields: Vec<_> = batch.schema().fields()[1..].to_vec();
    for name in ["window_start", "window_end", "window_time"] {
        fields.push(Arc::new(Field::new(name, data_type.clone(), false)));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| failed(e.into()))
}

/// Numbers as times of the given type.
pub fn times(ends: &Int64Array, of: impl Fn(i64) -> i64, data_type: &DataType) -> Result<ArrayRef> {
    let numbers: PrimitiveArray<Int64Type> = ends.unary(of);
    let data = numbers.into_data().into_builder().data_type(data_type.clone()).build();
    Ok(datafusion::arrow::array::make_array(
        data.map_err(|e| failed(e.into()))?,
    ))
}
