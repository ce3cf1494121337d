//! DROP of what is used: a table that a view needs stays. Of what running queries use, the query that fills it stops, and a
//! source that is read stays.
//!
//! In a script that runs to its end no DROP stops what runs: there it only forgets the name.

use super::engine::{Engine, State};
use super::filling::Filling;
use super::planning::Planned;
use crate::catalog::{Catalog, Relation};
use crate::error::Diagnostic;
use crate::plan::branch::tables;
use crate::sql::statement::{DropObject, Name};

/// Errors: views are made of the table, which could not be read any more.
pub fn refuse_needed(name: &Name, catalog: &Catalog) -> Planned<()> {
    let needs = |relation: &&Relation| match relation {
        Relation::View(view) => tables(&view.plan).iter().any(|table| table.name == name.value),
        Relation::Table(_) | Relation::Sink(_) => false,
    };
    let Some(view) = catalog.relations().find(needs).map(Relation::name) else {
        return Ok(());
    };
    let message = format!("the view `{view}` needs `{}`", name.value);
    let wrong = Diagnostic::error("in_use", message).at(name.span.clone());
    Err(vec![wrong.help(format!("drop the view first: DROP VIEW {view}"))])
}

/// The mistake of dropping sources that running queries read, if some do. A table without connector may be dropped:
/// that is how it ends.
pub fn refuse_read(drop: &DropObject, state: &State, running: &[Filling]) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    for name in &drop.names {
        let relation = state.catalog.get(&name.value);
        let is_source = matches!(relation, Some(Relation::Table(table)) if table.spec.connector.is_some());
        let mut readers: Vec<String> = running
            .iter()
            .filter(|filling| is_source && filling.reads(&name.value))
            .map(|filling| filling.query().name().to_string())
            .collect();
        readers.sort();
        readers.dedup();
        let Some(reader) = readers.first() else { continue };
        let (all, run) = (readers.join("`, `"), if readers.len() == 1 { "runs" } else { "run" });
        let message = format!("`{}` is read by `{all}`, which still {run}", name.value);
        let wrong = Diagnostic::error("in_use", message).at(name.span.clone());
        mistakes.push(wrong.help(format!("drop `{reader}` first: that stops its query")));
    }
    mistakes
}

impl Engine {
    /// Stops the queries that fill what is dropped, after the interval that runs; gives their names.
    pub(super) async fn stop_fillers(&self, drop: &DropObject) -> Vec<String> {
        let mut stopped: Vec<String> = Vec::new();
        for filling in self.filling() {
            if drop.names.iter().any(|name| filling.fills(&name.value)) {
                let query = filling.query();
                query.cancel();
                // Whoever started it is told what it came to.
                let _ = query.wait().await;
                stopped.push(format!("`{}`", query.name()));
            }
        }
        stopped.sort();
        stopped.dedup();
        stopped
    }
}
