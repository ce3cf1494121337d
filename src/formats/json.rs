//! JSON lines to columns.

use super::decimals;
use super::infinite::{are_infinite, has_infinite};
use super::json_text;
use super::records::{Rule, count_lines, is_blank, line_length};
use super::strict;
use super::whole::WholeNumbers;
use super::{JsonFormat, shorten, type_name};
use crate::error::{Error, Result};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::ReaderBuilder;
use datafusion::arrow::json::reader::Decoder;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Decodes lines that hold one object each. Keys match exactly; a missing key is NULL, an unknown one is passed over.
pub struct JsonCodec {
    /// The wanted columns, all nullable: what may not be NULL is for the caller to check.
    schema: SchemaRef,
    /// The same as they are decoded: text where times have a form of their own, and for DECIMALs.
    decoded: SchemaRef,
    format: JsonFormat,
    /// The columns in which a fraction is a fault.
    whole: Option<WholeNumbers>,
    /// A struct of the columns that are or hold text, in which an object or array counts as its JSON text.
    text_columns: DataType,
    /// What is no string was seen in text: the next block tries first what takes it. Changes the way, never the rows.
    loose_text: AtomicBool,
    /// The same of objects and arrays.
    nested_text: AtomicBool,
}

impl JsonCodec {
    /// Errors: a column has a type that JSON cannot hold.
    pub fn new(projected: SchemaRef, format: &JsonFormat) -> Result<Self> {
        let fields: Vec<Field> = projected
            .fields()
            .iter()
            .map(|f| f.as_ref().clone().with_nullable(true))
            .collect();
        fields.iter().try_for_each(check_type)?;
        let texts = fields.iter().filter(|f| json_text::holds_text(f.data_type()));
        let text_columns = DataType::Struct(texts.cloned().collect());
        let decoded = |f: &Field| {
            f.clone()
                .with_data_type(decimals::as_text(f.data_type(), &format.times))
        };
        let decoded = Schema::new(fields.iter().map(decoded).collect::<Vec<_>>());
        // What is decoded as text before it becomes something else may be a number.
        let numbers_as_text = *decoded.fields() != Fields::from(fields.clone());
        Ok(JsonCodec {
            whole: WholeNumbers::of(&decoded),
            text_columns,
            decoded: Arc::new(decoded),
            schema: Arc::new(Schema::new(fields)),
            format: format.clone(),
            loose_text: AtomicBool::new(numbers_as_text),
            nested_text: AtomicBool::new(false),
        })
    }

    /// The columns and the number of rows; blank lines are left out.
    pub fn decode(&self, bytes: &[u8]) -> Result<(Vec<ArrayRef>, usize), ArrowError> {
        strict::check(bytes)?;
        let (columns, rows) = self.decode_objects(bytes)?;
        self.check_infinite(&columns, bytes)?;
        let columns = columns.iter().zip(self.schema.fields());
        let typed = columns.map(|(column, field)| decimals::from_text(column, field.data_type(), &self.format.times));
        Ok((typed.collect::<Result<_, _>>()?, rows))
    }

    /// Errors: a number is taken for infinite that only has no room.
    fn check_infinite(&self, columns: &[ArrayRef], bytes: &[u8]) -> Result<(), ArrowError> {
        for (at, column) in columns.iter().enumerate().filter(|(_, column)| has_infinite(column)) {
            let text = self.decoded.field(at).clone().with_data_type(DataType::Utf8);
            let (texts, _) = decode_lines(&Arc::new(Schema::new(vec![text])), bytes, Text::Anything)?;
            if !are_infinite(column, &texts[0]) {
                return Err(ArrowError::JsonError("a number is too large".into()));
            }
        }
        Ok(())
    }

    fn decode_objects(&self, bytes: &[u8]) -> Result<(Vec<ArrayRef>, usize), ArrowError> {
        if let Some(whole) = &self.whole {
            whole.check(bytes)?;
        }
        let (loose, nested) = (
            self.loose_text.load(Ordering::Relaxed),
            self.nested_text.load(Ordering::Relaxed),
        );
        let has_text = json_text::holds_text(&self.text_columns);
        if !loose && !nested {
            match decode_lines(&self.decoded, bytes, Text::Strings) {
                Ok(rows) => return Ok(rows),
                Err(error) if !has_text => return Err(error),
                Err(_) => {}
            }
        }
        // The decoder takes for a number whatever consists of the characters of numbers.
        if has_text {
            strict::check_numbers(bytes, &self.text_columns)?;
        }
        if !nested && let Ok(rows) = decode_lines(&self.decoded, bytes, Text::Anything) {
            self.loose_text.store(true, Ordering::Relaxed);
            return Ok(rows);
        }
        let quoted = json_text::quote_nested(bytes, &self.text_columns);
        let rows = decode_lines(&self.decoded, quoted.as_deref().unwrap_or(bytes), Text::Anything)?;
        self.nested_text.store(quoted.is_some(), Ordering::Relaxed);
        Ok(rows)
    }

