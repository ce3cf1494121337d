//! Which row groups of a Parquet file hold no row that anybody asks for, by their statistics and what folders tell.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, SchemaRef};
use datafusion::common::Column;
use datafusion::common::pruning::PruningStatistics;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderMetadata;
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::scalar::ScalarValue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What may be left out of a source.
#[derive(Debug, Clone)]
pub struct Pruning {
    /// Over the source's columns: rows for which it is not true are asked for by nobody.
    pub predicate: Arc<PruningPredicate>,
    /// The column whose greatest value is to be told of what is left out; what cannot tell it is not left out.
    pub greatest_of: Option<String>,
}

/// Columns that have one value in all rows of a file, which its folders tell.
pub type Constants = HashMap<String, ScalarValue>;

/// What becomes of a row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Read,
    /// Left out; the greatest value of the column that is to be told, if that was asked for and is not NULL.
    LeftOut(Option<i64>),
}

impl Pruning {
    /// Whether nobody asks for any row of a file of which this is known, and nothing else is to be told of it.
    pub fn leaves_out(&self, constants: &Constants) -> bool {
        let none_needed = |needed: Vec<bool>| needed == [false];
        self.greatest_of.is_none() && self.predicate.prune(&OfFile(constants)).is_ok_and(none_needed)
    }

    /// For each row group of a file with the columns of `schema`. What may hold a bad record has to be read, as that moves
    /// no watermark: one in which a value of another type than the declared one may not fit, or a NULL stands in a column
    /// that is `required`.
    pub fn fates(
        &self,
        footer: &ArrowReaderMetadata,
        schema: &SchemaRef,
        required: &[usize],
        constants: &Constants,
    ) -> Vec<Fate> {
        let told = Told {
            footer,
            schema,
            constants,
        };
        let groups = footer.metadata().num_row_groups();
        let all = vec![Fate::Read; groups];
        // Statistics that cannot be read prune nothing.
        let Ok(needed) = self.predicate.prune(&told) else {
            return all;
        };
        if needed.len() != groups || needed.iter().all(|needed| *needed) {
            return all;
        }
        let complete: Vec<UInt64Array> = required
            .iter()
            .filter_map(|i| told.nulls(schema.field(*i).name()))
            .collect();
        let is_complete = |group: usize| {
            complete.len() == required.len() && complete.iter().all(|n| n.is_valid(group) && n.value(group) == 0)
        };
        let fitting: Vec<Vec<bool>> = schema.fields().iter().map(|field| told.fitting(field)).collect();
        let is_good = |group: usize| is_complete(group) && fitting.iter().all(|fits| fits[group]);
        let greatest = self.greatest_of.as_ref().map(|column| told.greatest(column));
        let fate = |(group, needed): (usize, bool)| {
            if needed || !is_good(group) {
                return Fate::Read;
            }
            match &greatest {
                None => Fate::LeftOut(None),
                Some(Some(known)) => known[group],
                Some(None) => Fate::Read,
            }
        };
        needed.into_iter().enumerate().map(fate).collect()
    }
}

/// The statistics of a file, in the types of the source.
struct Told<'a> {
    footer: &'a ArrowReaderMetadata,
    schema: &'a SchemaRef,
    constants: &'a Constants,
}

