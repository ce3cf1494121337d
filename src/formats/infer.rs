//! The columns of a table that was declared without any, from the first records of its data.

use super::blocks::BlockReader;
use super::csv::{CsvCodec, fields};
use super::json_text;
use super::records::{check_quotes, is_blank, line_length, records};
use super::{CsvFormat, Format, Wanted};
use crate::error::{Error, Result};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit, TimestampNanosecondType};
use datafusion::arrow::json::ReaderBuilder;
use datafusion::arrow::json::reader::infer_json_schema;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// How many records are looked at.
const SAMPLE_RECORDS: usize = 1000;

/// How long `2024-01-01` is.
const DATE_BYTES: usize = 10;

/// The columns of a stream of text. Reads its first block; `source` is for messages.
///
/// Errors: the stream cannot be read, is empty, or no record of the sample can be understood.
pub fn infer_text(format: &Format, reader: &mut BlockReader, source: &str) -> Result<SchemaRef> {
    if format == &Format::Text {
        return Ok(Arc::new(Schema::new(vec![Field::new("line", DataType::Utf8, true)])));
    }
    let unreadable = |e: std::io::Error| Error::connector(format!("{source}: {e}")).because(e);
    reader.skip_lines(format.skip_lines()).map_err(unreadable)?;
    let block = reader
        .next_block()
        .map_err(unreadable)?
        .ok_or_else(|| Error::connector(format!("{source} is empty: declare the columns of the table")))?;
    match format {
        Format::Csv(csv) => csv_columns(csv, &block.bytes, source),
        _ => json_columns(&block.bytes, source),
    }
}

/// The columns of JSON lines, in the order in which their keys first appear. Lines that are no objects are passed over.
///
/// Errors: there is no object among the first thousand lines.
pub fn json_columns(bytes: &[u8], source: &str) -> Result<SchemaRef> {
    let mut sample = Vec::new();
    let mut keys: Vec<&[u8]> = Vec::new();
    let mut rest = bytes;
    for _ in 0..SAMPLE_RECORDS {
        let (line, after) = rest.split_at(line_length(rest));
        rest = after;
        let Some(fields) = json_text::fields(line).filter(|_| infer_json_schema(line, None).is_ok()) else {
            continue;
        };
        for field in fields {
            let key = &line[field.key];
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        sample.extend_from_slice(line);
        sample.push(b'\n');
    }
    let unknown = || {
        let what = match bytes.trim_ascii_start().first() {
            Some(b'[') => "it is one list, and one object per line is read: write each element on a line of its own",
            Some(b'{') => "its first line is no whole object, and one object per line is read",
            _ => "no JSON object in its first lines: declare the columns",
        };
        Error::data(format!("{source}: {what}"))
    };
    if keys.is_empty() {
        return Err(unknown());
    }
    let mut fields: Vec<Field> = match infer_json_schema(sample.as_slice(), None) {
        Ok((schema, _)) => schema.fields().iter().map(|f| settle(f)).collect(),
        Err(_) => keys.iter().filter_map(|key| json_field(&sample, key)).collect(),
    };
    if fields.is_empty() {
        return Err(unknown());
    }
    let rank = |f: &Field| {
        keys.iter()
            .position(|k| *k == f.name().as_bytes())
            .unwrap_or(usize::MAX)
    };
    fields.sort_by_key(|f| (rank(f), f.name().clone()));
    let fields = fields
        .into_iter()
        .map(|field| time_field(exact_field(field, &sample), &sample))
        .collect::<Vec<_>>();
    Ok(Arc::new(Schema::new(fields)))
}

/// The values of a key, as they stand there.
fn json_values<'a>(sample: &'a [u8], key: &[u8]) -> Vec<&'a [u8]> {
    let lines = sample.split(|b| *b == b'\n');
    let of_line = |line: &'a [u8]| {
        let fields = json_text::fields(line).unwrap_or_default().into_iter();
        fields.map(move |field| (&line[field.key], &line[field.value]))
    };
    let values = lines.flat_map(of_line).filter(|(own, _)| *own == key);
    values.map(|(_, value)| value).collect()
}

