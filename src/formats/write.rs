//! Rows to bytes.

use super::csv_write::CsvWriter;
use super::{Format, TimeFormats, type_name};
use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::FileWriter;
use datafusion::arrow::json;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::parquet::arrow::ArrowWriter;
use std::io::{self, Write};
use std::sync::Arc;

/// RFC 3339 in UTC. Columns without a time zone hold UTC.
const RFC_3339: &str = "%Y-%m-%dT%H:%M:%S%.fZ";
const RFC_3339_ZONE: &str = "%Y-%m-%dT%H:%M:%S%.f%:z";

/// Writes batches in one of the formats. After an error nothing more can be written, and what was is not whole.
pub enum Encoder<W: Write + Send> {
    Csv(Box<CsvWriter<W>>),
    /// One object per line: NULL, NaN and the infinities are `null`.
    Json(json::Writer<W, LineDelimited>),
    /// The columns as they are stored, which may be other types than they were.
    Parquet(SchemaRef, Box<ArrowWriter<W>>),
    Arrow(Box<FileWriter<W>>),
}

impl<W: Write + Send> Encoder<W> {
    /// Begins a file (CSV: with its header, if the format has one).
    ///
    /// Errors: the format cannot be written; the bytes cannot be.
    pub fn new(format: &Format, schema: SchemaRef, output: W) -> Result<Self> {
        check_columns(format, &schema)?;
        match format {
            Format::Json(format) => {
                let mut builder = json::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .with_timestamp_format(RFC_3339.into())
                    .with_timestamp_tz_format(RFC_3339_ZONE.into());
                if let Some(own) = &format.times.timestamp {
                    builder = builder
                        .with_timestamp_format(own.text.clone())
                        .with_timestamp_tz_format(own.text.clone());
                }
                if let Some(own) = &format.times.date {
                    builder = builder.with_date_format(own.text.clone());
                }
                Ok(Encoder::Json(builder.build(output)))
            }
            Format::Csv(format) => {
                let mut writer = CsvWriter::new(format, output)?;
                writer.begin(schema).map_err(refused)?;
                Ok(Encoder::Csv(Box::new(writer)))
            }
            Format::Parquet => {
                let stored = Arc::new(Schema::new(stored_fields(schema.fields())));
                let writer = ArrowWriter::try_new(output, stored.clone(), None)
                    .map_err(|e| Error::refused("these columns cannot be written as Parquet").because(e))?;
                Ok(Encoder::Parquet(stored, Box::new(writer)))
            }
            Format::Arrow => {
                let writer = FileWriter::try_new(output, &schema)
                    .map_err(|e| Error::refused("these columns cannot be written as Arrow").because(e))?;
                Ok(Encoder::Arrow(Box::new(writer)))
            }
            Format::Text => Err(only_read()),
        }
    }

    /// Errors: a value cannot be written in this format, or the bytes cannot be.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Encoder::Csv(writer) => writer.write(batch).map_err(refused),
            Encoder::Json(writer) => writer.write(batch).map_err(refused),
            Encoder::Arrow(writer) => writer.write(batch).map_err(refused),
            Encoder::Parquet(stored, writer) => writer
                .write(&as_stored(batch, stored).map_err(refused)?)
                .map_err(|e| Error::connector(format!("the output cannot be written: {e}")).because(e)),
        }
    }

    /// What has been taken and waits to be written, in bytes.
    pub fn waiting_bytes(&self) -> usize {
        match self {
            Encoder::Parquet(_, writer) => writer.in_progress_size(),
            _ => 0,
        }
    }

    /// Ends the file and gives the output back.
    ///
    /// Errors: the bytes cannot be written.
    pub fn finish(self) -> Result<W> {
        match self {
            Encoder::Csv(writer) => Ok(writer.into_inner()),
            Encoder::Json(mut writer) => {
                writer.finish().map_err(refused)?;
                Ok(writer.into_inner())
            }
            Encoder::Arrow(writer) => writer.into_inner().map_err(refused),
            Encoder::Parquet(_, writer) => writer
                .into_inner()
                .map_err(|e| Error::connector(format!("the output cannot be written: {e}")).because(e)),
        }
    }
}

/// The columns as Parquet has them: it knows no whole seconds, and would store a mere number that others take for one.
fn stored_fields(fields: &Fields) -> Fields {
    let stored = |field: &Arc<Field>| field.as_ref().clone().with_data_type(stored_type(field.data_type()));
    fields.iter().map(stored).collect()
}

