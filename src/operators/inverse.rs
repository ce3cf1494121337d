//! Partial states that are taken away again: negated, and groups without rows dropped.

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
use std::sync::Arc;

/// Where things stand in a batch of states: the pane or window, the keys, a column per aggregate (counts and sums have
/// one state column each).
#[derive(Debug, Clone)]
pub struct Undo {
    keys: usize,
    rows: usize,
    sums: Vec<(usize, usize)>,
}

impl Undo {
    /// `None` when the aggregation has no inverse.
    ///
    /// Errors: its states are not as they should be (`columns` of them).
    pub fn of(aggregation: &Aggregation, aggregates: usize, columns: usize) -> Result<Option<Undo>> {
        let Some(inverse) = &aggregation.inverse else {
            return Ok(None);
        };
        let first = 1 + aggregation.keys;
        if columns != first + aggregates {
            return Err(Error::internal("aggregates with an inverse have one state each"));
        }
        Ok(Some(Undo {
            keys: aggregation.keys,
            rows: first + inverse.rows,
            sums: inverse.sums.iter().map(|(sum, n)| (first + sum, first + n)).collect(),
        }))
    }

    fn inverse(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let mut columns = batch.columns().to_vec();
        for column in columns.iter_mut().skip(1 + self.keys) {
            *column = negated(column)?;
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
pub struct Sliding<'a> {
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