/// Whole numbers that a DOUBLE has no digits for: BIGINT UNSIGNED if that holds them all, else text.
fn exact_field(field: Field, sample: &[u8]) -> Field {
    if field.data_type() != &DataType::Float64 {
        return field;
    }
    let values = json_values(sample, field.name().as_bytes());
    let texts = values.iter().filter_map(|value| std::str::from_utf8(value).ok());
    let numbers: Vec<&str> = texts.filter(|text| *text != "null").collect();
    let is_whole = |text: &&str| text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
    if !numbers.iter().all(is_whole) {
        return field;
    }
    let unsigned = numbers.iter().all(|text| text.parse::<u64>().is_ok());
    field.with_data_type(if unsigned { DataType::UInt64 } else { DataType::Utf8 })
}

/// A column by its values alone: text, in which an object counts as its JSON, when no type holds them all.
fn json_field(sample: &[u8], key: &[u8]) -> Option<Field> {
    let name = String::from_utf8(key.to_vec()).ok()?;
    let values = json_values(sample, key).into_iter();
    let values: Vec<u8> = values
        .flat_map(|value| [b"{\"value\":", value, b"}\n"].concat())
        .collect();
    let inferred = infer_json_schema(values.as_slice(), None);
    let data_type = inferred.map_or(DataType::Utf8, |(schema, _)| {
        settle(schema.field(0)).data_type().clone()
    });
    Some(Field::new(name, data_type, true))
}

/// A field with nested fields in the order of their names (the sample has none), and text where only NULL was seen.
fn settle(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Null => DataType::Utf8,
        DataType::List(item) => DataType::List(Arc::new(settle(item))),
        DataType::Struct(inner) => {
            let mut inner: Vec<Field> = inner.iter().map(|f| settle(f)).collect();
            inner.sort_by(|a, b| a.name().cmp(b.name()));
            DataType::Struct(Fields::from(inner))
        }
        other => other.clone(),
    };
    Field::new(field.name(), data_type, true)
}

/// A text field as a time, if every value of the sample reads as one.
fn time_field(field: Field, sample: &[u8]) -> Field {
    if field.data_type() != &DataType::Utf8 {
        return field;
    }
    let only = Arc::new(Schema::new(vec![field.clone()]));
    let decoded = ReaderBuilder::new(only)
        .with_coerce_primitive(true)
        .with_batch_size(SAMPLE_RECORDS)
        .build(sample)
        .ok()
        .and_then(|mut reader| reader.next()?.ok());
    match decoded.and_then(|batch| time_type(batch.column(0))) {
        Some(data_type) => field.with_data_type(data_type),
        None => field,
    }
}

/// DATE where all values are dates alone; else milliseconds, or nanoseconds where the values need them; `None` when they
/// are not times.
fn time_type(values: &ArrayRef) -> Option<DataType> {
    if values.null_count() == values.len() {
        return None;
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let are_short = values
        .as_string::<i32>()
        .iter()
        .flatten()
        .all(|text| text.len() == DATE_BYTES);
    if are_short && cast_with_options(values, &DataType::Date32, &options).is_ok() {
        return Some(DataType::Date32);
    }
    let times = cast_with_options(values, &DataType::Timestamp(TimeUnit::Nanosecond, None), &options).ok()?;
    let whole = times
        .as_primitive::<TimestampNanosecondType>()
        .iter()
        .flatten()
        .all(|t| t % 1_000_000 == 0);
    let unit = match whole {
        true => TimeUnit::Millisecond,
        false => TimeUnit::Nanosecond,
    };
    Some(DataType::Timestamp(unit, None))
}

fn csv_columns(format: &CsvFormat, bytes: &[u8], source: &str) -> Result<SchemaRef> {
    // A record that is not UTF-8, or has lost a quote, is for the reader to report.
    let rule = format.rule();
    let is_good = |record: &&[u8]| {
        let in_order = check_quotes(&format.quoting(), record).is_ok();
        in_order && std::str::from_utf8(record).is_ok() && !is_blank(rule, record)
    };
    let sample: Vec<u8> = records(rule, bytes)
        .into_iter()
        .take(SAMPLE_RECORDS + 1)
        .map(|range| &bytes[range])
        .filter(is_good)
        .flat_map(|record| {
            record
                .strip_suffix(b"\n")
                .unwrap_or(record)
                .iter()
                .chain(b"\n")
                .copied()
        })
        .collect();
    let sample = if format.nulls_are_empty() {
        sample
    } else {
        without_nulls(format, &sample)
    };
    let (schema, _) = format
        .reader()
        .with_header(format.header)
        .with_truncated_rows(true)
        .infer_schema(sample.as_slice(), Some(SAMPLE_RECORDS))
        .map_err(|e| Error::data(format!("{source}: its columns cannot be told: declare them")).because(e))?;
    let settled = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Null => DataType::Utf8,
            DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Nanosecond, None),
            other => other.clone(),
        };
        Field::new(field.name().trim(), data_type, true)
    });
    let mut settled: Vec<Field> = settled.collect();
    let twice = |(at, field): &(usize, &Field)| settled[..*at].iter().any(|other| other.name() == field.name());
    if let Some((_, field)) = settled.iter().enumerate().find(twice) {
        let name = field.name();
        return Err(Error::data(format!(
            "{source}: its header has two columns called `{name}`: declare the columns that you read (the first `{name}` is)"
        )));
    }
    let rows: Vec<Vec<String>> = records(rule, &sample)
        .into_iter()
        .skip(usize::from(format.header))
        .filter_map(|range| fields(format, &sample[range]).ok())
        .collect();
    own_times(format, &rows, &mut settled);
    keep_zeros(&rows, &mut settled);
    Ok(Arc::new(Schema::new(readable(format, &sample, settled, source))))
}

