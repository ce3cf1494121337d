//! CSV records to columns.

use super::records::{Rule, count_fields, count_lines};
use super::{CsvFormat, Wanted, type_name};
use crate::error::{Error, Result, nearest};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, Scalar, StringArray};
use datafusion::arrow::compute::kernels::cmp::eq;
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::{CastOptions, cast_with_options, is_null, nullif};
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use std::sync::Arc;

/// Decodes the records of one file, whose columns may stand in another order than the table's.
pub struct CsvCodec {
    /// The file's columns, in the file's order: those that are not wanted are text.
    file: SchemaRef,
    /// The wanted columns as places in `file`, in the table's order.
    columns: Vec<usize>,
    /// Their names in the table.
    names: Vec<String>,
    format: CsvFormat,
    /// The types of `columns` when `null_value` is set: the file is then decoded as text first.
    cast_to: Option<Vec<DataType>>,
}

impl CsvCodec {
    /// Errors: a column has a type that CSV cannot hold; a declared column is not in the header.
    pub fn new(format: &CsvFormat, wanted: &Wanted, header: Option<&[u8]>, source: &str) -> Result<Self> {
        if let Some(field) = wanted.schema.fields().iter().find(|f| !fits(f.data_type())) {
            let what = type_name(field.data_type());
            return Err(Error::refused(format!(
                "column `{}`: {what} cannot be read from CSV",
                field.name()
            )));
        }
        let places = match header {
            Some(header) => header_places(format, &wanted.schema, header, source)?,
            None => (0..wanted.schema.fields().len()).map(Some).collect(),
        };
        let types = wanted
            .columns
            .iter()
            .map(|&i| wanted.schema.field(i).data_type().clone())
            .collect();
        let cast_to: Option<Vec<DataType>> = (!format.null_value.is_empty()).then_some(types);
        let file_field = |(at, place): (usize, &Option<usize>)| match place {
            Some(i) if cast_to.is_none() => wanted.schema.field(*i).clone().with_nullable(true),
            _ => Field::new(format!("column_{}", at + 1), DataType::Utf8, true),
        };
        let fields: Vec<Field> = places.iter().enumerate().map(file_field).collect();
        let place_of = |i: &usize| places.iter().position(|p| p.as_ref() == Some(i));
        Ok(CsvCodec {
            file: Arc::new(Schema::new(fields)),
            columns: wanted.columns.iter().filter_map(place_of).collect(),
            names: wanted
                .columns
                .iter()
                .map(|&i| wanted.schema.field(i).name().clone())
                .collect(),
            format: format.clone(),
            cast_to,
        })
    }

    pub fn rule(&self) -> Rule {
        self.format.rule()
    }

    /// The columns and the number of rows; empty lines are left out.
    pub fn decode(&self, bytes: &[u8]) -> Result<(Vec<ArrayRef>, usize), ArrowError> {
        let batch = read(&self.format, self.file.clone(), self.columns.clone(), bytes)?;
        let rows = batch.num_rows();
        let Some(types) = &self.cast_to else {
            return Ok((batch.columns().to_vec(), rows));
        };
        let null = Scalar::new(StringArray::from(vec![self.format.null_value.as_str()]));
        let typed = batch
            .columns()
            .iter()
            .zip(types)
            .map(|(text, to)| self.cast(text, &null, to));
        Ok((typed.collect::<Result<_, ArrowError>>()?, rows))
    }

    /// Text to the column's type, `null_value` being NULL. An empty field is empty text, and NULL in any other type.
    fn cast(&self, text: &ArrayRef, null: &Scalar<StringArray>, to: &DataType) -> Result<ArrayRef, ArrowError> {
        let empty = Scalar::new(StringArray::from(vec![""]));
        let text = if to == &DataType::Utf8 {
            zip(&is_null(text)?, &empty, text)?
        } else {
            text.clone()
        };
        let text = nullif(&text, &eq(&text, null)?)?;
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(&text, to, &options)
    }

