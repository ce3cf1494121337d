//! Partial states that are taken away again: inverted, and groups without rows dropped.

use super::batch_function::BatchCode;
use super::fragment::failed;
use super::windows::States;
use crate::dstream::graph::Aggregation;
use crate::error::{Error, Result};
use crate::state::running::Slide;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt64Array};
use datafusion::arrow::compute::kernels::cmp::{eq, neq};
use datafusion::arrow::compute::kernels::numeric::neg_wrapping;
use datafusion::arrow::compute::{SortColumn, filter_record_batch, lexsort_to_indices, nullif, take_record_batch};
use datafusion::arrow::datatypes::{DataType, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::execution::SessionState;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The inverses that the host has registered, by the names of their aggregates: from states to what takes them away when
/// it is merged. Kept among the extensions of a session.
#[derive(Default, Clone)]
pub struct Inverses {
    pub by_name: BTreeMap<String, Arc<BatchCode>>,
}

impl Inverses {
    /// Those that a session knows.
    pub fn of(session: &SessionState) -> Arc<Inverses> {
        session.config().get_extension().unwrap_or_default()
    }
}

/// Where things stand in a batch of states: the pane or window, the keys, the columns of each aggregate.
pub struct Undo {
    keys: usize,
    rows: usize,
    sums: Vec<(usize, usize)>,
    inversions: Vec<Inversion>,
}

/// How the states of one aggregate are inverted.
struct Inversion {
    columns: Range<usize>,
    /// `None` negates them.
    registered: Option<(String, Arc<BatchCode>)>,
}

impl Undo {
    /// `None` when the aggregation has no inverse. `widths` has the number of state columns of each aggregate.
    ///
    /// Errors: an inverse that the plan names is not known to the session.
    pub fn of(aggregation: &Aggregation, widths: &[usize], session: &SessionState) -> Result<Option<Undo>> {
        let Some(inverse) = &aggregation.inverse else {
            return Ok(None);
        };
        let mut at = 1 + aggregation.keys;
        let mut inversions = Vec::with_capacity(widths.len());
        for width in widths {
            inversions.push(Inversion {
                columns: at..at + width,
                registered: None,
            });
            at += width;
        }
        let known = Inverses::of(session);
        for (place, name) in &inverse.registered {
            let code = known.by_name.get(name);
            let code = code.ok_or_else(|| Error::refused(format!("there is no inverse of `{name}`")))?;
            inversions[*place].registered = Some((name.clone(), Arc::clone(code)));
        }
        let first = |aggregate: usize| inversions[aggregate].columns.start;
        Ok(Some(Undo {
            keys: aggregation.keys,
            rows: first(inverse.rows),
            sums: inverse.sums.iter().map(|(sum, n)| (first(*sum), first(*n))).collect(),
            inversions,
        }))
    }

    fn inverse(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let mut columns = batch.columns().to_vec();
        for Inversion {
            columns: at,
            registered,
        } in &self.inversions
        {
            let Some((name, code)) = registered else {
                columns[at.clone()].iter_mut().try_for_each(|column| {
                    *column = negated(column)?;
                    Ok::<_, ArrowError>(())
                })?;
                continue;
            };
            let states = batch.project(&at.clone().collect::<Vec<_>>())?;
            let given = code(&states)?;
            let types = |batch: &RecordBatch| -> Vec<DataType> {
                batch
                    .columns()
                    .iter()
                    .map(|column| column.data_type().clone())
                    .collect()
            };
            if given.num_rows() != states.num_rows() || types(&given) != types(&states) {
                let message = format!("the inverse of `{name}` must give the columns that it is given, row by row");
                return Err(ArrowError::ComputeError(message));
            }
            columns.splice(at.clone(), given.columns().iter().cloned());
        }
        RecordBatch::try_new(batch.schema(), columns)
    }

    fn settled(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let mut columns = batch.columns().to_vec();
        let none = Int64Array::new_scalar(0);
        for (sum, values) in &self.sums {
            columns[*sum] = nullif(&columns[*sum], &eq(&columns[*values], &none)?)?;
        }
        let batch = RecordBatch::try_new(batch.schema(), columns)?;
        let batch = filter_record_batch(&batch, &neq(batch.column(self.rows), &none)?)?;
        if self.keys == 0 || batch.num_rows() < 2 {
            return Ok(batch);
        }
        let keys = batch.columns()[1..=self.keys].iter().map(|key| SortColumn {
            values: Arc::clone(key),
            options: None,
        });
        let order = lexsort_to_indices(&keys.collect::<Vec<_>>(), None)?;
        take_record_batch(&batch, &order)
    }
}

/// Numbers that wrap around are a group: what was added is taken away exactly, whatever happened in between.
fn negated(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::UInt64 => {
            let negative: UInt64Array = column.as_primitive::<UInt64Type>().unary(u64::wrapping_neg);
            Ok(Arc::new(negative))
        }
        _ => neg_wrapping(column),
    }
}

/// States of windows that slide.
pub(super) struct Sliding<'a> {
    pub states: &'a mut States,
    pub undo: &'a Undo,
}

impl Slide for Sliding<'_> {
    fn merged(&mut self, batches: Vec<RecordBatch>) -> Result<RecordBatch> {
        self.states.merged(batches)
    }

    fn inverse(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        self.undo.inverse(batch).map_err(|e| failed(e.into()))
    }

    fn settled(&self, batch: RecordBatch) -> Result<RecordBatch> {
        self.undo.settled(&batch).map_err(|e| failed(e.into()))
    }
}
