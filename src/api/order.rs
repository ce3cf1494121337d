//! What the order of statements does to files: a query reads what the statements before it have written, when that is
//! complete, and nothing is replaced that a statement before still reads.
//!
//! What can never come about so is found before anything runs.

use super::filling::{Moves, filled_by};
use super::planning::{Planned, Planning, Routed};
use crate::catalog::Relation;
use crate::connectors::Place;
use crate::dstream::graph::Graph;
use crate::dstream::table::TableSpec;
use crate::error::{Diagnostic, place_of};
use crate::plan::branch::tables;
use crate::plan::diagnose::word_in;
use crate::sql::statement::{Located, Statement};
use std::collections::BTreeMap;
use std::ops::Range;

/// The queries of a text so far, and where its tables without connector are filled for the last time.
#[derive(Default)]
pub(super) struct Order {
    before: Vec<Moved>,
    /// Per table, where the last statement begins that inserts into it.
    last_fills: BTreeMap<String, usize>,
}

impl Order {
    /// Of a text of which nothing has been planned.
    pub fn of(statements: &[Located]) -> Order {
        let mut last_fills = BTreeMap::new();
        for located in statements {
            let names = filled_by(located).into_iter().map(str::to_string);
            last_fills.extend(names.map(|name| (name, located.span.start)));
        }
        Order {
            before: Vec::new(),
            last_fills,
        }
    }
}

/// A query of this text, and what it does.
struct Moved {
    moves: Moves,
    targets: Vec<String>,
    bounded: bool,
    /// It reads tables without connector as they are then; others read what comes, to the end.
    at_once: bool,
    start: usize,
}

impl Moved {
    fn writes(&self, read: &Place) -> bool {
        self.moves.written.iter().any(|written| written.is_read_at(read))
    }

    /// Whether rows that are put into a table, or appended to followed files, come to this query, however late.
    fn is_fed_by(&self, other: &Moved) -> bool {
        let reads = |target: &String| !self.at_once && self.moves.reads.contains(target);
        other.targets.iter().any(reads) || self.moves.followed.iter().any(|read| other.writes(read))
    }

    /// The same, or this query reads files that the other has written before.
    fn comes_after(&self, other: &Moved) -> bool {
        self.is_fed_by(other) || other.start < self.start && self.moves.files.iter().any(|read| other.writes(read))
    }
}

/// Whether a statement is a program of its own, which starts behind the INSERTs before it.
pub(super) fn starts_alone(statement: &Statement) -> bool {
    match statement {
        Statement::Query(_) | Statement::Copy(_) | Statement::ShowProgress | Statement::Drop(_) => true,
        Statement::CreateTable(create) => create.query.is_some(),
        _ => false,
    }
}

