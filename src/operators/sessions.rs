//! SESSION windows: rows of one key less than a gap apart belong together; a row between two sessions makes them one.
//!
//! The map side ([`SessionMap`]) folds the rows of an interval to partial sessions, the state side ([`Sessions`]) joins
//! those of all intervals, and gives a session when the watermark reaches its end (docs/time.md). Lineage: its own
//! state before the interval, and all partitions of its inputs. State: open sessions; bounded by the watermark.

use super::fragment::{Fragment, Workshop, failed};
use super::windows::{Aggregates, times};
use super::{Batch, Piece};
use crate::dstream::graph::{ResultColumn, WindowRowsNode, Windowing, WindowsNode};
use crate::dstream::nodes::{WINDOW_END, WINDOW_START, WINDOW_TIME};
use crate::error::{Error, Kind, Result};
use crate::state::sessions::{Ended, SessionStore};
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use std::sync::Arc;

/// Behind the partial states: the time of the last row of the partial session. The first column holds that of the first.
const LAST: &str = "__last";

/// The map side of a session aggregate: finds the partial sessions of an interval.
pub struct SessionMap {
    gap: i64,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
}

/// Partial sessions of some rows, in the order in which they were begun.
#[derive(Default)]
pub struct Partials {
    spans: Vec<(i64, i64)>,
}

impl SessionMap {
    /// `keys`: over rows whose first column is their time, of the columns `schema`.
    pub fn new(gap: i64, keys: Vec<Arc<dyn PhysicalExpr>>, rows: &SchemaRef) -> SessionMap {
        let typed = |key: &Arc<dyn PhysicalExpr>| key.data_type(rows).unwrap_or(DataType::Null);
        let fields: Vec<Field> = keys.iter().map(|k| Field::new("key", typed(k), true)).collect();
        SessionMap {
            gap,
            keys,
            schema: Arc::new(Schema::new(fields)),
        }
    }

    /// The rows with the number of their partial session in place of their time. A key may get several partial sessions
    /// that touch (its rows came out of order): the state side joins them.
    pub fn assign(&self, batches: Vec<RecordBatch>) -> Result<(Vec<RecordBatch>, Partials)> {
        let mut partials = Partials::default();
        let mut values = match self.keys.is_empty() {
            true => None,
            false => Some(new_group_values(Arc::clone(&self.schema), &GroupOrdering::None).map_err(failed)?),
        };
        let (mut groups, mut latest) = (Vec::new(), Vec::new());
        let mut assigned = Vec::with_capacity(batches.len());
        for batch in batches {
            groups.clear();
            match &mut values {
                None => groups.resize(batch.num_rows(), 0),
                Some(values) => {
                    let keys = self
                        .keys
                        .iter()
                        .map(|k| k.evaluate(&batch)?.into_array(batch.num_rows()));
                    let keys = keys.collect::<Result<Vec<_>, _>>().map_err(failed)?;
                    values.intern(&keys, &mut groups).map_err(failed)?;
                }
            }
            latest.resize(values.as_ref().map_or(1, |v| v.len()), None);
            let times = batch.column(0).as_primitive::<Int64Type>();
            let numbers = groups.iter().zip(times.values());
            let numbers = numbers.map(|(group, ts)| partials.place(&mut latest[*group], *ts, self.gap));
            assigned.push(with_first(&batch, Int64Array::from_iter_values(numbers))?);
        }
        Ok((assigned, partials))
    }
}

impl Partials {
    /// The partial session of a row: that of its key's row before, if they are close enough, else a new one.
    fn place(&mut self, latest: &mut Option<usize>, ts: i64, gap: i64) -> i64 {
        if let Some(number) = *latest {
            let (start, last) = &mut self.spans[number];
            if ts < last.saturating_add(gap) && *start < ts.saturating_add(gap) {
                (*start, *last) = ((*start).min(ts), (*last).max(ts));
                return number as i64;
            }
        }
        self.spans.push((ts, ts));
        *latest = Some(self.spans.len() - 1);
        (self.spans.len() - 1) as i64
    }