    /// Why a record is bad, in words.
    pub fn explain(&self, record: &[u8], required: &[usize]) -> String {
        let expected = self.file.fields().len();
        let values = match fields(&self.format, record) {
            Ok(values) if values.len() == expected => values,
            Ok(values) => return format!("{} fields where {expected} belong", values.len()),
            Err(_) => return "not a CSV record: a quote does not end".into(),
        };
        for (i, &place) in self.columns.iter().enumerate() {
            let alone = CsvCodec {
                file: self.file.clone(),
                columns: vec![place],
                names: Vec::new(),
                format: self.format.clone(),
                cast_to: self.cast_to.as_ref().map(|types| vec![types[i].clone()]),
            };
            let to = self
                .cast_to
                .as_ref()
                .map_or(self.file.field(place).data_type(), |types| &types[i]);
            match alone.decode(record) {
                Ok((columns, _)) if required.contains(&i) && columns.iter().any(|c| c.null_count() > 0) => {
                    return format!("column `{}` may not be NULL", self.names[i]);
                }
                Ok(_) => {}
                Err(_) => {
                    return format!(
                        "column `{}`: \"{}\" is no {}",
                        self.names[i],
                        values[place],
                        type_name(to)
                    );
                }
            }
        }
        "not a CSV record".into()
    }
}

/// The fields of one record as text.
///
/// Errors: it is not UTF-8, or holds no whole record.
pub fn fields(format: &CsvFormat, record: &[u8]) -> Result<Vec<String>, ArrowError> {
    let count = count_fields(format.delimiter, record);
    let text = |i: usize| Field::new(i.to_string(), DataType::Utf8, true);
    let schema = Arc::new(Schema::new((0..count).map(text).collect::<Vec<_>>()));
    let batch = read(format, schema, (0..count).collect(), record)?;
    let value = |column: &ArrayRef| {
        column
            .as_string::<i32>()
            .iter()
            .next()
            .flatten()
            .unwrap_or("")
            .to_string()
    };
    Ok(batch.columns().iter().map(value).collect())
}

fn read(format: &CsvFormat, file: SchemaRef, columns: Vec<usize>, bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let rows = count_lines(bytes) + 1;
    let projected = Arc::new(file.project(&columns)?);
    let mut decoder = ReaderBuilder::new(file)
        .with_delimiter(format.delimiter)
        .with_projection(columns)
        .with_batch_size(rows)
        .build_decoder();
    let mut used = 0;
    // The last, empty call ends a record without line feed.
    while used < bytes.len() {
        match decoder.decode(&bytes[used..])? {
            0 => break,
            more => used += more,
        }
    }
    decoder.decode(&[])?;
    Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(projected)))
}

/// For each column of the file the declared column of that name.
fn header_places(format: &CsvFormat, schema: &SchemaRef, header: &[u8], source: &str) -> Result<Vec<Option<usize>>> {
    let names =
        fields(format, header).map_err(|e| Error::data(format!("{source}:1: the header cannot be read")).because(e))?;
    let names: Vec<&str> = names.iter().map(|n| n.trim()).collect();
    for field in schema.fields() {
        if !names.contains(&field.name().as_str()) {
            let mut message = format!(
                "{source}: column `{}` is not in the header, which has: {}",
                field.name(),
                names.join(", ")
            );
            if let Some(best) = nearest(field.name(), names.iter().copied()).first() {
                message.push_str(&format!("; did you mean `{best}`?"));
            }
            return Err(Error::connector(message));
        }
    }
    let declared = |name: &&str| schema.fields().iter().position(|f| f.name() == name);
    Ok(names.iter().map(declared).collect())
}

fn fits(data_type: &DataType) -> bool {
    let binary = matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
    );
    let span = matches!(data_type, DataType::Interval(_) | DataType::Duration(_));
    !(data_type.is_nested() || binary || span)
}
