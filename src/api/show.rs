//! What SHOW, DESCRIBE and EXPLAIN answer.

use super::engine::State;
use crate::catalog::Relation;
use crate::config::SETTINGS;
use crate::dstream::graph::Graph;
use crate::dstream::table::TableSpec;
use crate::error::{Error, Result};
use crate::formats::type_name;
use crate::plan::explain;
use crate::sql::statement::Statement;
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;

/// The graph, a line a row.
pub fn explained(graph: &Graph) -> Result<RecordBatch> {
    rows(
        &["plan"],
        explain::explain(graph).into_iter().map(|line| vec![line]).collect(),
    )
}

/// Names and kinds of all relations.
pub fn tables(state: &State) -> Result<RecordBatch> {
    let row = |relation: &Relation| {
        let connector = match relation {
            Relation::Table(table) => table.spec.connector.clone().unwrap_or_else(|| "memory".to_string()),
            Relation::Sink(spec) => spec.connector.clone().unwrap_or_default(),
            Relation::View(_) => String::new(),
        };
        let kind = match relation {
            Relation::Table(table) if table.spec.is_static => "static table",
            Relation::Table(_) => "table",
            Relation::Sink(_) => "sink",
            Relation::View(_) => "view",
        };
        vec![relation.name().to_string(), kind.to_string(), connector]
    };
    rows(
        &["name", "kind", "connector"],
        state.catalog.relations().map(row).collect(),
    )
}

/// The statement that created a relation.
pub fn create(relation: &Relation) -> Result<RecordBatch> {
    let text = match relation {
        Relation::Table(table) => &table.spec.definition,
        Relation::Sink(spec) => &spec.definition,
        Relation::View(view) => &view.definition,
    };
    rows(
        &["statement"],
        vec![vec![text.trim().trim_end_matches(';').to_string()]],
    )
}

/// Columns, types, and what is special about them.
pub fn describe(relation: &Relation) -> Result<RecordBatch> {
    let columns = match relation {
        Relation::Table(table) => described(&table.spec),
        Relation::Sink(spec) => described(spec),
        Relation::View(view) => {
            let fields = view.plan.schema().fields().iter();
            fields
                .map(|f| column(f.name(), f.data_type(), f.is_nullable(), String::new()))
                .collect()
        }
    };
    rows(&["column", "type", "nullable", "extra"], columns)
}

fn described(spec: &TableSpec) -> Vec<Vec<String>> {
    let one = |(index, c): (usize, &crate::dstream::table::Column)| {
        let mut extra = Vec::new();
        if let Some(watermark) = spec.watermark.filter(|w| w.column == index) {
            extra.push(match watermark.delay_ns {
                0 => format!("event time, watermark {}", c.name),
                delay => format!("event time, watermark {} - {}", c.name, interval(delay)),
            });
        }
        if spec.primary_key.contains(&index) {
            extra.push("primary key".to_string());
        }
        if c.computed.is_some() {
            extra.push("computed".to_string());
        }
        let nullable = c.nullable && !spec.primary_key.contains(&index);
        column(&c.name, &c.data_type, nullable, extra.join("; "))
    };
    spec.columns.iter().enumerate().map(one).collect()
}

/// Nanoseconds as SQL writes them.
fn interval(ns: i64) -> String {
    let units = [
        (86_400_000_000_000, "DAY"),
        (3_600_000_000_000, "HOUR"),
        (60_000_000_000, "MINUTE"),
    ];
    match units.into_iter().find(|(width, _)| ns % width == 0) {
        Some((width, unit)) => format!("INTERVAL '{}' {unit}", ns / width),
        None => format!("INTERVAL '{}' SECOND", ns as f64 / 1e9),
    }
}

fn column(name: &str, data_type: &DataType, nullable: bool, extra: String) -> Vec<String> {
    let nullable = if nullable { "YES" } else { "NO" };
    vec![name.to_string(), type_name(data_type), nullable.to_string(), extra]
}

/// One setting, or all.
pub fn settings(state: &State, name: Option<&str>) -> Result<RecordBatch> {
    let chosen = SETTINGS.iter().filter(|s| name.is_none_or(|n| n == s.name));
    let row = |s: &crate::config::Setting| {
        let value = state.settings.get(s.name).unwrap_or_default();
        let source = state.settings.origin(s.name).name();
        vec![s.name.to_string(), value, source.to_string(), s.doc.to_string()]
    };
    rows(&["name", "value", "source", "about"], chosen.map(row).collect())
}

/// What a statement without rows has done.
pub fn done(statement: &Statement) -> String {
    match statement {
        Statement::CreateTable(create) => format!("created {}", create.name.value),
        Statement::CreateSink(create) => format!("created {}", create.name.value),
        Statement::CreateView(create) => format!("created {}", create.name.value),
        Statement::Drop(drop) => {
            let names: Vec<&str> = drop.names.iter().map(|n| n.value.as_str()).collect();
            format!("dropped {}", names.join(", "))
        }
        Statement::Set { name, value } => format!("{} = {value}", name.value),
        Statement::Reset(Some(name)) => format!("reset {}", name.value),
        Statement::Reset(None) => "reset all settings".to_string(),
        _ => "done".to_string(),
    }
}

fn rows(names: &[&str], rows: Vec<Vec<String>>) -> Result<RecordBatch> {
    let fields: Vec<Field> = names.iter().map(|n| Field::new(*n, DataType::Utf8, false)).collect();
    let column = |i: usize| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r[i].as_str()))) };
    let columns = (0..names.len()).map(column).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
    batch.map_err(|e| Error::internal("an answer could not be made").because(e))
}
