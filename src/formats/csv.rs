//! CSV records to columns.

use super::decimals;
use super::infinite::{are_infinite, has_infinite};
use super::records::{
    BadQuote, NO_QUOTE, Rule, check_quotes, count_fields, count_lines, fit_fields, raw_fields, records,
    without_comments,
};
use super::{BOM, CsvFormat, Wanted, type_name};
use crate::error::{Error, Result, nearest};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, RecordBatch, Scalar, StringArray};
use datafusion::arrow::compute::kernels::cmp::eq;
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::{CastOptions, and, cast_with_options, is_null, nullif};
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use memchr::memmem;
use std::borrow::Cow;
use std::sync::Arc;

/// Decodes the records of one file, whose columns may stand in another order than the table's.
pub struct CsvCodec {
    /// The file's columns, in the file's order: those that are not wanted are text.
    file: SchemaRef,
    /// The wanted columns, in the table's order.
    columns: Vec<Wish>,
    format: CsvFormat,
}

/// A column that is wanted.
#[derive(Clone)]
struct Wish {
    /// Its place in the file.
    place: usize,
    name: String,
    to: DataType,
    /// It is decoded as text first: its NULLs or times have a form of their own, or its digits are rounded.
    by_text: bool,
}

impl CsvCodec {
    /// Errors: a column has a type that CSV cannot hold; a declared column is not in the header.
    pub fn new(format: &CsvFormat, wanted: &Wanted, header: Option<&[u8]>, source: &str) -> Result<Self> {
        wanted.schema.fields().iter().try_for_each(|field| check_type(field))?;
        let places = match header {
            Some(header) => header_places(format, &wanted.schema, header, source)?,
            None => (0..wanted.schema.fields().len()).map(Some).collect(),
        };
        let by_text = |field: &Field| {
            let to = field.data_type();
            !format.nulls_are_empty() || format.times.of(to).is_some() || to.is_decimal() || to == &DataType::Binary
        };
        let file_field = |(at, place): (usize, &Option<usize>)| match place.map(|i| wanted.schema.field(i)) {
            Some(field) if !by_text(field) => field.clone().with_nullable(true),
            _ => Field::new(format!("column_{}", at + 1), DataType::Utf8, true),
        };
        let mut fields: Vec<Field> = places.iter().enumerate().map(file_field).collect();
        if format.ragged && fields.len() == 1 {
            // Of one field that is empty, nothing would be left that is told from an empty line.
            fields.push(file_field((1, &None)));
        }
        let wish = |i: &usize| {
            let field = wanted.schema.field(*i);
            Some(Wish {
                place: places.iter().position(|p| p.as_ref() == Some(i))?,
                name: field.name().clone(),
                to: field.data_type().clone(),
                by_text: by_text(field),
            })
        };
        Ok(CsvCodec {
            file: Arc::new(Schema::new(fields)),
            columns: wanted.columns.iter().filter_map(wish).collect(),
            format: format.clone(),
        })
    }

    pub fn rule(&self) -> Rule {
        self.format.rule()
    }

    /// Whether a record is bad whatever its values are: a quote was lost, or it has not as many fields as there are
    /// columns. Told without decoding it.
    pub fn is_broken(&self, record: &[u8]) -> bool {
        let quoting = self.format.quoting();
        check_quotes(&quoting, record).is_err() || !self.format.ragged && !self.has_width(record)
    }

    fn has_width(&self, record: &[u8]) -> bool {
        count_fields(&self.format.quoting(), record) == self.file.fields().len()
    }

    /// The columns and the number of rows; empty lines and comments are left out.
    ///
    /// Errors: a value does not fit its column; a quote does not end where a field does, which the decoder takes for good.
    pub fn decode(&self, bytes: &[u8]) -> Result<(Vec<ArrayRef>, usize), ArrowError> {
        check_order(&self.format, bytes)?;
        let quoting = self.format.quoting();
        // The decoder knows comments that end with a line feed only, and takes one without line end for a record.
        let bytes = &without_comments(&quoting, bytes);
        if !self.format.ragged {
            return self.decode_fields(bytes);
        }
        // Where an empty field is no NULL, the decoder's own padding would be empty text.
        match self.decode_fields(bytes) {
            Ok(decoded) if self.format.nulls_are_empty() => Ok(decoded),
            _ => {
                let width = self.file.fields().len();
                self.decode_fields(&fit_fields(&quoting, bytes, width, &self.format.null_field()))
            }
        }
    }