impl<'a> Told<'a> {
    fn converter(&self, column: &'a str) -> Option<StatisticsConverter<'a>> {
        let schema = self.footer.parquet_schema();
        StatisticsConverter::try_new(column, self.footer.schema(), schema).ok()
    }

    /// Values of the file as values of the source. Only where greater in the one means no less in the other; NaN is
    /// greater than every number and in no statistics.
    fn typed(&self, column: &str, values: ArrayRef) -> Option<ArrayRef> {
        let to = self.schema.field_with_name(column).ok()?.data_type();
        let alike = match (values.data_type(), to) {
            (from, to) if from.is_floating() || to.is_floating() || to.is_nested() => false,
            (from, to) if from == to => return Some(values),
            (DataType::Timestamp(..), DataType::Timestamp(..)) => true,
            (from, to) => from.is_signed_integer() && to.is_signed_integer(),
        };
        alike.then(|| cast(&values, to).ok()).flatten()
    }

    /// Per row group, whether each value of a column fits the column of the source, as far as that can be told.
    fn fitting(&self, field: &'a Field) -> Vec<bool> {
        let groups = self.footer.metadata().row_groups();
        let (name, to) = (field.name(), field.data_type());
        let own = self.footer.schema().field_with_name(name).map(Field::data_type);
        if own.is_ok_and(|own| always_fits(own, to)) {
            return vec![true; groups.len()];
        }
        // Between the least and the greatest all fit, if these do.
        let fits = |values: ArrayRef| match (values.data_type(), to) {
            (from, to) if from.is_integer() && to.is_integer() => cast(&values, to).ok(),
            (DataType::Timestamp(..), DataType::Timestamp(..)) => cast(&values, to).ok(),
            _ => None,
        };
        let ends = self.converter(name).and_then(|told| {
            let (least, greatest) = (told.row_group_mins(groups).ok()?, told.row_group_maxes(groups).ok()?);
            Some((fits(least)?, fits(greatest)?))
        });
        let known = |group: usize| {
            ends.as_ref()
                .is_some_and(|(a, b)| a.is_valid(group) && b.is_valid(group))
        };
        (0..groups.len()).map(known).collect()
    }

    fn nulls(&self, column: &'a str) -> Option<UInt64Array> {
        let converter = self.converter(column)?.with_missing_null_counts_as_zero(false);
        converter
            .row_group_null_counts(self.footer.metadata().row_groups())
            .ok()
    }

    /// The exact greatest value per row group, or why it has to be read; `None`: there are no statistics.
    fn greatest(&self, column: &'a str) -> Option<Vec<Fate>> {
        let groups = self.footer.metadata().row_groups();
        let converter = self.converter(column)?;
        let values = self.typed(column, converter.row_group_maxes(groups).ok()?)?;
        let values = cast(&values, &DataType::Int64).ok()?;
        let values = values.as_primitive::<Int64Type>();
        let exact: BooleanArray = converter.row_group_is_max_value_exact(groups).ok()?;
        let nulls = self.nulls(column)?;
        let fate = |group: usize| {
            if values.is_valid(group) && exact.is_valid(group) && exact.value(group) {
                return Fate::LeftOut(Some(values.value(group)));
            }
            let rows = groups[group].num_rows();
            let all_null = nulls.is_valid(group) && i64::try_from(nulls.value(group)) == Ok(rows);
            if all_null { Fate::LeftOut(None) } else { Fate::Read }
        };
        Some((0..groups.len()).map(fate).collect())
    }
}

/// Whether every value of the one type is one of the other.
fn always_fits(own: &DataType, to: &DataType) -> bool {
    let width = |of: &DataType| of.primitive_width().unwrap_or(usize::MAX);
    match (own, to) {
        (own, to) if own.equals_datatype(to) => true,
        (own, to) if own.is_signed_integer() && to.is_signed_integer() => width(own) <= width(to),
        (own, to) if own.is_unsigned_integer() && to.is_unsigned_integer() => width(own) <= width(to),
        (own, to) if own.is_unsigned_integer() && to.is_signed_integer() => width(own) < width(to),
        (own, DataType::Float32 | DataType::Float64 | DataType::Utf8) => own.is_integer(),
        _ => false,
    }
}

impl PruningStatistics for Told<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        let groups = self.footer.metadata().row_groups();
        if let Some(constant) = constant(self.constants, column, groups.len()) {
            return Some(constant);
        }
        let converter = StatisticsConverter::try_new(&column.name, self.footer.schema(), self.footer.parquet_schema());
        self.typed(&column.name, converter.ok()?.row_group_mins(groups).ok()?)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let groups = self.footer.metadata().row_groups();
        if let Some(constant) = constant(self.constants, column, groups.len()) {
            return Some(constant);
        }
        let converter = StatisticsConverter::try_new(&column.name, self.footer.schema(), self.footer.parquet_schema());
        self.typed(&column.name, converter.ok()?.row_group_maxes(groups).ok()?)
    }

    fn num_containers(&self) -> usize {
        self.footer.metadata().num_row_groups()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let groups = self.footer.metadata().row_groups();
        if let Some(value) = self.constants.get(&column.name) {
            let rows = groups.iter().map(|group| u64::try_from(group.num_rows()).ok());
            let nulls = rows.map(|rows| if value.is_null() { rows } else { Some(0) });
            return Some(Arc::new(nulls.collect::<UInt64Array>()));
        }
        let converter = StatisticsConverter::try_new(&column.name, self.footer.schema(), self.footer.parquet_schema());
        let converter = converter.ok()?.with_missing_null_counts_as_zero(false);
        Some(Arc::new(converter.row_group_null_counts(groups).ok()?))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let groups = self.footer.metadata().row_groups();
        let counts = groups.iter().map(|group| u64::try_from(group.num_rows()).ok());
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// The value of a constant column, so many times. A NaN is greater than every number, which statistics do not know.
fn constant(constants: &Constants, column: &Column, times: usize) -> Option<ArrayRef> {
    let value = constants.get(&column.name)?;
    let known = !value.data_type().is_floating();
    known.then(|| value.to_array_of_size(times).ok()).flatten()
}

/// A file whose rows have one value in some columns, as if it had one row.
struct OfFile<'a>(&'a Constants);

impl PruningStatistics for OfFile<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        constant(self.0, column, 1)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        constant(self.0, column, 1)
    }

    fn num_containers(&self) -> usize {
        1
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let value = self.0.get(&column.name)?;
        Some(Arc::new(UInt64Array::from(vec![u64::from(value.is_null())])))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from(vec![1])))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
