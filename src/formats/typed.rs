//! Columns of a file that has types of its own (Parquet, Arrow) as those of the table: by name, cast, NULLs checked.

use super::decode::{BadRecord, Decoded, Wanted, batch_of};
use super::{OnError, type_name};
use crate::error::{Error, Result, nearest};
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{
    CastOptions, cast_with_options, filter_record_batch, is_not_null, kernels::boolean::and,
};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use std::sync::Arc;

/// How the wanted columns are made of those of one file.
#[derive(Debug, Clone)]
pub struct Fit {
    roots: Vec<usize>,
    schema: SchemaRef,
    required: Vec<usize>,
    on_error: OnError,
    source: Arc<str>,
}

impl Fit {
    /// Errors: a declared column is not in the file.
    pub fn new(file: &Schema, wanted: &Wanted, on_error: OnError, source: &str) -> Result<Self> {
        let place = |field: &Arc<Field>| {
            file.index_of(field.name())
                .map_err(|_| missing(field.name(), file, source))
        };
        let all = wanted.schema.fields().iter().map(place).collect::<Result<Vec<_>>>()?;
        Ok(Fit {
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
        !self.required.is_empty() && self.on_error != OnError::Fail
    }

    /// No rows.
    pub fn nothing(&self) -> Decoded {
        Decoded {
            batch: RecordBatch::new_empty(self.schema.clone()),
            bad: Vec::new(),
            stop: None,
            text: None,
        }
    }

    /// The wanted columns, as the file has them, as rows of the table. `place` names a row for people.
    ///
    /// Errors: a value does not fit the declared type.
    pub fn rows(&self, columns: &[ArrayRef], rows: usize, place: &dyn Fn(usize) -> String) -> Result<Decoded> {
        let typed = columns.iter().zip(self.schema.fields()).map(|(c, to)| self.cast(c, to));
        self.check_nulls(typed.collect::<Result<Vec<_>>>()?, rows, place)
    }

    fn cast(&self, column: &ArrayRef, to: &Field) -> Result<ArrayRef> {
        if column.data_type() == to.data_type() {
            return Ok(column.clone());
        }
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(column, to.data_type(), &options).map_err(|e| {
            let (from, wanted) = (type_name(column.data_type()), type_name(to.data_type()));
            let message = format!(
                "{}: column `{}`: a {from} of the file is no {wanted}",
                self.source,
                to.name()
            );
            Error::data(message).because(e)
        })
    }

    /// A batch of the rows whose required columns are not NULL.
    fn check_nulls(&self, columns: Vec<ArrayRef>, rows: usize, place: &dyn Fn(usize) -> String) -> Result<Decoded> {
        let broken = |e| Error::internal(format!("{}: a batch could not be made", self.source)).because(e);
        let guilty: Vec<usize> = self
            .required
            .iter()
            .copied()
            .filter(|&i| columns[i].null_count() > 0)
            .collect();
        let whole = |columns, rows| batch_of(&self.schema, columns, rows).map_err(broken);
        if guilty.is_empty() {
            return Ok(Decoded {
                batch: whole(columns, rows)?,
                bad: Vec::new(),
                stop: None,
                text: None,
            });
        }
        let mut keep = BooleanArray::from(vec![true; rows]);
        for &i in &guilty {
            keep = and(&keep, &is_not_null(&columns[i]).map_err(broken)?).map_err(broken)?;
        }
        let bad = (0..rows).filter(|&row| !keep.value(row)).map(|row| {
            let column = guilty
                .iter()
                .find(|&&i| columns[i].is_null(row))
                .map_or("", |&i| self.schema.field(i).name());
            BadRecord {
                split: self.source.clone(),
                byte_offset: 0,
                line: 0,
                message: format!("{}: column `{column}` may not be NULL", place(row)),
                bytes: Vec::new(),
            }
        });
        let mut bad: Vec<BadRecord> = bad.collect();
        if self.on_error == OnError::Fail {
            let before = keep.iter().position(|k| k != Some(true)).unwrap_or(rows);
            let stop = bad
                .drain(..)
                .next()
                .map(|b| Error::data(format!("{}: {}", self.source, b.message)));
            let columns = columns.iter().map(|c| c.slice(0, before)).collect();
            let batch = whole(columns, before)?;
            return Ok(Decoded {
                batch,
                bad,
                stop,
                text: None,
            });
        }
        let nullable = |f: &Arc<Field>| f.as_ref().clone().with_nullable(true);
        let loose = Schema::new(self.schema.fields().iter().map(nullable).collect::<Vec<_>>());
        let batch = RecordBatch::try_new(Arc::new(loose), columns).map_err(broken)?;
        let kept = filter_record_batch(&batch, &keep).map_err(broken)?;
        let rows = kept.num_rows();
        Ok(Decoded {
            batch: whole(kept.columns().to_vec(), rows)?,
            bad,
            stop: None,
            text: None,
        })
    }
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
