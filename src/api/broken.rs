//! Names that a statement with a mistake would have made known: that they are missing is no mistake of later statements.

use super::filling::query_of;
use super::late;
use super::planning::created;
use crate::error::Diagnostic;
use crate::sql::statement::Located;
use crate::sql::unparsed;

/// Names that could not be created, each with the place from which on it is missed.
#[derive(Default)]
pub struct Broken(Vec<(String, usize)>);

impl Broken {
    /// Those of a text that could not even be parsed.
    pub fn of(text: &str, parsed: &[Located]) -> Broken {
        Broken(unparsed(text, parsed))
    }

    /// Notes what a statement that failed would have created.
    pub fn add(&mut self, names: Vec<(String, usize)>) {
        self.0.extend(names);
    }

    /// The missing name, if that is all that a diagnostic says.
    pub fn missed(&self, found: &Diagnostic, text: &str) -> Option<&str> {
        let span = found.span.clone().filter(|_| found.code == "unknown_table")?;
        // With an alias the place is that of both.
        let named = text.get(span.clone())?.split_whitespace().next()?.trim_matches('"');
        let missing = |(name, from): &&(String, usize)| *from < span.start && name.eq_ignore_ascii_case(named);
        self.0.iter().find(missing).map(|(name, _)| name.as_str())
    }
}

/// What a statement creates, the table of LATE ROWS INTO included.
pub fn names_of(located: &Located) -> Vec<(String, usize)> {
    let late = query_of(&located.statement).and_then(late::clause);
    let late = late.map(|(name, _)| name.value.as_str());
    let names = created(&located.statement).into_iter().chain(late);
    names.map(|name| (name.to_string(), located.span.start)).collect()
}
