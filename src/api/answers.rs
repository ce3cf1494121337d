//! Statements that write the answer of a query once: `CREATE TABLE … AS` and `COPY … TO`.
//!
//! Unlike INSERT INTO a sink that only appends, they may write plain aggregates over bounded input: there is one
//! answer, and it does not change.

use super::planning::{Planned, Planning, Routed, Target, column_names};
use crate::catalog::{Relation, Table};
use crate::connectors::find;
use crate::dstream::table::Column;
use crate::error::Diagnostic;
use crate::formats::resolve_format;
use crate::plan::branch::stream_tables;
use crate::plan::compile::QueryPlan;
use crate::plan::limit::is_limited;
use crate::sql::parse_script;
use crate::sql::statement::{
    Copy, CopyInput, CreateSink, CreateTable, Name, OptionDef, SinkInput, Statement, StreamQuery,
};
use crate::sql::unnamed::titles;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::LogicalPlan;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

impl Planning<'_> {
    /// A table with the columns of a query, which fills it.
    pub(super) fn create_table_as(
        &mut self,
        create: &CreateTable,
        query: &StreamQuery,
        span: &Range<usize>,
    ) -> Planned<Option<Routed>> {
        if !self.is_free(&create.name, create.or_replace, create.if_not_exists)? {
            return Ok(None);
        }
        let plan = self.planned(query, span)?;
        if stream_tables(&plan).iter().any(|(name, _)| *name == create.name.value) {
            let message = format!("`{}` cannot be made from its own rows", create.name.value);
            let wrong = Diagnostic::error("reads_itself", message).at(create.name.span.clone());
            return Err(vec![wrong.help("give the new table another name")]);
        }
        let mut plan = QueryPlan::new(create.name.value.clone(), plan);
        plan.titles = match create.names.is_empty() {
            true => titles(&query.query),
            false => {
                let names = column_names(&create.names, plan.plan.schema().fields().len())?;
                names.into_iter().map(Some).collect()
            }
        };
        let late = self.clauses(query, &mut plan, span)?;
        let columns = columns_of(&plan, &create.name)?;
        let spec = Arc::new(self.with_creation(span, |creation| creation.table_as(create, columns))?);
        self.state.catalog.put(Relation::Table(Table {
            spec: Arc::clone(&spec),
            readable: spec.connector.as_deref().and_then(find).is_none_or(|c| c.spec.reads),
            bounded: true,
            replayable: true,
        }));
        let target = match spec.connector {
            None => Target::Table(spec),
            Some(_) => Target::Sink(spec),
        };
        Ok(Some(Routed {
            plan,
            target,
            once: true,
            late,
        }))
    }

    /// A bounded query written to a file.
    pub fn copy(&mut self, copy: &Copy, span: &Range<usize>) -> Planned<Routed> {
        let (plan, titles) = match &copy.from {
            CopyInput::Query(query) => (self.planned(query, span)?, titles(&query.query)),
            CopyInput::Relation(name) => (self.whole_relation(name, span)?, Vec::new()),
        };
        let sink = self.with_creation(span, |creation| creation.sink(&sink_of(copy)))?;
        let endless = stream_tables(&plan).into_iter().find(|(_, bounded)| !bounded);
        if let Some((name, _)) = endless
            && !is_limited(&plan)
        {
            let message = format!("COPY writes one answer when the input has ended, and `{name}` does not end");
            let refused = Diagnostic::error("no_end", message).at(span.clone());
            let refused = refused.help("end it with a LIMIT");
            return Err(vec![refused.help(format!(
                "or write it as it goes: CREATE SINK s WITH (connector = 'file', path = '{}', format = '{}'); \
                 INSERT INTO s SELECT …",
                directory(&copy.path.value),
                resolve_format(&sink).map_or("json", |format| format.name())
            ))]);
        }
        let mut plan = QueryPlan::new(copy.path.value.clone(), plan);
        plan.titles = titles;
        let late = match &copy.from {
            CopyInput::Query(query) => self.clauses(query, &mut plan, span)?,
            CopyInput::Relation(_) => None,
        };
        Ok(Routed {
            plan,
            target: Target::Sink(Arc::new(sink)),
            once: true,
            late,
        })
    }

    /// `SELECT *` from a relation.
    pub(super) fn whole_relation(&mut self, name: &Name, span: &Range<usize>) -> Planned<LogicalPlan> {
        self.relation(name)?;
        let text = format!("SELECT * FROM \"{}\"", name.value.replace('"', "\"\""));
        let (statements, found) = parse_script(&text);
        match statements.first().map(|s| &s.statement) {
            Some(Statement::Query(query)) => self.planned(query, span),
            _ => Err(found),
        }
    }
}

/// What COPY writes to: the connector 'file', unless another is named.
fn sink_of(copy: &Copy) -> CreateSink {
    let of_path = |key: &str, value: &str| OptionDef {
        key: Name {
            value: key.to_string(),
            span: copy.path.span.clone(),
        },
        value: value.to_string(),
        value_span: copy.path.span.clone(),
    };
    let mut options = copy.options.clone();
    if !options.iter().any(|option| option.key.value == "connector") {
        options.push(of_path("connector", "file"));
    }
    options.push(of_path("path", &copy.path.value));
    CreateSink {
        or_replace: false,
        if_not_exists: false,
        name: copy.path.clone(),
        from: SinkInput::Nothing,
        options,
        text: String::new(),
    }
}

/// The columns of a query as those of a table: each name once.
fn columns_of(plan: &QueryPlan, table: &Name) -> Planned<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for field in plan.schema().fields() {
        if columns.iter().any(|column| column.name == *field.name()) {
            let message = format!("`{}` would have two columns called `{}`", table.value, field.name());
            let wrong = Diagnostic::error("duplicate_column", message).at(table.span.clone());
            return Err(vec![
                wrong.help(format!("give one of them another name: … AS {}2", field.name())),
            ]);
        }
        let data_type = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            other => other.clone(),
        };
        if data_type == DataType::Null {
            let message = format!("`{}` is always NULL, so it has no type", field.name());
            let wrong = Diagnostic::error("unknown_type", message).at(table.span.clone());
            return Err(vec![
                wrong.help(format!("give it one: CAST(NULL AS INT) AS {}", field.name())),
            ]);
        }
        columns.push(Column {
            name: field.name().clone(),
            data_type,
            nullable: true,
            declared: false,
            computed: None,
        });
    }
    Ok(columns)
}

/// The path without its suffixes: where parts could go.
fn directory(path: &str) -> String {
    let mut path = PathBuf::from(path);
    while path.extension().is_some() {
        path.set_extension("");
    }
    path.display().to_string()
}
