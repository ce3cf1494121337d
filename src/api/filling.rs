//! What fills tables and files: which statements write where, and when a reader has seen it all.

use super::engine::Engine;
use super::late;
use super::planning::{Routed, Target};
use super::query::Query;
use crate::connectors::{Output, Place};
use crate::dstream::system::{DEAD_LETTERS, LATE_ROWS, OF};
use crate::dstream::table::TableSpec;
use crate::error::{Error, Result};
use crate::plan::branch::{static_tables, stream_tables, tables};
use crate::sql::statement::{CopyInput, Located, SinkInput, Statement, StreamQuery};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

/// What a query reads, and which files it writes.
#[derive(Clone, Default)]
pub struct Moves {
    /// The streams that it reads, by name.
    pub reads: BTreeSet<String>,
    /// The files that it reads to their end, those of tables that do not change included.
    pub files: Vec<Place>,
    /// The files that it reads as they grow.
    pub followed: Vec<Place>,
    /// The files and directories that it writes.
    pub written: Vec<Output>,
}

impl Moves {
    /// Whether it reads what another query writes, under whatever name.
    pub fn reads_files_of(&self, other: &Moves) -> bool {
        let mut read = self.files.iter().chain(&self.followed);
        read.any(|read| other.written.iter().any(|written| written.is_read_at(read)))
    }

    /// Whether another query takes away what it reads to its end.
    pub fn reads_replaced_by(&self, other: &Moves) -> bool {
        let mut replaced = other.written.iter().filter(|written| written.overwrites);
        replaced.any(|written| self.files.iter().any(|read| written.is_read_at(read)))
    }
}

/// An INSERT that runs.
#[derive(Clone)]
pub struct Filling {
    /// The table or sink that it fills.
    target: String,
    moves: Moves,
    query: Arc<Query>,
}

/// The tables and sinks that a query is to fill, those of its late rows included.
pub struct Fills {
    targets: Vec<String>,
    pub moves: Moves,
}

impl Fills {
    pub fn by(self, query: &Query) -> Vec<Filling> {
        let query = Arc::new(query.again());
        let filling = |target| Filling {
            target,
            moves: self.moves.clone(),
            query: Arc::clone(&query),
        };
        self.targets.into_iter().map(filling).collect()
    }
}

impl Filling {
    /// The files and directories that it writes.
    pub fn written(self) -> Vec<Output> {
        self.moves.written
    }

    pub fn query(&self) -> &Query {
        &self.query
    }

    pub fn target(&self) -> &str {
        &self.target
    }

    pub fn fills(&self, target: &str) -> bool {
        self.target == target
    }

    pub fn reads(&self, source: &str) -> bool {
        self.moves.reads.contains(source)
    }

    /// Whether a relation that the engine fills is filled by it.
    fn leaves(&self, relation: &TableSpec) -> bool {
        let of = relation.options.get(OF).map(String::as_str).unwrap_or_default();
        match relation.connector.as_deref() {
            Some(LATE_ROWS) => self.query.name() == of,
            Some(DEAD_LETTERS) => self.moves.reads.contains(of),
            _ => false,
        }
    }
}

impl Engine {
    /// Notes an INSERT that has started.
    pub(super) fn fills(&self, fillings: &[Filling]) {
        let mut all = self.inner.filling.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|filling| !filling.query.has_ended());
        all.extend_from_slice(fillings);
    }

    /// The INSERTs of all texts that have not ended.
    pub(super) fn filling(&self) -> Vec<Filling> {
        let all = self.inner.filling.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .filter(|filling| !filling.query.has_ended())
            .cloned()
            .collect()
    }
}

/// Waits until everything that bounded INSERTs bring into what is read, through other tables and files too, is there.
///
/// Errors: what made an INSERT fail.
pub async fn settle(running: &[Filling], reader: Moves) -> Result<()> {
    rest(&fillers(running, reader), Err).await
}

/// Waits until bounded queries have read what is about to be replaced. How they end is told by others.
pub async fn settle_readers(running: &[Filling], writer: &Moves) {
    let reads = |f: &&Filling| f.query.bounded() && f.moves.reads_replaced_by(writer);
    for reader in running.iter().filter(reads) {
        let _ = reader.query.settled().await;
    }
}