    /// Why a record is bad, in words.
    pub fn explain(&self, record: &[u8], required: &[usize]) -> String {
        let text = record.trim_ascii();
        if text.starts_with(b"[") {
            return "not a JSON object but a list: one object per line is read".into();
        }
        if !text.starts_with(b"{") {
            return "not a JSON object".into();
        }
        if let Some(fault) = strict::fault(text) {
            return format!("broken JSON: {fault}");
        }
        match decode_lines(&Arc::new(Schema::empty()), record, Text::Strings) {
            Err(ArrowError::JsonError(detail)) => return format!("broken JSON: {}", soften(&detail)),
            Err(_) => return "not a JSON object".into(),
            Ok(_) => {}
        }
        if let Some(number) = strict::bad_number(text, &self.text_columns) {
            return format!("broken JSON: {} is no number", shorten(number));
        }
        let found = json_text::fields(text).unwrap_or_default();
        for (i, field) in self.schema.fields().iter().enumerate() {
            let name = field.name();
            let value = found.iter().rev().find(|f| &text[f.key.clone()] == name.as_bytes());
            let only = Schema::new(vec![field.as_ref().clone()]);
            let alone = JsonCodec::new(Arc::new(only), &self.format).map(|codec| codec.decode(record));
            match (alone, value) {
                (Ok(Ok((columns, _))), _) if required.contains(&i) && columns.iter().any(|c| c.null_count() > 0) => {
                    return format!("column `{name}` may not be NULL");
                }
                (Ok(Ok(_)), _) => {}
                (_, Some(value)) => {
                    let shown = shorten(&text[value.value.clone()]);
                    let form = self.format.times.of(field.data_type());
                    let form = form.map_or(String::new(), |form| format!(" as in '{}'", form.text));
                    return format!("column `{name}`: {shown} is no {}{form}", type_name(field.data_type()));
                }
                (_, None) => return format!("column `{name}` cannot be read"),
            }
        }
        "not a JSON object".into()
    }
}

/// What stands where text belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Strings,
    /// Also numbers, true and false.
    Anything,
}

/// Decodes line by line into one batch, so that no record can reach into the next line.
fn decode_lines(schema: &SchemaRef, bytes: &[u8], text: Text) -> Result<(Vec<ArrayRef>, usize), ArrowError> {
    let mut decoder = decoder(schema.clone(), count_lines(bytes) + 1, text)?;
    let mut rest = bytes;
    let mut rows = 0;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(line_length(rest));
        rest = after;
        let used = decoder.decode(line)?;
        if decoder.has_partial_record() {
            return Err(ArrowError::JsonError("the object does not end".into()));
        }
        let blank = decoder.len() == rows;
        if used < line.len() || decoder.len() > rows + 1 || (blank && !is_blank(Rule::Lines, line)) {
            return Err(ArrowError::JsonError("more than one object on the line".into()));
        }
        rows = decoder.len();
    }
    let columns = decoder.flush()?.map(|batch| batch.columns().to_vec());
    let none = || {
        schema
            .fields()
            .iter()
            .map(|f| datafusion::arrow::array::new_empty_array(f.data_type()))
            .collect()
    };
    Ok((columns.unwrap_or_else(none), rows))
}

/// Refuses a column that no value of JSON fills.
pub fn check_type(field: &Field) -> Result<()> {
    let unreadable = |e| {
        let what = type_name(field.data_type());
        Error::refused(format!("column `{}`: {what} cannot be read from JSON", field.name())).because(e)
    };
    let only = Arc::new(Schema::new(vec![field.clone()]));
    decoder(only, 1, Text::Strings).map(drop).map_err(unreadable)
}

fn decoder(schema: SchemaRef, rows: usize, text: Text) -> Result<Decoder, ArrowError> {
    ReaderBuilder::new(schema)
        .with_batch_size(rows)
        .with_coerce_primitive(text == Text::Anything)
        .build_decoder()
}

/// The decoder's own words, without its jargon.
fn soften(detail: &str) -> String {
    detail
        .replace("Encountered unexpected", "unexpected")
        .replace("Truncated record whilst reading", "it ends within a")
        .replace("whilst parsing", "in a")
}
