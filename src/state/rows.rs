//! Rows of a batch that many share, and gathering such rows from many batches into one.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{interleave, take_record_batch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::error::ArrowError;
use std::sync::Arc;

/// Consecutive rows of a batch. A batch of many short runs is kept once: a batch of its own for each would cost more
/// than the rows.
#[derive(Debug, Clone)]
pub struct Rows {
    batch: Arc<RecordBatch>,
    start: usize,
    len: usize,
}

impl Rows {
    pub fn new(batch: &Arc<RecordBatch>, start: usize, len: usize) -> Rows {
        Rows {
            batch: Arc::clone(batch),
            start,
            len,
        }
    }

    pub fn all(batch: RecordBatch) -> Rows {
        let len = batch.num_rows();
        Rows {
            batch: Arc::new(batch),
            start: 0,
            len,
        }
    }

    pub fn num_rows(&self) -> usize {
        self.len
    }

    /// The rows as a batch, without copying them.
    pub fn batch(&self) -> RecordBatch {
        self.batch.slice(self.start, self.len)
    }
}

/// Collects rows, with a number for each that takes the place of their first column.
#[derive(Default)]
pub struct Gather<'a> {
    batches: Vec<&'a RecordBatch>,
    places: Vec<(usize, usize)>,
    numbers: Vec<i64>,
}

/// Rows that a [`Gather`] knows: adding them again costs nothing but the rows.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    batch: usize,
    start: usize,
    len: usize,
}

/// How many of the newest batches are looked at before one is taken for a new one; a batch that stands there twice does
/// no harm.
const LOOK_BACK: usize = 4;

impl<'a> Gather<'a> {
    /// For about so many rows.
    pub fn with_capacity(rows: usize) -> Self {
        Gather {
            batches: Vec::new(),
            places: Vec::with_capacity(rows),
            numbers: Vec::with_capacity(rows),
        }
    }

    pub fn know(&mut self, rows: &'a Rows) -> Known {
        let same = |batch: &&RecordBatch| std::ptr::eq(*batch, rows.batch.as_ref());
        let newest = self.batches.iter().rev().take(LOOK_BACK).position(same);
        let batch = match newest {
            Some(back) => self.batches.len() - 1 - back,
            None => {
                self.batches.push(rows.batch.as_ref());
                self.batches.len() - 1
            }
        };
        Known {
            batch,
            start: rows.start,
            len: rows.len,
        }
    }

    /// Adds rows, all with one number.
    pub fn add(&mut self, number: i64, rows: Known) {
        let Known { batch, start, len } = rows;
        if len == 1 {
            self.places.push((batch, start));
            self.numbers.push(number);
            return;
        }
        self.places.extend((start..start + len).map(|row| (batch, row)));
        self.numbers.resize(self.places.len(), number);
    }

    /// Adds rows of several places, all with one number.
    pub fn add_all(&mut self, number: i64, parts: &[&'a Rows]) {
        for rows in parts {
            let known = self.know(rows);
            self.add(number, known);
        }
    }

    /// The rows in the order in which they were added; `None` when there are none.
    pub fn finish(self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.places.is_empty() {
            return Ok(None);
        }
        let schema = self.batches[0].schema();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(self.numbers))];
        for column in 1..schema.fields().len() {
            let arrays: Vec<&dyn Array> = self.batches.iter().map(|b| b.column(column).as_ref()).collect();
            columns.push(interleave(&arrays, &self.places)?);
        }
        RecordBatch::try_new(schema, columns).map(Some)
    }
}

/// The rows of a batch by the number in their first column, ascending; rows of one number keep their order.
pub fn by_number(batch: RecordBatch) -> Result<Vec<(i64, Rows)>, ArrowError> {
    let mut batch = batch;
    if !batch.column(0).as_primitive::<Int64Type>().values().is_sorted() {
        let numbers = batch.column(0).as_primitive::<Int64Type>().values().clone();
        let mut order: Vec<u32> = (0..numbers.len() as u32).collect();
        order.sort_by_key(|row| numbers[*row as usize]);
        batch = take_record_batch(&batch, &UInt32Array::from(order))?;
    }
    let batch = Arc::new(batch);
    let mut at = 0;
    let numbers = batch.column(0).as_primitive::<Int64Type>().values();
    let runs = numbers.chunk_by(|a, b| a == b).map(|run| {
        at += run.len();
        (run[0], Rows::new(&batch, at - run.len(), run.len()))
    });
    Ok(runs.collect())
}
