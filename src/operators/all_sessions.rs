//! Sessions of rows that are all there: a batch sees every row at once, and keeps no state.

use crate::operators::panes::as_i64;
use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{DataFusionError, Result, not_impl_err};

/// A row of a batch in a window.
pub struct Span {
    pub row: usize,
    pub start: i64,
    pub end: i64,
}

/// Per batch, its rows in order, each with the session that it is in; rows without event time are in none. Rows that are
/// equal in the columns `keys`, and less than `gap` apart, share a session.
pub fn sessions(batches: &[RecordBatch], time: usize, keys: &[usize], gap: i64) -> Result<Vec<Vec<Span>>> {
    let times = batches.iter().map(|batch| as_i64(batch.column(time)));
    let times = times.collect::<Result<Vec<Int64Array>, _>>();
    let times = times.map_err(|e| DataFusionError::External(Box::new(e)))?;
    let keys = keys_of(batches, keys)?;
    let key = |(batch, row): (usize, usize)| keys.get(batch).map(|rows| rows.row(row));
    let time = |(batch, row): (usize, usize)| times[batch].value(row);
    let places = (0..batches.len()).flat_map(|batch| (0..times[batch].len()).map(move |row| (batch, row)));
    let mut timed: Vec<(usize, usize)> = places.filter(|(batch, row)| times[*batch].is_valid(*row)).collect();
    timed.sort_by(|a, b| key(*a).cmp(&key(*b)).then(time(*a).cmp(&time(*b))));
    let mut spans: Vec<Vec<Span>> = batches.iter().map(|_| Vec::new()).collect();
    let joined = |a: &(usize, usize), b: &(usize, usize)| key(*a) == key(*b) && time(*b) < time(*a).saturating_add(gap);
    for session in timed.chunk_by(joined) {
        let (start, last) = (time(session[0]), time(session[session.len() - 1]));
        for (batch, row) in session {
            let end = last.saturating_add(gap);
            spans[*batch].push(Span { row: *row, start, end });
        }
    }
    for spans in &mut spans {
        spans.sort_by_key(|span| span.row);
    }
    Ok(spans)
}

/// The keys of each batch as comparable bytes; nothing without keys.
fn keys_of(batches: &[RecordBatch], keys: &[usize]) -> Result<Vec<Rows>> {
    let (Some(first), false) = (batches.first(), keys.is_empty()) else {
        return Ok(Vec::new());
    };
    let fields = keys
        .iter()
        .map(|k| SortField::new(first.column(*k).data_type().clone()));
    let fields: Vec<SortField> = fields.collect();
    if !RowConverter::supports_fields(&fields) {
        return not_impl_err!("a session key of this type is not built yet");
    }
    let converter = RowConverter::new(fields)?;
    let converted = batches.iter().map(|batch| {
        let columns: Vec<ArrayRef> = keys.iter().map(|k| batch.column(*k).clone()).collect();
        Ok(converter.convert_columns(&columns)?)
    });
    converted.collect()
}
