//! DROP of what running queries use: the query that fills it stops, and a source that is read stays.
//!
//! In a script that runs to its end none of this holds: there a DROP only forgets the name, and what runs goes on.

use super::engine::{Engine, State};
use super::filling::Filling;
use crate::catalog::Relation;
use crate::error::Diagnostic;
use crate::sql::statement::DropObject;

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
