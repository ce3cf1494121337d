//! Relations as data: what CREATE said, and the option tables that connectors give.
//!
//! Both halves meet here: `sql` and `catalog` fill a [`TableSpec`], `connectors` opens it, and the
//! [`ConnectorSpec`]s that connectors publish are what `catalog` checks `WITH (…)` against.

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::logical_expr::Expr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A table, source or sink as declared: columns, event time, connector and options.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// Normalised name (lower case unless it was quoted).
    pub name: String,
    pub columns: Vec<Column>,
    /// Indices into `columns`. A NULL in one of them is a bad record.
    pub primary_key: Vec<usize>,
    pub watermark: Option<Watermark>,
    /// `None`: an in-memory stream.
    pub connector: Option<String>,
    /// Options of `WITH (…)` by name, checked against the [`ConnectorSpec`], without `connector`.
    pub options: BTreeMap<String, String>,
    /// `CREATE EXTERNAL TABLE`: static data, read once, joined by look-up.
    pub is_static: bool,
    /// The statement, as `SHOW CREATE TABLE` prints it.
    pub definition: String,
}

/// One column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
    /// The column list says so: a NULL where none may be is a bad record. What data says of itself holds anyway.
    pub declared: bool,
    /// `c AS expr`: computed from the physical columns (an expression over [`TableSpec::physical_schema`]).
    pub computed: Option<Expr>,
}

/// `WATERMARK FOR column AS column - delay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// Index into [`TableSpec::columns`].
    pub column: usize,
    /// In nanoseconds, whatever the unit of the column; a watermark is rounded down to that unit.
    pub delay_ns: i64,
}

impl Column {
    /// A column that the connector gives.
    pub fn physical(field: &Field) -> Column {
        Column {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            nullable: field.is_nullable(),
            declared: false,
            computed: None,
        }
    }
}

impl TableSpec {
    /// Whether an option that is true or false is set to true.
    pub fn is_on(&self, option: &str) -> bool {
        self.options.get(option).is_some_and(|value| value == "true")
    }

    /// The path as it was written; empty where there is none.
    pub fn path(&self) -> &str {
        self.options.get("path").map_or("", String::as_str)
    }

    /// The declared columns, computed ones included.
    pub fn schema(&self) -> SchemaRef {
        let field = |c: &Column| Field::new(&c.name, c.data_type.clone(), c.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// The columns that the connector gives: all that are not computed, in declared order.
    pub fn physical_schema(&self) -> SchemaRef {
        let physical = self.columns.iter().filter(|c| c.computed.is_none());
        let field = |c: &Column| Field::new(&c.name, c.data_type.clone(), c.nullable);
        Arc::new(Schema::new(physical.map(field).collect::<Vec<_>>()))
    }

    /// The primary key as indices into [`TableSpec::physical_schema`].
    pub fn physical_key(&self) -> Vec<usize> {
        let physical: Vec<usize> = (0..self.columns.len())
            .filter(|&i| self.columns[i].computed.is_none())
            .collect();
        self.primary_key
            .iter()
            .filter_map(|key| physical.iter().position(|p| p == key))
            .collect()
    }

    /// The columns in which no NULL may stand, as indices into [`TableSpec::physical_schema`]: those of the primary key,
    /// and those that are NOT NULL.
    pub fn required(&self) -> Vec<usize> {
        self.without_null(|column| !column.nullable)
    }

    /// Those of them without which a record cannot be judged: data keeps what it says of itself.
    pub fn judged_by(&self) -> Vec<usize> {
        self.without_null(|column| column.declared && !column.nullable)
    }

    fn without_null(&self, is_required: impl Fn(&Column) -> bool) -> Vec<usize> {
        let key = self.physical_key();
        let physical = self.columns.iter().filter(|c| c.computed.is_none()).enumerate();
        let required = physical.filter(|(at, column)| key.contains(at) || is_required(column));
        required.map(|(at, _)| at).collect()
    }

    /// Whether rows may turn out to be bad when they have been decoded, so that their text is to be kept until then.
    pub fn asks_for_text(&self) -> bool {
        self.options.contains_key("max_future_skew")
    }

    /// The option's value, or the default that the connector's table gives.
    pub fn option<'a>(&'a self, spec: &ConnectorSpec, name: &str) -> Option<&'a str> {
        let default = || spec.all_options().find(|o| o.name == name)?.default;
        self.options.get(name).map(String::as_str).or_else(default)
    }
}

