//! Files that the statements of a text write and read: what opening them would refuse is found before anything runs, with
//! its place.

use super::planning::{Planned, Planning, Routed, Target};
use crate::connectors::{Output, Place, find};
use crate::dstream::graph::Graph;
use crate::dstream::table::TableSpec;
use crate::error::Diagnostic;
use crate::plan::branch::tables;
use crate::plan::diagnose::word_in;
use std::ops::Range;

/// A file or directory to which a query of a text writes.
#[derive(Clone)]
pub(super) struct Written {
    output: Output,
    /// As it was written.
    path: String,
}

impl Planning<'_> {
    /// Two queries that wrote to one file would undo each other's work. The INSERTs of a text run together.
    pub(super) fn write_once(&mut self, routed: &Routed, span: &Range<usize>) -> Planned<()> {
        for (sink, output) in routed.files() {
            let path = sink.path();
            let Some(there) = self.written.iter().find(|there| there.output.meets(&output)) else {
                let path = path.to_string();
                self.written.push(Written { output, path });
                continue;
            };
            let message = match output.is_at(&there.output) {
                true => format!("another query of this text writes to '{path}' already"),
                false => format!(
                    "another query of this text writes to '{}': what this one writes to '{path}' would get in its way",
                    there.path
                ),
            };
            let twice = Diagnostic::error("written_twice", message).at(span.clone());
            return Err(vec![
                twice.help("write both in one query, with UNION ALL, or to two files"),
            ]);
        }
        Ok(())
    }

    /// Whether an earlier query of this text, or one that runs, writes what a table is made of.
    pub(super) fn is_written(&self, table: &TableSpec) -> bool {
        let mut written = self.written.iter().map(|w| &w.output).chain(&self.beside);
        Place::of_table(table).is_some_and(|read| written.any(|written| written.is_read_at(&read)))
    }

    /// What a sink and the sources of a query would say when they are opened. What an earlier query writes need not be
    /// there yet.
    pub(super) fn check_files(&self, routed: &Routed, graph: &Graph, span: &Range<usize>) -> Planned<()> {
        let mut wrong = Vec::new();
        for table in tables(&routed.plan.plan) {
            let check = table.connector.as_deref().and_then(find).and_then(|c| c.check_source);
            let Some(check) = check.filter(|_| !self.is_written(&table)) else {
                continue;
            };
            if let Err(error) = check(&table) {
                let place = word_in(&table.name, self.text, span).unwrap_or(span.clone());
                let path = table.path();
                let written = self.written.iter().map(|written| written.path.as_str());
                let written = written.filter(|_| !path.contains(['*', '?', '[']));
                wrong.push(
                    Diagnostic::error("no_source", error.message)
                        .at(place)
                        .suggest(path, written),
                );
            }
        }
        let output = graph.outputs.first();
        let rows = output.map(|output| (&routed.target, &output.schema));
        let late = routed.late.as_ref().map(|late| (&late.target, &late.schema));
        for (target, schema) in rows.into_iter().chain(late) {
            let Target::Sink(spec) = target else { continue };
            let check = spec.connector.as_deref().and_then(find).and_then(|c| c.check_sink);
            let bounded = output.is_some_and(|output| output.bounded);
            if let Some(Err(error)) = check.map(|check| check(spec, schema, bounded)) {
                wrong.push(Diagnostic::error("no_sink", error.message).at(span.clone()));
            }
        }
        wrong.dedup();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}
