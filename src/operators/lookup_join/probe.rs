//! The stream's side of a lookup join: batches in, joined batches out.

use super::table::{self, Table};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch, RecordBatchOptions, UInt32Array,
    new_null_array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{JoinSide, NullEquality, Result};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::physical_plan::joins::utils::JoinFilter;
use std::ops::Range;
use std::sync::Arc;

/// What a join does with the stream's rows and their partners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// Each row with each partner.
    Matches,
    /// The same, and rows without partner once, with NULLs.
    AllRows,
    WithPartner,
    WithoutPartner,
    /// `x NOT IN (SELECT y FROM table)`: unknown, so not given, when `x` or any `y` is NULL, unless the table is empty.
    NotIn,
    /// Each row once, and whether it has a partner.
    Marked,
}

/// Where an output column comes from.
#[derive(Debug, Clone, Copy)]
pub enum Column {
    Stream(usize),
    Table(usize),
    Mark,
}

/// A join whose table is known.
#[derive(Debug)]
pub struct Lookup {
    /// Over the stream's rows; the table's are in `table`.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    pub table: Arc<Table>,
    pub null_equality: NullEquality,
    /// What partners must fulfil besides equal keys.
    pub filter: Option<JoinFilter>,
    /// The side of the stream, in the words of `filter`.
    pub stream: JoinSide,
    pub gives: Gives,
    pub columns: Vec<Column>,
    pub schema: SchemaRef,
}

/// Rows of the stream (ascending) with rows of the table (ascending for each).
#[derive(Debug, Default)]
pub struct Pairs {
    stream: Vec<u32>,
    table: Vec<u32>,
}

impl Pairs {
    #[inline]
    pub fn push(&mut self, stream: u32, table: u32) {
        self.stream.push(stream);
        self.table.push(table);
    }

    pub fn is_empty(&self) -> bool {
        self.stream.is_empty()
    }

    /// Keeps the pairs for which `keep(row of the stream, row of the table)` holds.
    pub fn retain(&mut self, keep: impl Fn(usize, usize) -> bool) {
        let mut kept = 0;
        for pair in 0..self.stream.len() {
            let (s, t) = (self.stream[pair], self.table[pair]);
            self.stream[kept] = s;
            self.table[kept] = t;
            kept += usize::from(keep(s as usize, t as usize));
        }
        self.stream.truncate(kept);
        self.table.truncate(kept);
    }
}

/// One batch of the stream being joined: gives its joined rows in chunks.
///
/// A chunk ends with the stream row whose candidates fill it, so it holds whole stream rows and its size is bounded by
/// `chunk_rows` and the partners of one row.
pub struct Probed {
    lookup: Arc<Lookup>,
    batch: RecordBatch,
    keys: Vec<ArrayRef>,
    hashes: Vec<u64>,
    /// NULL for rows whose keys equal nothing.
    usable: Option<NullBuffer>,
    next: usize,
    chunk_rows: usize,
}

impl Probed {
    pub fn new(lookup: Arc<Lookup>, batch: RecordBatch, chunk_rows: usize) -> Result<Probed> {
        let keys = table::values(&lookup.keys, &batch)?;
        let hashes = table::hashes(&keys, batch.num_rows())?;
        let usable = match lookup.null_equality {
            NullEquality::NullEqualsNothing => table::nulls(&keys),
            NullEquality::NullEqualsNull => None,
        };
        Ok(Probed {
            lookup,
            batch,
            keys,
            hashes,
            usable,
            next: 0,
            chunk_rows,
        })
    }

    fn joined(&mut self) -> Result<RecordBatch> {
        let from = self.next;
        let mut pairs = self.candidates();
        let rows = from..self.next;
        let Lookup { table, filter, .. } = self.lookup.as_ref();
        table.retain_equal(&self.keys, &mut pairs)?;
        if let Some(filter) = filter.as_ref().filter(|_| !pairs.is_empty()) {
            pairs = self.filtered(filter, pairs)?;
        }
        self.given(rows, pairs)
    }

    /// Rows with the same hash, for as many rows of the stream as make a chunk.
    fn candidates(&mut self) -> Pairs {
        let mut pairs = Pairs::default();
        let rows = self.hashes.len().min(self.next.saturating_add(self.chunk_rows));
        while self.next < rows && pairs.stream.len() < self.chunk_rows {
            let row = self.next;
            if self.usable.as_ref().is_none_or(|usable| usable.is_valid(row)) {
                self.lookup.table.candidates(self.hashes[row], row as u32, &mut pairs);
            }
            self.next += 1;
        }
        pairs
    }

    fn filtered(&self, filter: &JoinFilter, pairs: Pairs) -> Result<Pairs> {
        let num_rows = pairs.stream.len();
        let picked = Picked::of(pairs);
        let column = |c: &datafusion::physical_plan::joins::utils::ColumnIndex| match c.side == self.lookup.stream {
            true => Ok(take(self.batch.column(c.index), &picked.stream, None)?),
            false => Ok(take(self.lookup.table.rows.column(c.index), &picked.table, None)?),
        };
        let columns = filter.column_indices().iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(num_rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(filter.schema()), columns, &options)?;
        let keep = filter.expression().evaluate(&batch)?.into_array(num_rows)?;
        let mut pairs = Pairs::default();
        for (pair, keep) in keep.as_boolean().iter().enumerate() {
            if keep == Some(true) {
                pairs.push(picked.stream.value(pair), picked.table.value(pair));
            }
        }
        Ok(pairs)
    }