/// Nanoseconds in one unit of a time column.
pub fn unit_ns(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// What a connector can do and which options it takes: one table, from which errors, docs and completion are made.
#[derive(Debug, Clone, Copy)]
pub struct ConnectorSpec {
    pub name: &'static str,
    /// One line for people.
    pub doc: &'static str,
    pub reads: bool,
    pub writes: bool,
    /// Its own options.
    pub options: &'static [OptionSpec],
    /// The options of the formats that it reads and writes.
    pub formats: &'static [OptionSpec],
    /// The format that some options mean, by its name, if they tell.
    pub format_of: fn(&BTreeMap<String, String>) -> Option<&'static str>,
}

impl ConnectorSpec {
    /// Every option that it takes.
    pub fn all_options(&self) -> impl Iterator<Item = &'static OptionSpec> + use<> {
        let sources = if self.reads { SOURCES } else { &[] };
        self.options.iter().chain(self.formats).chain(sources)
    }
}

/// What every table that can be read takes.
pub static SOURCES: &[OptionSpec] = &[
    OptionSpec::new(
        "on_error",
        OptionKind::OneOf(&["fail", "skip", "dead_letter"]),
        Some("fail"),
        "What a bad record does: end the query, be left out and counted, or go to dead_letters('table')",
    )
    .reading()
    .elsewhere(&[
        "ignore_errors",
        "ignore-parse-errors",
        "csv.ignore-parse-errors",
        "json.ignore-parse-errors",
        "mode",
    ]),
    OptionSpec::new(
        "max_future_skew",
        OptionKind::Duration,
        None,
        "A row whose event time lies further ahead of the clock than this is a bad record",
    )
    .reading(),
];

/// One option of `WITH (…)`.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// `NAME` in it stands for any column of the table.
    pub name: &'static str,
    pub kind: OptionKind,
    pub default: Option<&'static str>,
    pub doc: &'static str,
    /// It means nothing to who only writes.
    pub reading: bool,
    /// The formats for which it means something; none: all.
    pub of: &'static [&'static str],
    /// What other systems call it: whoever writes that is told the name.
    pub elsewhere: &'static [&'static str],
}

impl OptionSpec {
    pub const fn new(
        name: &'static str,
        kind: OptionKind,
        default: Option<&'static str>,
        doc: &'static str,
    ) -> OptionSpec {
        OptionSpec {
            name,
            kind,
            default,
            doc,
            reading: false,
            of: &[],
            elsewhere: &[],
        }
    }

    /// The same for reading only.
    pub const fn reading(self) -> OptionSpec {
        OptionSpec { reading: true, ..self }
    }

    /// The same for some formats only.
    pub const fn of(self, formats: &'static [&'static str]) -> OptionSpec {
        OptionSpec { of: formats, ..self }
    }

    /// The same with what other systems call it.
    pub const fn elsewhere(self, names: &'static [&'static str]) -> OptionSpec {
        OptionSpec {
            elsewhere: names,
            ..self
        }
    }

    /// Whether a key of WITH means this option. `NAME` in its name stands for a column: `fields.NAME.min`.
    pub fn takes(&self, key: &str) -> bool {
        let Some((before, after)) = self.name.split_once("NAME") else {
            return self.name == key;
        };
        let column = key.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        column.is_some_and(|column| !column.is_empty())
    }
}

/// What an option's value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    Text,
    /// Relative to the current directory; may be a glob.
    Path,
    Bool,
    /// A whole number from 0.
    Count,
    /// `5ms`, `10 seconds`.
    Duration,
    /// Bytes: `1000000`, `128MB`.
    Size,
    /// RFC 3339.
    Time,
    /// One ASCII character that is no line end, or `\t`.
    Char,
    /// The same, or empty text for none.
    CharOrNone,
    /// One text, or a list of texts: `['', 'NA']`, kept as [`text_list`] reads it.
    Texts,
    /// How a time is written, in the letters of `strftime`.
    TimeFormat,
    OneOf(&'static [&'static str]),
}

/// What stands before each text of a list that is kept as one text. No key on a keyboard makes it.
const LIST_MARK: char = '\u{1e}';

/// Several texts as the value of one option.
pub fn join_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let marked = texts.into_iter().map(|text| format!("{LIST_MARK}{text}"));
    marked.collect()
}

/// Whether an option's value is several texts.
pub fn is_text_list(value: &str) -> bool {
    value.starts_with(LIST_MARK)
}

/// The texts of an option's value: those of a list, or the one that it is.
pub fn text_list(value: &str) -> Vec<String> {
    match value.strip_prefix(LIST_MARK) {
        Some(list) => list.split(LIST_MARK).map(str::to_string).collect(),
        None => vec![value.to_string()],
    }
}