/// Makes text of the columns of numbers in which some begin with a zero that a number would lose: 01234 is a code.
fn keep_zeros(rows: &[Vec<String>], columns: &mut [Field]) {
    let is_code = |value: &String| {
        let digits = value.trim_start_matches(['-', '+']).as_bytes();
        matches!(digits, [b'0', next, ..] if next.is_ascii_digit())
    };
    for (at, column) in columns.iter_mut().enumerate() {
        if column.data_type().is_numeric() && rows.iter().filter_map(|row| row.get(at)).any(is_code) {
            *column = column.clone().with_data_type(DataType::Utf8);
        }
    }
}

/// The columns, as text where the sample itself could not be read as what was guessed: digits of other scripts, times
/// too far away, hours beyond 24.
fn readable(format: &CsvFormat, sample: &[u8], columns: Vec<Field>, source: &str) -> Vec<Field> {
    let schema = Arc::new(Schema::new(columns));
    let mut found: Vec<&[u8]> = records(format.rule(), sample)
        .into_iter()
        .map(|range| &sample[range])
        .collect();
    let header = (format.header && !found.is_empty()).then(|| found.remove(0));
    let can_read = |at: usize| {
        let wanted = Wanted {
            schema: schema.clone(),
            columns: vec![at],
            key: Vec::new(),
            text: false,
        };
        let Ok(codec) = CsvCodec::new(format, &wanted, header, source) else {
            return false;
        };
        let whole: Vec<&[u8]> = found
            .iter()
            .copied()
            .filter(|record| !codec.is_broken(record))
            .collect();
        let read = catch_unwind(AssertUnwindSafe(|| codec.decode(&whole.concat())));
        matches!(read, Ok(Ok(_)))
    };
    let settled = schema.fields().iter().enumerate().map(|(at, field)| {
        let field = field.as_ref().clone();
        match field.data_type() == &DataType::Utf8 || can_read(at) {
            true => field,
            false => field.with_data_type(DataType::Utf8),
        }
    });
    settled.collect()
}

/// The records of a sample with empty fields where the format says NULL.
fn without_nulls(format: &CsvFormat, sample: &[u8]) -> Vec<u8> {
    let mut cleared = Vec::with_capacity(sample.len());
    for range in records(format.rule(), sample) {
        let record = &sample[range];
        let Ok(found) = fields(format, record) else {
            cleared.extend_from_slice(record);
            continue;
        };
        for (at, field) in found.iter().enumerate() {
            if at > 0 {
                cleared.push(format.delimiter);
            }
            if !format.null_values.contains(field) {
                cleared.extend(format.quoted(field));
            }
        }
        cleared.push(b'\n');
    }
    cleared
}

/// Makes times of the text columns whose values all have the format that was given for times.
fn own_times(format: &CsvFormat, rows: &[Vec<String>], columns: &mut [Field]) {
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    for (at, column) in columns.iter_mut().enumerate() {
        let values = || {
            rows.iter()
                .filter_map(|row| row.get(at))
                .filter(|value| !value.is_empty())
        };
        for data_type in [&millis, &DataType::Date32] {
            let Some(own) = format.times.of(data_type).filter(|_| values().next().is_some()) else {
                continue;
            };
            if values().all(|value| own.fits(value, data_type)) {
                *column = column.clone().with_data_type(data_type.clone());
                break;
            }
        }
    }
}
