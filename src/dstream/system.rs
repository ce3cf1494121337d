//! Relations that the engine itself fills: `late_rows('query')` and `dead_letters('source')`.

use super::table::{Column, TableSpec};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use std::collections::BTreeMap;

/// The function that reads the rows that were late for all windows of a query.
pub const LATE_ROWS: &str = "late_rows";
/// The function that reads the records of a source that could not be decoded.
pub const DEAD_LETTERS: &str = "dead_letters";
/// The option under which the relation remembers whose rows it gives.
pub const OF: &str = "of";

/// The columns that `late_rows` adds behind the row's own.
pub fn late_fields(unit: TimeUnit) -> Vec<Field> {
    ["late_window_start", "late_window_end", "late_watermark"]
        .map(|name| Field::new(name, DataType::Timestamp(unit, None), true))
        .into()
}

/// The columns of `dead_letters`.
pub fn dead_letter_fields() -> Vec<Field> {
    vec![
        Field::new("source", DataType::Utf8, false),
        Field::new("split", DataType::Utf8, false),
        Field::new("byte_offset", DataType::UInt64, false),
        Field::new("line", DataType::UInt64, false),
        Field::new("bytes", DataType::Binary, false),
        Field::new("message", DataType::Utf8, false),
    ]
}

/// `late_rows('query')`: the columns of the source, computed ones too, then the windows missed and the watermark.
pub fn late_rows(query: &str, source: SchemaRef, unit: TimeUnit) -> TableSpec {
    let own = source.fields().iter().map(|f| f.as_ref().clone());
    relation(LATE_ROWS, query, own.chain(late_fields(unit)).collect())
}

/// `dead_letters('source')`.
pub fn dead_letters(source: &str) -> TableSpec {
    relation(DEAD_LETTERS, source, dead_letter_fields())
}

fn relation(function: &str, of: &str, fields: Vec<Field>) -> TableSpec {
    let column = |field: Field| Column {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        nullable: true,
        declared: false,
        computed: None,
    };
    TableSpec {
        name: format!("{function}('{of}')"),
        columns: fields.into_iter().map(column).collect(),
        primary_key: Vec::new(),
        watermark: None,
        connector: Some(function.to_string()),
        options: BTreeMap::from([(OF.to_string(), of.to_string())]),
        is_static: true,
        definition: String::new(),
    }
}
