//! `min` and `max` of structs and lists, by the order in which rows sort: field by field, a NULL before all values.
//!
//! DataFusion takes two of them for equal that differ where one has a NULL, so its answer depends on the order of the rows
//! and on where they are cut. `max(struct(price, bidder))` is how people ask for the best row.

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use std::cmp::Ordering;

/// Which of two rows stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    Least,
    Greatest,
}

/// Whether values of a type are compared here.
pub fn is_nested(data_type: &DataType) -> bool {
    data_type.is_nested() && RowConverter::supports_fields(&[SortField::new(data_type.clone())])
}

/// The best value of each group, as rows that sort.
#[derive(Debug)]
pub struct BestRows {
    keeps: Keeps,
    converter: RowConverter,
    best: Vec<Option<OwnedRow>>,
    /// NULL as a row.
    null: OwnedRow,
}

impl BestRows {
    pub fn new(keeps: Keeps, data_type: &DataType) -> Result<BestRows> {
        let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
        let null = converter
            .convert_columns(&[new_null_array(data_type, 1)])?
            .row(0)
            .owned();
        Ok(BestRows {
            keeps,
            converter,
            best: Vec::new(),
            null,
        })
    }

    /// The same over rows of one group.
    pub fn of_one_group(keeps: Keeps, data_type: &DataType) -> Result<BestRow> {
        let mut rows = BestRows::new(keeps, data_type)?;
        rows.best.push(None);
        Ok(BestRow(rows))
    }

    /// Looks at the values that belong to a group.
    fn look(&mut self, values: &ArrayRef, group: impl Fn(usize) -> Option<usize>) -> Result<()> {
        let better = match self.keeps {
            Keeps::Least => Ordering::Less,
            Keeps::Greatest => Ordering::Greater,
        };
        let rows = self.converter.convert_columns(std::slice::from_ref(values))?;
        for (place, row) in rows.iter().enumerate().filter(|(place, _)| values.is_valid(*place)) {
            if let Some(best) = group(place).and_then(|group| self.best.get_mut(group))
                && best.as_ref().is_none_or(|best| row.cmp(&best.row()) == better)
            {
                *best = Some(row.owned());
            }
        }
        Ok(())
    }

    fn values(&self, best: &[Option<OwnedRow>]) -> Result<ArrayRef> {
        let rows = best.iter().map(|row| row.as_ref().unwrap_or(&self.null).row());
        Ok(self.converter.convert_rows(rows)?.remove(0))
    }
}

impl GroupsAccumulator for BestRows {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        self.best.resize(total_groups, None);
        let counts = |place: usize| filter.is_none_or(|filter| filter.is_valid(place) && filter.value(place));
        self.look(&values[0], |place| counts(place).then(|| groups[place]))
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let best = emit_to.take_needed(&mut self.best);
        self.values(&best)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.evaluate(emit_to).map(|values| vec![values])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total_groups: usize) -> Result<()> {
        self.update_batch(states, groups, None, total_groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let Some(filter) = filter else {
            return Ok(values.to_vec());
        };
        let left_out: BooleanArray = filter.iter().map(|kept| Some(kept != Some(true))).collect();
        Ok(vec![nullif(&values[0], &left_out)?])
    }

    fn size(&self) -> usize {
        let rows = self.best.iter().flatten().map(|row| row.as_ref().len());
        self.converter.size() + rows.sum::<usize>() + self.best.capacity() * size_of::<Option<OwnedRow>>()
    }
}

/// The best value of all.
#[derive(Debug)]
pub struct BestRow(BestRows);

impl Accumulator for BestRow {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.look(&values[0], |_| Some(0))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.0.values(&self.0.best)?, 0)
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.evaluate().map(|value| vec![value])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}
