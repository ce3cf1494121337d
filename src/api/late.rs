//! `LATE ROWS INTO t`: which table or sink takes the rows of a query that were late for all their windows.
//!
//! The columns are those of `late_rows('query')`. A name that is not declared becomes a table without connector, other
//! than `stdout`. The rows are committed with the interval in which they came (`driver::output`).

use super::conversion::refused;
use super::planning::{Planned, Planning, Routed, Target};
use crate::catalog::{LateRows, Relation, Table};
use crate::driver::output::{Delivery, Pace};
use crate::dstream::graph::{Graph, Op};
use crate::dstream::system;
use crate::dstream::table::{Column, TableSpec};
use crate::dstream::window::WindowSpec;
use crate::error::{Diagnostic, Error, Result};
use crate::formats::type_name;
use crate::operators::fragment::failed;
use crate::plan::branch::stream_tables;
use crate::plan::compile::{QueryPlan, compile};
use crate::sql::statement::{ClauseKind, Name, StreamQuery};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Where late rows go, and the columns that they have there.
#[derive(Debug, Clone)]
pub struct LateInto {
    pub target: Target,
    pub schema: SchemaRef,
}

/// Per node that judges rows: its output, and `late_rows` of that output as a table.
pub fn late_relations(graph: &Graph) -> Vec<(String, TableSpec)> {
    let of = |node: &crate::dstream::graph::Node| {
        let Op::Panes(panes) = &node.op else { return None };
        let (Op::Source(source), output) = (&graph.nodes.get(panes.source)?.op, graph.outputs.get(panes.output)?)
        else {
            return None;
        };
        let judged = panes.window.spec != WindowSpec::Forever && !panes.window.arrival;
        let late = || system::late_rows(&output.name, source.table.schema(), panes.window.unit);
        judged.then(|| (output.name.clone(), late()))
    };
    graph.nodes.iter().filter_map(of).collect()
}

/// The table that the clause names, if the query has it.
pub fn clause(query: &StreamQuery) -> Option<(&Name, &Range<usize>)> {
    query.clauses.iter().find_map(|clause| match &clause.kind {
        ClauseKind::LateRowsInto(name) => Some((name, &clause.span)),
        _ => None,
    })
}

impl Planning<'_> {
    /// Makes `late_rows` of the queries of a graph known.
    pub(super) fn put_late_rows(&mut self, graph: &Graph) {
        let mut known: BTreeMap<String, LateRows> = BTreeMap::new();
        for (query, late) in late_relations(graph) {
            let rows = match known.remove(&query) {
                Some(LateRows::Of(other)) if other.schema() == late.schema() => LateRows::Of(other),
                Some(_) => LateRows::Unlike,
                None => LateRows::Of(Arc::new(late)),
            };
            known.insert(query, rows);
        }
        for (query, rows) in known {
            self.state.catalog.put_late_rows(&query, rows);
        }
    }

    /// Makes `late_rows` of a query known that starts later, together with others.
    pub(super) fn known(&mut self, routed: Routed, span: &Range<usize>) -> Planned<Routed> {
        self.graph(std::slice::from_ref(&routed), span)?;
        Ok(routed)
    }

    /// Where the late rows of a planned query go; declares the table when nothing has that name.
    pub(super) fn late_into(
        &mut self,
        query: &StreamQuery,
        plan: &QueryPlan,
        span: &Range<usize>,
    ) -> Result<Option<LateInto>, Vec<Diagnostic>> {
        let Some((name, place)) = clause(query) else {
            return Ok(None);
        };
        let wrong = |code, message: String| vec![Diagnostic::error(code, message).at(name.span.clone())];
        if plan.name == name.value || stream_tables(&plan.plan).iter().any(|(read, _)| *read == name.value) {
            let message = format!("`{}` is read or filled by this query already", name.value);
            return Err(wrong("late_target", message));
        }
        let graph = compile(std::slice::from_ref(plan)).map_err(|e| vec![self.diagnosed(&e, span)])?;
        let mut relations = late_relations(&graph).into_iter().map(|(_, late)| late);
        let Some(late) = relations.next() else {
            let message =
                "LATE ROWS INTO: this query waits for no windows of event time to close, so no row of it is late";
            let diagnostic = Diagnostic::error("no_windows", message).at(place.clone());
            return Err(vec![diagnostic.help(
                "group by a window: FROM TUMBLE(…) GROUP BY window_start, window_end, …",
            )]);
        };
        if relations.any(|other| other.schema() != late.schema()) {
            let message = "LATE ROWS INTO: the windows of this query read sources with different columns";
            let diagnostic = Diagnostic::error("late_columns", message).at(place.clone());
            return Err(vec![
                diagnostic.help("write a query for each source, with a clause of its own"),
            ]);
        }
        if self.state.catalog.get(&name.value).is_none() {
            match name.value == "stdout" {
                true => self.declare_stdout(),
                false => self.declare_late(&name.value, &late),
            }
        }
        let target = match self.state.catalog.get(&name.value) {
            Some(Relation::Sink(spec)) => Target::Sink(Arc::clone(spec)),
            Some(Relation::Table(table)) => match table.spec.connector.as_deref().map(crate::connectors::find) {
                None => Target::Table(Arc::clone(&table.spec)),
                Some(Some(connector)) if connector.sink.is_some() => Target::Sink(Arc::clone(&table.spec)),
                Some(_) => {
                    let message = format!("`{}` is a source: it cannot be written to", name.value);
                    return Err(wrong("not_writable", message));
                }
            },
            _ => {
                let message = format!("`{}` is a view: it cannot be written to", name.value);
                return Err(wrong("not_writable", message));
            }
        };
        let schema = match &target {
            Target::Sink(spec) if spec.columns.is_empty() => late.schema(),
            Target::Sink(spec) | Target::Table(spec) => spec.physical_schema(),
            Target::Reader | Target::Callback(_) => late.schema(),
        };
        if let Some(message) = misfit(&name.value, &late, &schema) {
            let columns: Vec<&str> = late.columns.iter().map(|c| c.name.as_str()).collect();
            let diagnostic = Diagnostic::error("late_columns", message).at(name.span.clone());
            return Err(vec![
                diagnostic.note(format!("the columns are: {}", columns.join(", "))),
            ]);
        }
        Ok(Some(LateInto { target, schema }))
    }

    /// A table without connector with the columns of `late_rows`.
    fn declare_late(&mut self, name: &str, late: &TableSpec) {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let column = |c: &Column| format!("{} {}", quoted(&c.name), type_name(&c.data_type));
        let columns: Vec<String> = late.columns.iter().map(column).collect();
        let spec = TableSpec {
            name: name.to_string(),
            connector: None,
            options: Default::default(),
            is_static: false,
            definition: format!("CREATE TABLE {} ({})", quoted(name), columns.join(", ")),
            ..late.clone()
        };
        self.state.catalog.put(Relation::Table(Table {
            spec: Arc::new(spec),
            readable: true,
            bounded: true,
            replayable: true,
        }));
    }
}