/// Waits until bounded INSERTs have left all the late rows and dead letters that are to be read. A query that fails
/// leaves what it has left so far.
pub async fn settle_system(running: &[Filling], relations: &[Arc<TableSpec>]) -> Result<()> {
    let leave = running.iter().filter(|f| relations.iter().any(|r| f.leaves(r)));
    let reader = Moves {
        reads: leave.map(|f| f.target.clone()).collect(),
        ..Moves::default()
    };
    rest(&fillers(running, reader), |_| Ok(())).await
}

/// The bounded INSERTs that bring rows into what is read, through other tables and files too.
fn fillers(running: &[Filling], mut reader: Moves) -> Vec<&Filling> {
    let mut fillers: Vec<&Filling> = Vec::new();
    loop {
        let fills = |f: &Filling| reader.reads.contains(&f.target) || reader.reads_files_of(&f.moves);
        let found: Vec<&Filling> = running.iter().filter(|f| f.query.bounded() && fills(f)).collect();
        if found.len() == fillers.len() {
            return fillers;
        }
        for filler in &found {
            reader.reads.extend(filler.moves.reads.iter().cloned());
            reader.files.extend(filler.moves.files.iter().cloned());
            reader.followed.extend(filler.moves.followed.iter().cloned());
        }
        fillers = found;
    }
}

async fn rest(fillers: &[&Filling], failed: impl Fn(Error) -> Result<()>) -> Result<()> {
    loop {
        for filler in fillers {
            filler.query.settled().await.or_else(&failed)?;
        }
        // What one of them gave may be work for another that had settled before.
        if fillers.iter().all(|f| f.query.is_settled()) {
            return Ok(());
        }
    }
}

impl Routed {
    /// The streams that it reads.
    pub fn reads(&self) -> BTreeSet<String> {
        let tables = stream_tables(&self.plan.plan);
        tables.into_iter().map(|(name, _)| name).collect()
    }

    pub fn moves(&self) -> Moves {
        let read = tables(&self.plan.plan);
        let (followed, files): (Vec<_>, Vec<_>) = read.iter().partition(|spec| spec.is_on("follow"));
        let places = |specs: Vec<&Arc<TableSpec>>| specs.into_iter().filter_map(|spec| Place::of_table(spec)).collect();
        Moves {
            reads: self.reads(),
            files: places(files),
            followed: places(followed),
            written: self.files().map(|(_, output)| output).collect(),
        }
    }

    pub fn fillings(&self) -> Fills {
        Fills {
            targets: self.written().map(str::to_string).collect(),
            moves: self.moves(),
        }
    }

    /// The sinks that are files or directories, and where they are.
    pub fn files(&self) -> impl Iterator<Item = (&TableSpec, Output)> {
        self.targets().filter_map(|target| match target {
            Target::Sink(spec) => Some((spec.as_ref(), Output::of_table(spec)?)),
            Target::Table(_) | Target::Reader | Target::Callback(_) => None,
        })
    }

    /// The relations that the engine fills, and it reads: late rows and dead letters.
    pub fn system(&self) -> Vec<Arc<TableSpec>> {
        let mut tables = static_tables(&self.plan.plan);
        tables.retain(|spec| matches!(spec.connector.as_deref(), Some(LATE_ROWS | DEAD_LETTERS)));
        tables
    }

    pub fn reads_system(&self) -> bool {
        !self.system().is_empty()
    }

    /// The tables and sinks that its rows, and those that come too late for it, go into.
    pub fn written(&self) -> impl Iterator<Item = &str> {
        self.targets().filter_map(|target| match target {
            Target::Table(spec) | Target::Sink(spec) => Some(spec.name.as_str()),
            Target::Reader | Target::Callback(_) => None,
        })
    }

    /// Those of them that are tables without connector.
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
    let target: Option<&str> = match &located.statement {
        Statement::Insert(insert) => Some(&insert.target.value),
        _ => None,
    };
    let late = query_of(&located.statement).and_then(late::clause);
    target
        .into_iter()
        .chain(late.map(|(name, _)| name.value.as_str()))
        .collect()
}

/// The query that a statement has, if it has one with clauses.
pub fn query_of(statement: &Statement) -> Option<&StreamQuery> {
    match statement {
        Statement::Insert(insert) => Some(&insert.query),
        Statement::Query(query) => Some(query),
        Statement::CreateTable(create) => create.query.as_deref(),
        Statement::CreateSink(create) => match &create.from {
            SinkInput::Query(query) => Some(query),
            SinkInput::Nothing | SinkInput::Relation(_) => None,
        },
        Statement::Copy(copy) => match &copy.from {
            CopyInput::Query(query) => Some(query),
            CopyInput::Relation(_) => None,
        },
        _ => None,
    }
}