    /// Partial states by partial session, with the times of its first and last row in place of its number.
    pub fn spanned(&self, states: RecordBatch) -> Result<RecordBatch> {
        let numbers = states.column(0).as_primitive::<Int64Type>();
        let starts = Int64Array::from_iter_values(numbers.values().iter().map(|n| self.spans[*n as usize].0));
        let lasts = Int64Array::from_iter_values(numbers.values().iter().map(|n| self.spans[*n as usize].1));
        let mut fields: Vec<_> = states.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(LAST, DataType::Int64, false)));
        let mut columns = states.columns().to_vec();
        columns[0] = Arc::new(starts);
        columns.push(Arc::new(lasts));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| failed(e.into()))
    }
}

/// One state partition's copy of a session aggregate, or of sessions whose rows are kept.
pub struct Sessions {
    window: Windowing,
    gap: i64,
    /// Where the keys stand in what is folded.
    keys: Vec<usize>,
    converter: Option<RowConverter>,
    result: Gives,
    schema: SchemaRef,
}

enum Gives {
    Values {
        merge: Fragment,
        last: Fragment,
        layout: Vec<ResultColumn>,
    },
    Rows {
        finish: Fragment,
        time_type: DataType,
    },
}

impl Sessions {
    pub fn values(node: &WindowsNode, gap: i64, schema: SchemaRef, shop: &Workshop) -> Result<Sessions> {
        let Aggregates { merge, last, .. } = Aggregates::new(&node.aggregation, shop)?;
        let layout = node.aggregation.layout.clone();
        Ok(Sessions {
            window: node.window,
            gap,
            keys: (1..=node.aggregation.keys).collect(),
            converter: None,
            result: Gives::Values { merge, last, layout },
            schema,
        })
    }

    pub fn rows(node: &WindowRowsNode, gap: i64, schema: SchemaRef, shop: &Workshop) -> Result<Sessions> {
        Ok(Sessions {
            window: node.window,
            gap,
            keys: node.partition.iter().map(|k| k + 1).collect(),
            converter: None,
            result: Gives::Rows {
                finish: Fragment::new(&node.finish, shop)?,
                time_type: node.time_type.clone(),
            },
            schema,
        })
    }

    pub fn new_state(&self) -> SessionStore {
        SessionStore::new(self.gap)
    }

    /// Folds one interval's pieces into the state.
    pub fn fold<'a>(
        &mut self,
        state: &mut SessionStore,
        interval: u64,
        pieces: impl Iterator<Item = &'a Piece>,
    ) -> Result<()> {
        for piece in pieces {
            let (rows, lasts) = match &self.result {
                Gives::Values { .. } => without_last(&piece.batch)?,
                Gives::Rows { .. } => (piece.batch.clone(), Arc::clone(piece.batch.column(0))),
            };
            let starts = rows.column(0).as_primitive::<Int64Type>().clone();
            let lasts = lasts.as_primitive::<Int64Type>().clone();
            match self.key_rows(&rows)? {
                Some(keys) => state.push(rows, |k| keys.row(k).data(), starts.values(), lasts.values(), interval),
                None => state.push(rows, |_| &[], starts.values(), lasts.values(), interval),
            }
        }
        match &mut self.result {
            Gives::Values { merge, .. } => state.merge(&mut |batch, groups| {
                let states = merge.run(vec![vec![with_first(&batch, Int64Array::from(groups))?]])?;
                by_first(&merge.schema(), states)
            }),
            Gives::Rows { .. } => Ok(()),
        }
    }

    /// The keys of a batch as comparable bytes; `None` without keys.
    fn key_rows(&mut self, rows: &RecordBatch) -> Result<Option<Rows>> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        let columns: Vec<ArrayRef> = self.keys.iter().map(|k| Arc::clone(rows.column(*k))).collect();
        if self.converter.is_none() {
            let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
            let unfit = |e| Error::new(Kind::Refused, "a session key of this type is not built yet").because(e);
            self.converter = Some(RowConverter::new(fields).map_err(unfit)?);
        }
        let converter = self
            .converter
            .as_ref()
            .ok_or_else(|| Error::internal("the keys of a session"))?;
        converter
            .convert_columns(&columns)
            .map(Some)
            .map_err(|e| failed(e.into()))
    }

    /// The sessions that end at the operator's watermark (in the unit of the event time) or before.
    pub fn close(&mut self, state: &mut SessionStore, watermark: i64) -> Result<Batch> {
        let ended = state.take_ended(watermark);
        let since = ended.iter().map(|e| e.since).min();
        let batches = match state.rows_of(&ended)? {
            None => Vec::new(),
            Some((rows, groups)) => self.give(rows, groups, &ended)?,
        };
        Ok(Batch {
            since,
            ..Batch::rows(batches)
        })
    }

    fn give(&mut self, rows: RecordBatch, groups: Vec<i64>, ended: &[Ended]) -> Result<Vec<RecordBatch>> {
        match &mut self.result {
            Gives::Values { last, layout, .. } => {
                let values = last.run(vec![vec![with_first(&rows, Int64Array::from(groups))?]])?;
                let values = by_first(&last.schema(), values)?;
                Ok(vec![laid_out(&values, layout, ended, &self.schema)?])
            }
            Gives::Rows { finish, time_type } => {
                let rows = with_window(&rows, &groups, ended, time_type)?;
                finish.run(vec![vec![rows]])
            }
        }
    }

    pub fn window(&self) -> &Windowing {
        &self.window
    }
}