/// Why late rows do not go into these columns, if they do not. They go by their places, as the columns of an INSERT.
fn misfit(name: &str, late: &TableSpec, schema: &SchemaRef) -> Option<String> {
    let (given, taken) = (late.columns.len(), schema.fields().len());
    if given != taken {
        return Some(format!("`{name}` takes {taken} columns, late rows have {given}"));
    }
    let pairs = || late.columns.iter().zip(schema.fields());
    let elsewhere = |(column, field): &(&Column, &FieldRef)| {
        column.name != *field.name() && late.columns.iter().any(|other| other.name == *field.name())
    };
    if let Some((column, field)) = pairs().find(elsewhere) {
        return Some(format!(
            "`{name}` has its column `{}` where late rows have `{}`: they go by their places",
            field.name(),
            column.name
        ));
    }
    // Text may turn out to be nothing else, and nobody can write a CAST here.
    let unfit = |(column, field): &(&Column, &FieldRef)| {
        let is_read = column.data_type.is_string() && !field.data_type().is_string();
        is_read || refused(field, &column.data_type).is_some()
    };
    pairs().find(unfit).map(|(column, field)| {
        format!(
            "`{name}`: `{}` of a late row is {}, which does not become the {} of `{}`",
            column.name,
            type_name(&column.data_type),
            type_name(field.data_type()),
            field.name()
        )
    })
}

/// Late rows on their way to a sink or table, in its columns.
pub struct Fitted {
    pub to: Box<dyn Delivery>,
    pub schema: SchemaRef,
}

impl Fitted {
    fn fitted(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let pairs = batch.columns().iter().zip(self.schema.fields());
        let columns = pairs.map(|(column, field)| cast_with_options(column, field.data_type(), &options));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>();
        let fitted = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(&self.schema), columns));
        fitted.map_err(|e| failed(e.into()))
    }
}

impl Delivery for Fitted {
    fn clock(&mut self, clock_ns: i64) {
        self.to.clock(clock_ns);
    }

    fn keeps_back_ns(&self) -> Option<i64> {
        self.to.keeps_back_ns()
    }

    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()> {
        let fitted = batches.iter().map(|b| self.fitted(b)).collect::<Result<Vec<_>>>()?;
        self.to.prepare(interval, &fitted)
    }

    fn commit(&mut self, interval: u64) -> Result<bool> {
        self.to.commit(interval)
    }

    fn finish(&mut self) -> Result<()> {
        self.to.finish()
    }

    fn stop(&mut self, why: Option<&Error>) {
        self.to.stop(why);
    }

    fn pace(&self) -> Pace {
        self.to.pace()
    }
}