fn stored_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Date64 => DataType::Date32,
        DataType::List(item) => {
            let stored = stored_type(item.data_type());
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(stored)))
        }
        DataType::Struct(fields) => DataType::Struct(stored_fields(fields)),
        other => other.clone(),
    }
}

fn as_stored(batch: &RecordBatch, stored: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == stored {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().zip(stored.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    RecordBatch::try_new(stored.clone(), columns.collect::<Result<Vec<_>, _>>()?)
}

/// Refuses what a format cannot hold, before anything is written: writes a file without rows to nowhere.
pub fn check_writable(format: &Format, schema: &SchemaRef) -> Result<()> {
    let mut encoder = Encoder::new(format, schema.clone(), io::sink())?;
    encoder.write(&RecordBatch::new_empty(schema.clone()))?;
    encoder.finish().map(drop)
}

fn check_columns(format: &Format, schema: &SchemaRef) -> Result<()> {
    match format {
        Format::Json(json) => check_times(&json.times, schema),
        Format::Csv(csv) => {
            check_times(&csv.times, schema)?;
            schema.fields().iter().try_for_each(|field| check_flat(field))
        }
        Format::Parquet => schema.fields().iter().try_for_each(|field| check_spans(field)),
        Format::Arrow => Ok(()),
        Format::Text => Err(only_read()),
    }
}

fn only_read() -> Error {
    Error::refused("format 'text' can only be read: write 'csv' or 'json'")
}

/// A CSV has one value per field.
fn check_flat(field: &Field) -> Result<()> {
    let (name, data_type) = (field.name(), field.data_type());
    let instead = match data_type {
        DataType::Struct(inner) => {
            let first = inner.first().map_or("field", |inner| inner.name());
            format!("its fields, as in ({name}).{first}")
        }
        DataType::Map(_, _) => "one of its values".to_string(),
        other if other.is_nested() => format!("array_to_string({name}, ' ') AS {name}"),
        _ => return Ok(()),
    };
    Err(Error::refused(format!(
        "column `{name}` is {}, and a field of CSV holds one value: write {instead}, or the format 'json'",
        type_name(data_type)
    )))
}

/// Parquet has no INTERVAL of months, days and nanoseconds.
fn check_spans(field: &Field) -> Result<()> {
    if !holds_span(field.data_type()) {
        return Ok(());
    }
    let name = field.name();
    Err(Error::refused(format!(
        "column `{name}` is {}, and Parquet has no INTERVAL: write CAST({name} AS STRING) AS {name}, or the format 'arrow'",
        type_name(field.data_type())
    )))
}

fn holds_span(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(IntervalUnit::MonthDayNano) => true,
        DataType::Struct(inner) => inner.iter().any(|field| holds_span(field.data_type())),
        DataType::List(inner)
        | DataType::LargeList(inner)
        | DataType::FixedSizeList(inner, _)
        | DataType::Map(inner, _) => holds_span(inner.data_type()),
        _ => false,
    }
}

/// Refuses a format that asks of a column what it does not hold.
fn check_times(times: &TimeFormats, schema: &SchemaRef) -> Result<()> {
    for field in schema.fields() {
        let own = times.of(field.data_type());
        if let Some(own) = own.filter(|own| own.splits_seconds()) {
            let (name, text) = (field.name(), &own.text);
            return Err(Error::refused(format!(
                "column `{name}` cannot be written as '{text}', which is another number before 1970: write \
                 date_part('epoch', {name}), or the format '%s'"
            )));
        }
        let (zone, time) = match field.data_type() {
            DataType::Timestamp(_, zone) => (zone.is_some(), true),
            _ => (false, false),
        };
        let Some(own) = own.filter(|own| !own.can_write(time, zone)) else {
            continue;
        };
        let lacks = if time { "a time zone" } else { "a time of day" };
        return Err(Error::refused(format!(
            "column `{}` is {} and cannot be written as '{}', which asks for {lacks}",
            field.name(),
            type_name(field.data_type()),
            own.text
        )));
    }
    Ok(())
}

/// An error while writing text: of the disk, or of a type that the format has no form for.
fn refused(error: ArrowError) -> Error {
    match &error {
        ArrowError::IoError(_, io) => Error::connector(format!("the output cannot be written: {io}")).because(error),
        ArrowError::ExternalError(_) => Error::connector("the output cannot be written").because(error),
        ArrowError::InvalidArgumentError(message) => Error::data(message.clone()),
        _ => Error::refused("a column has a type that this format cannot hold: CAST it to STRING, or write 'parquet'")
            .because(error),
    }
}
