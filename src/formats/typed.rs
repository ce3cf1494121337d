//! Columns of a file that has types of its own (Parquet, Arrow) as those of the table: by name, cast, NULLs checked.

use super::cuts::cast_whole;
use super::decode::{BadRecord, Decoded, Wanted, batch_of};
use super::{OnError, shorten, type_name};
use crate::error::{Error, Result, nearest};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{can_cast_types, take};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::array_value_to_string;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How the wanted columns are made of those of one file.
#[derive(Debug, Clone)]
pub struct Fit {
    roots: Vec<usize>,
    schema: SchemaRef,
    required: Vec<usize>,
    /// Some column has another type in the file.
    casts: bool,
    on_error: OnError,
    source: Arc<str>,
}

impl Fit {
    /// Errors: a declared column is not in the file, or has a type of which no value fits.
    pub fn new(file: &Schema, wanted: &Wanted, on_error: OnError, source: &str) -> Result<Self> {
        let place = |field: &Arc<Field>| {
            file.index_of(field.name())
                .map_err(|_| missing(field.name(), file, source))
        };
        let all = wanted.schema.fields().iter().map(place).collect::<Result<Vec<_>>>()?;
        let mut casts = false;
        for &at in &wanted.columns {
            let (own, to) = (file.field(all[at]), wanted.schema.field(at));
            if !can_cast_types(own.data_type(), to.data_type()) {
                let (from, wanted) = (type_name(own.data_type()), type_name(to.data_type()));
                let message = format!(
                    "{source}: column `{}`: {from}, as the file has it, is no {wanted}",
                    to.name()
                );
                return Err(Error::data(message));
            }
            casts |= own.data_type() != to.data_type();
        }
        Ok(Fit {
            casts,
            roots: wanted.columns.iter().map(|&i| all[i]).collect(),
            schema: wanted.projected(),
            required: wanted.required(),
            on_error,
            source: source.into(),
        })
    }

    /// For each wanted column its place in the file.
    pub fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// The name of the file, for messages.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether rows may be left out, so that places in the output are not places in the file.
    pub fn drops_rows(&self) -> bool {
        (self.casts || !self.required.is_empty()) && self.on_error != OnError::Fail
    }

    /// No rows.
    pub fn nothing(&self) -> Decoded {
        Decoded::from(RecordBatch::new_empty(self.schema.clone()))
    }

    /// The wanted columns, as the file has them, as rows of the table. `place` names a row for people.
    ///
    /// Errors: the batch cannot be made.
    pub fn rows(&self, columns: &[ArrayRef], rows: usize, place: &dyn Fn(usize) -> String) -> Result<Decoded> {
        if let Ok(batch) = self.batch(columns, rows) {
            return Ok(Decoded::from(batch));
        }
        let broken = |e| Error::internal(format!("{}: a batch could not be made", self.source)).because(e);
        let faults = self.faults(columns).map_err(broken)?;
        let only = |kept: UInt32Array| {
            let columns = columns.iter().map(|column| take(column, &kept, None));
            self.batch(&columns.collect::<std::result::Result<Vec<_>, _>>()?, kept.len())
        };
        let good = (0..rows as u32).filter(|row| !faults.contains_key(&(*row as usize)));
        if let (OnError::Fail, Some((first, message))) = (self.on_error, faults.first_key_value()) {
            let before = UInt32Array::from_iter_values(good.take(*first));
            let message = format!("{}: {}: {message}", self.source, place(*first));
            return Ok(Decoded {
                stop: Some(Error::data(message)),
                ..Decoded::from(only(before).map_err(broken)?)
            });
        }
        let good = only(UInt32Array::from_iter_values(good)).map_err(broken)?;
        let bad = |(row, message): (&usize, &String)| BadRecord {
            split: self.source.clone(),
            byte_offset: 0,
            line: 0,
            message: format!("{}: {message}", place(*row)),
            bytes: Vec::new(),
        };
        Ok(Decoded {
            bad: faults.iter().map(bad).collect(),
            ..Decoded::from(good)
        })
    }

