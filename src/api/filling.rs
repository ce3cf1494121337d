//! What fills the tables without connector: which statements insert into which, and when a reader has seen it all.

use super::planning::{Routed, Target};
use super::query::Query;
use crate::error::Result;
use crate::sql::statement::{ClauseKind, CopyInput, Located, SinkInput, Statement, StreamQuery};
use std::collections::BTreeSet;

/// An INSERT that runs.
pub struct Filling {
    /// The table or sink that it fills.
    target: String,
    /// The streams that it reads.
    reads: BTreeSet<String>,
    query: Query,
}

impl Filling {
    pub fn new(target: String, reads: BTreeSet<String>, query: &Query) -> Filling {
        Filling {
            target,
            reads,
            query: query.again(),
        }
    }
}

/// Waits until everything that bounded INSERTs bring into `tables`, through other tables too, is there.
///
/// Errors: what made an INSERT fail.
pub async fn settle(running: &[Filling], mut tables: BTreeSet<String>) -> Result<()> {
    let mut fillers: Vec<&Filling> = Vec::new();
    loop {
        let is_filler = |f: &&Filling| f.query.bounded() && tables.contains(&f.target);
        let found: Vec<&Filling> = running.iter().filter(is_filler).collect();
        if found.len() == fillers.len() {
            break;
        }
        tables.extend(found.iter().flat_map(|f| f.reads.iter().cloned()));
        fillers = found;
    }
    // What one of them gives is work for the next.
    while !fillers.iter().all(|f| f.query.is_settled()) {
        for filler in &fillers {
            filler.query.settled().await?;
        }
    }
    for filler in &fillers {
        filler.query.settled().await?;
    }
    Ok(())
}

impl Routed {
    /// The tables without connector that its rows, and those that come too late for it, go into.
    pub fn fills(&self) -> impl Iterator<Item = &str> {
        self.targets().filter_map(|target| match target {
            Target::Table(spec) => Some(spec.name.as_str()),
            Target::Reader | Target::Sink(_) | Target::Callback(_) => None,
        })
    }

    pub fn only_into_memory(&self) -> bool {
        self.targets().all(|target| matches!(target, Target::Table(_)))
    }

    fn targets(&self) -> impl Iterator<Item = &Target> {
        std::iter::once(&self.target).chain(self.late.iter().map(|late| &late.target))
    }
}

/// What a statement that has not run yet will insert into.
pub fn filled_by(located: &Located) -> Vec<&str> {
    let (target, query): (Option<&str>, Option<&StreamQuery>) = match &located.statement {
        Statement::Insert(insert) => (Some(&insert.target.value), Some(&insert.query)),
        Statement::Query(query) => (None, Some(query)),
        Statement::CreateTable(create) => (None, create.query.as_deref()),
        Statement::CreateSink(create) => match &create.from {
            SinkInput::Query(query) => (None, Some(query)),
            SinkInput::Nothing | SinkInput::Relation(_) => (None, None),
        },
        Statement::Copy(copy) => match &copy.from {
            CopyInput::Query(query) => (None, Some(query)),
            CopyInput::Relation(_) => (None, None),
        },
        _ => (None, None),
    };
    let late = query.into_iter().flat_map(|query| &query.clauses);
    let late = late.filter_map(|clause| match &clause.kind {
        ClauseKind::LateRowsInto(name) => Some(name.value.as_str()),
        _ => None,
    });
    target.into_iter().chain(late).collect()
}
