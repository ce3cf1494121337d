//! Standard input is read by one program of a text: a second one is refused before anything runs.

use super::planning::{Planned, Planning, Routed};
use crate::catalog::Relation;
use crate::error::Diagnostic;
use crate::plan::branch::static_tables;
use crate::plan::diagnose::word_in;
use crate::sql::statement::{Located, Statement};

/// Which programs of a text read standard input, statement by statement.
#[derive(Default)]
pub struct ReadOnce {
    /// INSERTs that stand together are one program.
    program: usize,
    /// The program that reads it, and by which table.
    reader: Option<(usize, String)>,
}

impl ReadOnce {
    /// Whether a program may read a table that is standard input.
    fn admits(&mut self, table: &str) -> bool {
        let (program, by) = self.reader.get_or_insert_with(|| (self.program, table.to_string()));
        *program == self.program && by == table
    }
}

impl Planning<'_> {
    /// Goes on by one statement, which may have a query.
    ///
    /// Errors: it reads standard input, which another program has read by then.
    pub(super) fn read_once(&self, once: &mut ReadOnce, located: &Located, routed: Option<&Routed>) -> Planned<()> {
        let alone = match &located.statement {
            Statement::Query(_) | Statement::Copy(_) | Statement::ShowProgress => true,
            Statement::CreateTable(create) => create.query.is_some(),
            _ => false,
        };
        once.program += usize::from(alone);
        let tables = routed.map_or(Vec::new(), |routed| self.stdin_tables(routed));
        let again = tables.into_iter().find(|table| !once.admits(table));
        once.program += usize::from(alone);
        let Some(table) = again else { return Ok(()) };
        let place = word_in(&table, self.text, &located.span).unwrap_or(located.span.clone());
        let message = "stdin can be read once, and is read already";
        Err(vec![Diagnostic::error("stdin_twice", message).at(place).help(
            "INSERT INTO … SELECT into a sink for each result, one behind the other: they are one program, and read one \
             table of stdin together",
        )])
    }

    fn stdin_tables(&self, routed: &Routed) -> Vec<String> {
        let mut tables = routed.reads();
        tables.extend(static_tables(&routed.plan.plan).iter().map(|spec| spec.name.clone()));
        let is_stdin = |name: &String| match self.state.catalog.get(name) {
            Some(Relation::Table(table)) => table.spec.connector.as_deref() == Some("stdin"),
            _ => false,
        };
        tables.into_iter().filter(is_stdin).collect()
    }
}