    fn decode_fields(&self, bytes: &[u8]) -> Result<(Vec<ArrayRef>, usize), ArrowError> {
        let places = self.columns.iter().map(|wish| wish.place).collect();
        let batch = read(&self.format, self.file.clone(), places, bytes)?;
        let quoted = self.quoted_nulls(bytes);
        let typed = batch.columns().iter().zip(&self.columns).map(|(column, wish)| {
            if wish.by_text {
                let quoted = quoted.iter().filter(|(_, place)| *place == wish.place);
                let rows: Vec<usize> = quoted.map(|(row, _)| *row).collect();
                self.typed(column, &wish.to, &rows)
            } else {
                Ok(column.clone())
            }
        });
        let typed = typed.collect::<Result<Vec<_>, ArrowError>>()?;
        for (column, wish) in typed.iter().zip(&self.columns) {
            if has_infinite(column) {
                self.check_infinite(column, wish, bytes)?;
            }
        }
        Ok((typed, batch.num_rows()))
    }

    /// Errors: a number is taken for infinite that only has no room.
    fn check_infinite(&self, numbers: &ArrayRef, wish: &Wish, bytes: &[u8]) -> Result<(), ArrowError> {
        let text = |at| Field::new(format!("column_{}", at + 1), DataType::Utf8, true);
        let all = (0..self.file.fields().len()).map(text);
        let file = Arc::new(Schema::new(all.collect::<Vec<_>>()));
        let texts = read(&self.format, file, vec![wish.place], bytes)?;
        match are_infinite(numbers, texts.column(0)) {
            true => Ok(()),
            false => Err(ArrowError::ParseError("a number is too large".into())),
        }
    }

    /// The fields that hold what is NULL in quotes: record and place.
    fn quoted_nulls(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let fields: Vec<Vec<u8>> = self.format.bare_nulls().map(|null| self.format.quoted(null)).collect();
        if fields.iter().all(|field| memmem::find(bytes, field).is_none()) {
            return Vec::new();
        }
        let quoting = self.format.quoting();
        let records = records(self.rule(), bytes).into_iter().enumerate();
        let places = records.flat_map(|(row, record)| {
            let raw = raw_fields(&quoting, &bytes[record]).into_iter().enumerate();
            let quoted = raw.filter(|(_, raw)| fields.iter().any(|field| field == raw));
            quoted.map(move |(place, _)| (row, place)).collect::<Vec<_>>()
        });
        places.collect()
    }

    /// Text to the column's type, NULL where it says so, but for text in `quoted` rows. If an empty field is not said to
    /// be NULL, it is empty text, and NULL in any other type.
    fn typed(&self, text: &ArrayRef, to: &DataType, quoted: &[usize]) -> Result<ArrayRef, ArrowError> {
        let mut text = text.clone();
        if !self.format.nulls_are_empty() {
            if to == &DataType::Utf8 {
                let empty = Scalar::new(StringArray::from(vec![""]));
                text = zip(&is_null(&text)?, &empty, &text)?;
            }
            for null in &self.format.null_values {
                let null = Scalar::new(StringArray::from(vec![null.as_str()]));
                let mut is_null = eq(&text, &null)?;
                if to == &DataType::Utf8 && !quoted.is_empty() {
                    is_null = and(&is_null, &all_but(quoted, text.len()))?;
                }
                text = nullif(&text, &is_null)?;
            }
        }
        if self.format.times.of(to).is_some() {
            return self.format.times.read(&text, to);
        }
        if to.is_decimal() {
            return decimals::from_text(&text, to, &self.format.times);
        }
        if to == &DataType::Binary {
            return from_hex(&text);
        }
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(&text, to, &options)
    }