    /// What is wrong with rows, by their numbers: the first fault of each.
    fn faults(&self, columns: &[ArrayRef]) -> std::result::Result<BTreeMap<usize, String>, ArrowError> {
        let mut faults = BTreeMap::new();
        for (at, (column, to)) in columns.iter().zip(self.schema.fields()).enumerate() {
            let name = to.name();
            let typed = match cast_whole(column, to.data_type()) {
                Ok(typed) => typed,
                Err(_) => {
                    let mut wrong = Vec::new();
                    misfits(column, to, 0, &mut wrong)?;
                    for (row, value) in wrong {
                        let message = format!("column `{name}`: {value} is no {}", type_name(to.data_type()));
                        faults.entry(row).or_insert(message);
                    }
                    column.clone()
                }
            };
            if self.required.contains(&at) && typed.null_count() > 0 {
                for row in (0..typed.len()).filter(|row| typed.is_null(*row)) {
                    faults.entry(row).or_insert(format!("column `{name}` may not be NULL"));
                }
            }
        }
        Ok(faults)
    }

    /// Errors: a value does not fit; a NULL stands where none may.
    fn batch(&self, columns: &[ArrayRef], rows: usize) -> std::result::Result<RecordBatch, ArrowError> {
        let typed = columns
            .iter()
            .zip(self.schema.fields())
            .map(|(c, to)| cast_whole(c, to.data_type()));
        let typed = typed.collect::<std::result::Result<Vec<_>, _>>()?;
        if self.required.iter().any(|&at| typed[at].null_count() > 0) {
            return Err(ArrowError::InvalidArgumentError("NULL in a required column".into()));
        }
        batch_of(&self.schema, typed, rows)
    }
}

/// The rows whose values do not fit, counted from `first`, with their values: halves what does not fit as a whole.
fn misfits(
    column: &ArrayRef,
    to: &Field,
    first: usize,
    found: &mut Vec<(usize, String)>,
) -> std::result::Result<(), ArrowError> {
    if column.is_empty() || cast_whole(column, to.data_type()).is_ok() {
        return Ok(());
    }
    // Taken and not sliced: a slice of lists or bytes keeps the values of all rows, and a cast looks at them.
    let part = |from: usize, to: usize| take(column, &UInt32Array::from_iter_values(from as u32..to as u32), None);
    if column.len() == 1 {
        let value = array_value_to_string(column, 0).unwrap_or_default();
        found.push((first, shorten(value.as_bytes())));
        return Ok(());
    }
    let half = column.len() / 2;
    misfits(&part(0, half)?, to, first, found)?;
    misfits(&part(half, column.len())?, to, first + half, found)
}

fn missing(name: &str, file: &Schema, source: &str) -> Error {
    let names: Vec<&str> = file.fields().iter().map(|f| f.name().as_str()).collect();
    let mut message = format!(
        "{source}: column `{name}` is not in the file, which has: {}",
        names.join(", ")
    );
    if let Some(best) = nearest(name, names.iter().copied()).first() {
        message.push_str(&format!("; did you mean `{best}`?"));
    }
    Error::connector(message)
}

/// The columns of a file as those of a table.
pub fn table_columns(fields: &Fields) -> SchemaRef {
    let nullable = |f: &Arc<Field>| f.as_ref().clone().with_nullable(true).with_metadata(Default::default());
    Arc::new(Schema::new(
        plain_fields(fields).iter().map(nullable).collect::<Vec<_>>(),
    ))
}

/// The same columns with text and bytes in one form each, whatever their writer preferred.
pub fn plain_fields(fields: &Fields) -> Fields {
    let plain = |f: &Arc<Field>| f.as_ref().clone().with_data_type(plain_type(f.data_type()));
    fields.iter().map(plain).collect()
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::List(item) => DataType::List(Arc::new(
            item.as_ref().clone().with_data_type(plain_type(item.data_type())),
        )),
        DataType::Struct(fields) => DataType::Struct(plain_fields(fields)),
        other => other.clone(),
    }
}