    /// What the join gives for these rows of the stream, when `pairs` are all their partners.
    fn given(&self, rows: Range<usize>, pairs: Pairs) -> Result<RecordBatch> {
        let table = &self.lookup.table;
        let picked = match self.lookup.gives {
            Gives::Matches => Picked::of(pairs),
            Gives::AllRows => Picked::padded(rows.clone(), &pairs),
            Gives::WithPartner => {
                let has = has_partner(&rows, &pairs);
                Picked::rows(rows.clone(), |row| has.value(row))
            }
            Gives::WithoutPartner => {
                let has = has_partner(&rows, &pairs);
                Picked::rows(rows.clone(), |row| !has.value(row))
            }
            Gives::NotIn if table.num_rows() == 0 => Picked::rows(rows.clone(), |_| true),
            Gives::NotIn => {
                let has = has_partner(&rows, &pairs);
                let known = |row: usize| {
                    self.usable
                        .as_ref()
                        .is_none_or(|usable| usable.is_valid(rows.start + row))
                };
                Picked::rows(rows.clone(), |row| !table.has_null_key && known(row) && !has.value(row))
            }
            Gives::Marked => Picked {
                mark: Some(has_partner(&rows, &pairs)),
                ..Picked::rows(rows.clone(), |_| true)
            },
        };
        self.output(rows, picked)
    }

    fn output(&self, rows: Range<usize>, picked: Picked) -> Result<RecordBatch> {
        let table = &self.lookup.table;
        let num_rows = picked.stream.len();
        let every_row = num_rows == rows.len() && rows.clone().eq(picked.stream.values().iter().map(|r| *r as usize));
        let column = |column: &Column| match (*column, &picked.mark) {
            (Column::Stream(i), _) if every_row => Ok(self.batch.column(i).slice(rows.start, num_rows)),
            (Column::Stream(i), _) => Ok(take(self.batch.column(i), &picked.stream, None)?),
            (Column::Table(i), _) if table.num_rows() == 0 => {
                Ok(new_null_array(table.rows.column(i).data_type(), num_rows))
            }
            (Column::Table(i), _) => Ok(take(table.rows.column(i), &picked.table, None)?),
            (Column::Mark, Some(mark)) => Ok(Arc::new(mark.clone()) as ArrayRef),
            (Column::Mark, None) => datafusion::common::internal_err!("a join without marks was asked for them"),
        };
        let columns = self.lookup.columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(num_rows));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.lookup.schema),
            columns,
            &options,
        )?)
    }
}

impl Iterator for Probed {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.batch.num_rows() {
            match self.joined() {
                Ok(rows) if rows.num_rows() == 0 => continue,
                rows => return Some(rows),
            }
        }
        None
    }
}

/// The rows of an answer, by the rows that they are made of.
struct Picked {
    stream: UInt32Array,
    /// NULL where there is no partner; empty when the join shows no columns of the table.
    table: UInt32Array,
    mark: Option<BooleanArray>,
}

impl Picked {
    fn of(pairs: Pairs) -> Picked {
        Picked {
            stream: pairs.stream.into(),
            table: pairs.table.into(),
            mark: None,
        }
    }

    fn padded(rows: Range<usize>, pairs: &Pairs) -> Picked {
        let most = rows.len() + pairs.stream.len();
        let (mut stream, mut table) = (Vec::with_capacity(most), Vec::with_capacity(most));
        let mut next = 0;
        for row in rows {
            let first = next;
            while pairs.stream.get(next) == Some(&(row as u32)) {
                stream.push(row as u32);
                table.push(Some(pairs.table[next]));
                next += 1;
            }
            if next == first {
                stream.push(row as u32);
                table.push(None);
            }
        }
        Picked {
            stream: stream.into(),
            table: table.into(),
            mark: None,
        }
    }

    /// The rows for which `keep(place in the chunk)` holds.
    fn rows(rows: Range<usize>, keep: impl Fn(usize) -> bool) -> Picked {
        let kept = rows.clone().filter(|row| keep(row - rows.start));
        Picked {
            stream: kept.map(|row| row as u32).collect::<Vec<u32>>().into(),
            table: Vec::<u32>::new().into(),
            mark: None,
        }
    }
}

/// Per row of the chunk.
fn has_partner(rows: &Range<usize>, pairs: &Pairs) -> BooleanArray {
    let mut has = BooleanBufferBuilder::new(rows.len());
    has.append_n(rows.len(), false);
    for row in &pairs.stream {
        has.set_bit(*row as usize - rows.start, true);
    }
    BooleanArray::new(has.finish(), None)
}