    /// Why a record is bad, in words.
    pub fn explain(&self, record: &[u8], required: &[usize]) -> String {
        match check_quotes(&self.format.quoting(), record) {
            Ok(()) => {}
            Err(BadQuote::Open) => return "not a CSV record: a quote does not end".into(),
            Err(BadQuote::Inside) => return "not a CSV record: a quote ends in the middle of a field".into(),
        }
        let expected = self.file.fields().len();
        if !self.format.ragged && !self.has_width(record) {
            let count = count_fields(&self.format.quoting(), record);
            let fields = if count == 1 { "field" } else { "fields" };
            let belong = if expected == 1 { "belongs" } else { "belong" };
            return format!("{count} {fields} where {expected} {belong}");
        }
        let Ok(values) = fields(&self.format, record) else {
            return "not a CSV record".into();
        };
        for (i, wish) in self.columns.iter().enumerate() {
            let alone = CsvCodec {
                file: self.file.clone(),
                columns: vec![wish.clone()],
                format: self.format.clone(),
            };
            match alone.decode(record) {
                Ok((columns, _)) if required.contains(&i) && columns.iter().any(|c| c.null_count() > 0) => {
                    return format!("column `{}` may not be NULL", wish.name);
                }
                Ok(_) => {}
                Err(_) => {
                    let value = values.get(wish.place).map_or("", String::as_str);
                    let form = self.format.times.of(&wish.to);
                    let form = form.map_or(String::new(), |form| format!(" as in '{}'", form.text));
                    return format!(
                        "column `{}`: \"{value}\" is no {}{form}",
                        wish.name,
                        type_name(&wish.to)
                    );
                }
            }
        }
        "not a CSV record".into()
    }
}

/// Bytes as they are written: two digits each, of 16.
fn from_hex(text: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    let bytes = |text: &str| text.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>();
    let wrong = || ArrowError::ParseError("bytes that are not written as such".into());
    let all = text.as_string::<i32>().iter();
    let all = all.map(|text| text.map(|text| bytes(text).ok_or_else(wrong)).transpose());
    Ok(Arc::new(all.collect::<Result<BinaryArray, ArrowError>>()?))
}

/// Errors: a quote was lost.
fn check_order(format: &CsvFormat, bytes: &[u8]) -> Result<(), ArrowError> {
    // That byte is a quote to the decoder, and in no text.
    if format.quote == NO_QUOTE && memchr::memchr(NO_QUOTE, bytes).is_some() {
        return Err(ArrowError::CsvError("the text is not UTF-8".into()));
    }
    let lost = |_| ArrowError::CsvError("a quote is lost".into());
    check_quotes(&format.quoting(), bytes).map_err(lost)
}

/// The fields of one record as text.
///
/// Errors: it is not UTF-8, holds no whole record, or has lost a quote.
pub fn fields(format: &CsvFormat, record: &[u8]) -> Result<Vec<String>, ArrowError> {
    check_order(format, record)?;
    let count = count_fields(&format.quoting(), record);
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
    // The decoder leaves out a byte order mark with which its bytes begin; that of the stream is gone by now, and another
    // is a character like any other.
    let bytes = match bytes.starts_with(BOM) {
        true => Cow::Owned([b"\n", bytes].concat()),
        false => Cow::Borrowed(bytes),
    };
    let rows = count_lines(&bytes) + 1;
    let projected = Arc::new(file.project(&columns)?);
    let mut decoder = ReaderBuilder::new(file)
        .with_format(format.reader())
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
    let names = fields(format, header).map_err(|e| {
        let why = match (header, std::str::from_utf8(header)) {
            ([b'P', b'A', b'R', b'1', ..], _) => "this is a Parquet file",
            (_, Err(_)) => "it is not UTF-8",
            _ => "a quote does not end, or ends in the middle of a field",
        };
        Error::data(format!("{source}:1: the header cannot be read: {why}")).because(e)
    })?;
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

/// True for all of so many rows but some, which ascend.
fn all_but(some: &[usize], rows: usize) -> BooleanArray {
    (0..rows).map(|row| Some(some.binary_search(&row).is_err())).collect()
}

/// Refuses a column that no field of CSV fills.
pub fn check_type(field: &Field) -> Result<()> {
    let what = type_name(field.data_type());
    match fits(field.data_type()) {
        true => Ok(()),
        false => Err(Error::refused(format!(
            "column `{}`: {what} cannot be read from CSV",
            field.name()
        ))),
    }
}

fn fits(data_type: &DataType) -> bool {
    let binary = matches!(
        data_type,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
    );
    let span = matches!(data_type, DataType::Interval(_) | DataType::Duration(_));
    !(data_type.is_nested() || binary || span)
}