impl Planning<'_> {
    /// Errors: the query would remove files that it reads.
    pub(super) fn refuse_own_input(&self, routed: &Routed, span: &Range<usize>) -> Planned<()> {
        let moves = routed.moves();
        let replaced = routed.files().find(|(_, output)| {
            let is_read = |read: &Place| output.is_read_at(read);
            output.overwrites && output.is_directory() && moves.files.iter().any(is_read)
        });
        let Some((sink, _)) = replaced else { return Ok(()) };
        let path = sink.options.get("path").map_or("", String::as_str);
        let message = format!("this query reads the files of '{path}', which overwrite = true removes while it runs");
        let refused = Diagnostic::error("overwritten", message).at(span.clone());
        Err(vec![refused.help(
            "write to another directory; a single file is replaced when everything has been read",
        )])
    }

    /// Notes a query of the text.
    ///
    /// Errors: it reads files that will not be complete; it replaces files that an endless query reads; its rows come
    /// back to it.
    pub(super) fn check_order(&mut self, located: &Located, routed: &Routed, graph: &Graph) -> Planned<()> {
        let moved = Moved {
            moves: routed.moves(),
            targets: routed.fills().map(str::to_string).collect(),
            bounded: graph.outputs.iter().all(|output| output.bounded),
            at_once: starts_alone(&located.statement),
            start: located.span.start,
        };
        let mut wrong = Vec::new();
        wrong.extend(self.goes_round(&moved, routed, &located.span));
        if self.whole && wrong.is_empty() {
            let read = tables(&routed.plan.plan);
            wrong.extend(read.iter().filter_map(|table| self.is_incomplete(table, &located.span)));
            wrong.extend(self.is_taken_away(&moved, routed, &located.span));
        }
        self.order.before.push(moved);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The mistake of a query whose rows come back to it, through files too.
    fn goes_round(&self, moved: &Moved, routed: &Routed, span: &Range<usize>) -> Option<Diagnostic> {
        let before = &self.order.before;
        let mut feeding: Vec<&Moved> = vec![moved];
        let mut from = 0;
        while let Some(reader) = feeding.get(from).copied() {
            for other in before.iter().filter(|other| reader.comes_after(other)) {
                if !feeding.iter().any(|known| std::ptr::eq(*known, other)) {
                    feeding.push(other);
                }
            }
            from += 1;
        }
        feeding.iter().find(|reader| reader.is_fed_by(moved))?;
        let read = tables(&routed.plan.plan);
        let is_fed = |table: &&std::sync::Arc<TableSpec>| {
            let place = Place::of_table(table);
            let by = |other: &&Moved| {
                let in_files = place.as_ref().is_some_and(|read| other.writes(read));
                in_files || other.targets.contains(&table.name)
            };
            feeding.iter().any(by)
        };
        let through = read.iter().find(is_fed)?;
        let message = format!(
            "what this query writes comes back to it through `{}`: its rows would go round for ever",
            through.name
        );
        let place = word_in(&through.name, self.text, span).unwrap_or(span.clone());
        Some(
            Diagnostic::error("circle", message)
                .at(place)
                .help("write to another table or file"),
        )
    }

    /// The mistake of reading files that a statement before writes, and that are not complete when they are read.
    fn is_incomplete(&self, table: &TableSpec, span: &Range<usize>) -> Option<Diagnostic> {
        if table.options.get("follow").is_some_and(|value| value == "true") {
            return None;
        }
        let read = Place::of_table(table)?;
        let path = table.options.get("path").map_or("", String::as_str);
        let place = word_in(&table.name, self.text, span).unwrap_or(span.clone());
        let incomplete = |message: String| Diagnostic::error("incomplete", message).at(place.clone());
        let mut writers: Vec<&Moved> = self.order.before.iter().filter(|m| m.writes(&read)).collect();
        if let Some(writer) = writers.iter().find(|writer| !writer.bounded) {
            let message = format!(
                "'{path}' is written by the query in line {}, which does not end, and so is never complete",
                self.line_of(writer.start)
            );
            return Some(incomplete(message).help("follow = true reads files as they grow and others appear"));
        }
        let mut from = 0;
        while let Some(writer) = writers.get(from).copied() {
            let waited_for = writer.moves.reads.iter().filter(|_| !writer.at_once);
            for memory in waited_for.filter(|name| self.is_in_memory(name)) {
                if let Some(last) = self.order.last_fills.get(memory).filter(|last| **last > span.start) {
                    let message = format!(
                        "'{path}' is complete when the table `{memory}` ends, and line {} still inserts into that",
                        self.line_of(*last)
                    );
                    return Some(incomplete(message).help("put that INSERT before this statement"));
                }
            }
            for other in self.order.before.iter().filter(|other| writer.comes_after(other)) {
                if !writers.iter().any(|known| std::ptr::eq(*known, other)) {
                    writers.push(other);
                }
            }
            from += 1;
        }
        None
    }

    /// The mistake of replacing files that a query before reads, and never has read all of.
    fn is_taken_away(&self, moved: &Moved, routed: &Routed, span: &Range<usize>) -> Option<Diagnostic> {
        let reads = |other: &&Moved| !other.bounded && other.moves.reads_replaced_by(&moved.moves);
        let reader = self.order.before.iter().find(reads)?;
        let (sink, _) = routed.files().next()?;
        let path = sink.options.get("path").map_or("", String::as_str);
        let message = format!(
            "'{path}' would be replaced, and the query in line {} reads it, which does not end",
            self.line_of(reader.start)
        );
        let refused = Diagnostic::error("overwritten", message).at(span.clone());
        Some(refused.help("write to another file or directory"))
    }

    fn is_in_memory(&self, name: &str) -> bool {
        matches!(self.state.catalog.get(name), Some(Relation::Table(table)) if table.spec.connector.is_none())
    }

    pub(super) fn line_of(&self, start: usize) -> usize {
        place_of(self.text, start).line
    }

    /// Notes that the INSERTs so far have started: for what they read, an end is decided on.
    pub(super) fn begin(&mut self) {
        for moved in self.order.before.iter().filter(|moved| moved.bounded && !moved.at_once) {
            for read in &moved.moves.reads {
                self.begun.entry(read.clone()).or_insert(Some(moved.start));
            }
        }
    }
}