fn with_first(batch: &RecordBatch, first: Int64Array) -> Result<RecordBatch> {
    let mut columns = batch.columns().to_vec();
    columns[0] = Arc::new(first);
    RecordBatch::try_new(batch.schema(), columns).map_err(|e| failed(e.into()))
}

fn without_last(batch: &RecordBatch) -> Result<(RecordBatch, ArrayRef)> {
    let width = batch.num_columns() - 1;
    let columns: Vec<usize> = (0..width).collect();
    let rows = batch.project(&columns).map_err(|e| failed(e.into()))?;
    Ok((rows, Arc::clone(batch.column(width))))
}

/// All rows in the order of their first column: a hash table gives groups in no order.
fn by_first(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<RecordBatch> {
    let all = concat_batches(schema, &batches).map_err(|e| failed(e.into()))?;
    let order = sort_to_indices(all.column(0), None, None).map_err(|e| failed(e.into()))?;
    take_record_batch(&all, &order).map_err(|e| failed(e.into()))
}

/// The result's columns in the order of the query; row k is of session k.
fn laid_out(values: &RecordBatch, layout: &[ResultColumn], ended: &[Ended], schema: &SchemaRef) -> Result<RecordBatch> {
    let starts = Int64Array::from_iter_values(ended.iter().map(|e| e.start));
    let ends = Int64Array::from_iter_values(ended.iter().map(|e| e.end));
    let column = |(column, field): (&ResultColumn, &Arc<Field>)| match column {
        ResultColumn::Column(k) => Ok(Arc::clone(values.column(k + 1))),
        ResultColumn::WindowStart => times(&starts, |start| start, field.data_type()),
        ResultColumn::WindowEnd => times(&ends, |end| end, field.data_type()),
        ResultColumn::WindowTime => times(&ends, |end| end - 1, field.data_type()),
    };
    let columns = layout.iter().zip(schema.fields()).map(column);
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(values.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|e| failed(e.into()))
}

/// Kept rows without their time, with the three columns of their session behind.
fn with_window(rows: &RecordBatch, groups: &[i64], ended: &[Ended], time_type: &DataType) -> Result<RecordBatch> {
    let starts = Int64Array::from_iter_values(groups.iter().map(|g| ended[*g as usize].start));
    let ends = Int64Array::from_iter_values(groups.iter().map(|g| ended[*g as usize].end));
    let mut columns = rows.columns()[1..].to_vec();
    columns.push(times(&starts, |start| start, time_type)?);
    columns.push(times(&ends, |end| end, time_type)?);
    columns.push(times(&ends, |end| end - 1, time_type)?);
    let mut fields: Vec<_> = rows.schema().fields()[1..].to_vec();
    for name in [WINDOW_START, WINDOW_END, WINDOW_TIME] {
        fields.push(Arc::new(Field::new(name, time_type.clone(), false)));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| failed(e.into()))
}
