//! A text, statement by statement: what it defines, what it starts, what it answers.

use super::broken::{Broken, names_of};
use super::dropping::refuse_read;
use super::engine::{Engine, State};
use super::filling::{Filling, Fills, Moves, filled_by, settle, settle_readers, settle_system};
use super::launch::Planned;
use super::planning::{Planning, Routed, mistakes};
use super::query::Query;
use super::show;
use super::standalone::endless;
use crate::catalog::Relation;
use crate::connectors::memory::MemoryTable;
use crate::connectors::push::PushTable;
use crate::dstream::graph::Graph;
use crate::error::{Diagnostic, Error, Result, Severity};
use crate::sql::parse_script;
use crate::sql::statement::{CreateTable, Located, Statement};
use datafusion::arrow::array::RecordBatch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

/// What a statement came to.
pub enum Outcome {
    /// CREATE, DROP, SET …: what was done, for people.
    Done(String),
    /// SHOW, DESCRIBE, EXPLAIN: a small answer.
    Rows(RecordBatch),
    /// A SELECT that runs.
    Query(Query),
    /// INSERT … SELECT, or a sink with its query: runs in the background.
    Started(Query),
}

/// A text that has been planned and runs statement by statement.
///
/// The INSERTs of a text start together, as one program, before the next SELECT or at the end.
pub struct Script {
    pub(super) engine: Engine,
    text: String,
    statements: std::vec::IntoIter<Located>,
    /// Started together at the next SELECT.
    waiting: Vec<(Routed, Range<usize>)>,
    /// Given out before the next statement is looked at.
    ready: VecDeque<Result<Outcome>>,
    /// INSERTs that run: a SELECT of their table waits for them.
    pub(super) filling: Vec<Filling>,
    /// The streams that INSERTs of this text read which have started.
    begun: BTreeMap<String, Option<usize>>,
    /// What could not be created: that it is not there is no mistake of the statements after it.
    broken: Broken,
    /// The engine runs this text and no other: a table without connector ends with the last INSERT into it.
    pub(super) whole: bool,
    pub warnings: Vec<Diagnostic>,
}

impl Script {
    /// A text of which planning has found what it has.
    pub(super) fn new(engine: Engine, text: &str, found: Vec<Diagnostic>) -> Result<Script> {
        let (warnings, errors): (Vec<Diagnostic>, Vec<Diagnostic>) =
            found.into_iter().partition(|d| d.severity == Severity::Warning);
        if !errors.is_empty() {
            return Err(mistakes(errors, text));
        }
        Ok(Script::of(engine, text, warnings))
    }

    /// Without looking for mistakes first: each statement is planned when it is its turn.
    pub fn unchecked(engine: &Engine, text: &str) -> Script {
        Script::of(engine.clone(), text, Vec::new())
    }

    /// Leaves out the statements in which a mistake stands that planning the text has found.
    pub fn without(mut self, mistakes: &[Diagnostic]) -> Script {
        let stands_in = |found: &Diagnostic, span: &Range<usize>| {
            let start = found.span.as_ref().map(|found| found.start);
            found.severity == Severity::Error && start.is_some_and(|start| span.start <= start && start <= span.end)
        };
        let is_wrong = |located: &Located| mistakes.iter().any(|found| stands_in(found, &located.span));
        let (wrong, right): (Vec<Located>, Vec<Located>) = self.statements.partition(is_wrong);
        wrong.iter().for_each(|located| self.broken.add(names_of(located)));
        self.statements = right.into_iter();
        self
    }

    fn of(engine: Engine, text: &str, warnings: Vec<Diagnostic>) -> Script {
        let (statements, _) = parse_script(text);
        let broken = Broken::of(text, &statements);
        Script {
            engine,
            text: text.to_string(),
            statements: statements.into_iter(),
            waiting: Vec::new(),
            ready: Default::default(),
            filling: Vec::new(),
            begun: BTreeMap::new(),
            broken,
            whole: false,
            warnings,
        }
    }

    /// The engine runs this text and no other: see [`Engine::whole_script`].
    pub fn whole(mut self) -> Script {
        self.whole = true;
        self
    }

    /// Runs the next statement. `None` at the end of the text.
    pub async fn next(&mut self) -> Option<Result<Outcome>> {
        loop {
            if let Some(outcome) = self.ready.pop_front() {
                return Some(outcome);
            }
            let Some(located) = self.statements.next() else {
                if self.waiting.is_empty() {
                    return None;
                }
                let started = self.start_waiting().await;
                self.ready.extend(started.err().map(Err));
                continue;
            };
            let names = names_of(&located);
            // What it started on the way is ready by then, and comes first.
            match self.run(located).await {
                Ok(outcome) => self.ready.extend(outcome.map(Ok)),
                Err(error) => {
                    let follows = self.follows(&error);
                    self.broken.add(names);
                    self.ready.push_back(match follows {
                        Some(missing) => Ok(Outcome::Done(format!("left out: `{missing}` was not created"))),
                        None => Err(error),
                    });
                }
            }
        }
    }

    /// Leaves out the statements that are left, and gives what has started and was not given out yet. What runs goes on;
    /// a table without connector ends with the INSERTs that run.
    pub fn leave(&mut self) -> Vec<Query> {
        self.statements = Vec::new().into_iter();
        self.waiting.clear();
        self.seal_tables(None);
        let ready = std::mem::take(&mut self.ready);
        let started = ready.into_iter().filter_map(|outcome| match outcome {
            Ok(Outcome::Started(query)) => Some(query),
            Ok(Outcome::Query(query)) => {
                query.cancel();
                Some(query)
            }
            _ => None,
        });
        started.collect()
    }

    /// What is missing, if all that an error says is that something is not there that could not be created.
    fn follows(&self, error: &Error) -> Option<String> {
        let missing = |found: &Diagnostic| self.broken.missed(found, &self.text).map(str::to_string);
        let missing: Option<Vec<String>> = error.diagnostics.iter().map(missing).collect();
        missing?.pop()
    }

    async fn run(&mut self, located: Located) -> Result<Option<Outcome>> {
        let span = located.span.clone();
        match located.statement {
            Statement::Query(query) => {
                let (started, _) = self.start_alone(|p| p.query(&query, &span), &span).await?;
                Ok(Some(Outcome::Query(started)))
            }
            Statement::Copy(copy) => {
                let (started, fills) = self.start_alone(|p| p.copy(&copy, &span), &span).await?;
                self.fills(fills.by(&started));
                Ok(Some(Outcome::Started(started)))
            }
            Statement::Insert(insert) => {
                let routed = self.plan(|p| p.insert(&insert, &span).and_then(|routed| p.known(routed, &span)))?;
                self.keep_tables();
                self.queue(routed, span).await?;
                Ok(None)
            }
            Statement::Explain(explain) => {
                let graph = self.plan(|p| {
                    // Nothing that EXPLAIN plans becomes known.
                    let before = p.state.clone();
                    let graph = p.explain(&explain, &span);
                    p.state = before;
                    graph
                })?;
                Ok(Some(Outcome::Rows(show::explained(&graph)?)))
            }
            Statement::ShowProgress => {
                self.start_waiting().await?;
                Ok(Some(Outcome::Rows(super::progress::rows(
                    &self.engine.progress().await,
                )?)))
            }
            Statement::Drop(_) => {
                // What reads or fills it was written before, and is to find it there.
                self.start_waiting().await?;
                self.define(located.statement, span).await
            }
            Statement::CreateTable(create) if create.query.is_some() => {
                self.create_filled(create, &span).await?;
                Ok(None)
            }
            other => self.define(other, span).await,
        }
    }

    /// Plans a query and starts it as a program of its own, behind the INSERTs before it and those into what it reads.
    async fn start_alone(
        &mut self,
        plan: impl FnOnce(&mut Planning) -> Result<Routed, Vec<Diagnostic>>,
        span: &Range<usize>,
    ) -> Result<(Query, Fills)> {
        self.start_waiting().await?;
        let followed = self.whole && !self.statements.as_slice().is_empty();
        let (routed, graph, state) = self.plan(|p| {
            let blocks = followed && !p.state.selects_end;
            let routed = plan(p)?;
            let graph = p.graph(std::slice::from_ref(&routed), span)?;
            match endless(&graph, span).filter(|_| blocks) {
                Some(mistake) => Err(vec![mistake]),
                None => Ok((routed, graph, p.state.clone())),
            }
        })?;
        let fills = routed.fillings();
        Ok((self.run_alone(routed, graph, state).await?, fills))
    }

    async fn run_alone(&mut self, routed: Routed, graph: Graph, state: State) -> Result<Query> {
        self.wait_for_tables(&routed).await?;
        let state = match routed.late {
            None => state,
            Some(_) => State {
                memory: self.with_tables(),
                ..state
            },
        };
        let planned = Planned {
            graph,
            queries: vec![routed],
            state,
            snapshot: true,
        };
        let query = self.engine.start(planned).await?.pop();
        self.seal_tables(None);
        query.ok_or_else(|| Error::internal("a query did not start"))
    }

    /// CREATE TABLE … AS: the tables that the query reads are read as they are now, so it is no part of the program of
    /// the INSERTs around it.
    async fn create_filled(&mut self, create: CreateTable, span: &Range<usize>) -> Result<()> {
        self.start_waiting().await?;
        let (name, or_replace) = (create.name.value.clone(), create.or_replace);
        let statement = Statement::CreateTable(create);
        let planned = self.plan(|p| {
            let Some(routed) = p.define(&statement, span)? else {
                return Ok(None);
            };
            let graph = p.graph(std::slice::from_ref(&routed), span)?;
            Ok(Some((routed, graph)))
        })?;
        let done = Outcome::Done(show::done(&statement));
        let Some((routed, graph)) = planned else {
            self.ready.push_back(Ok(done));
            return Ok(());
        };
        if or_replace {
            self.forget_rows(&name);
        }
        self.keep_tables();
        let reads_streams = !graph.sources.is_empty();
        let fills = routed.fillings();
        let query = self.run_alone(routed, graph, self.engine.snapshot()).await?;
        if !reads_streams {
            query.wait().await?;
            self.ready.push_back(Ok(done));
            return Ok(());
        }
        self.fills(fills.by(&query));
        self.ready.extend([Ok(done), Ok(Outcome::Started(query))]);
        Ok(())
    }

    /// A table that replaces another in memory begins empty: the old rows have the old columns.
    fn forget_rows(&self, name: &str) {
        let replaced = self.engine.lock().memory.remove(name);
        if let Some(table) = replaced {
            table.seal();
        }
    }

    /// Statements that change or show what is known.
    async fn define(&mut self, statement: Statement, span: Range<usize>) -> Result<Option<Outcome>> {
        let alone = if self.whole { Vec::new() } else { self.engine.filling() };
        let routed = self.plan(|p| {
            let in_use = match &statement {
                Statement::Drop(drop) => refuse_read(drop, &p.state, &alone),
                _ => Vec::new(),
            };
            let routed = p.define(&statement, &span)?;
            let routed = routed.map(|routed| p.known(routed, &span)).transpose()?;
            if in_use.is_empty() { Ok(routed) } else { Err(in_use) }
        })?;
        let stopped = match &statement {
            Statement::Drop(drop) if !self.whole => self.engine.stop_fillers(drop).await,
            _ => Vec::new(),
        };
        if let Statement::CreateTable(create) = &statement
            && create.or_replace
        {
            self.forget_rows(&create.name.value);
        }
        self.keep_tables();
        if let Some(routed) = routed {
            self.queue(routed, span).await?;
        }
        let state = self.engine.snapshot();
        let find = |name: &str| {
            state
                .catalog
                .get(name)
                .ok_or_else(|| Error::internal("a relation has gone"))
        };
        Ok(Some(match &statement {
            Statement::ShowTables => Outcome::Rows(show::tables(&state)?),
            Statement::ShowCreate(name) => Outcome::Rows(show::create(find(&name.value)?)?),
            Statement::Describe(name) => Outcome::Rows(show::describe(find(&name.value)?)?),
            Statement::Show(name) => Outcome::Rows(show::settings(&state, name.as_ref().map(|n| n.value.as_str()))?),
            other if !stopped.is_empty() => {
                Outcome::Done(format!("stopped {}, {}", stopped.join(", "), show::done(other)))
            }
            other => Outcome::Done(show::done(other)),
        }))
    }

    /// Plans against the engine's state, and keeps what that changed.
    fn plan<T>(&self, plan: impl FnOnce(&mut Planning) -> Result<T, Vec<Diagnostic>>) -> Result<T> {
        let mut state = self.engine.lock();
        let mut planning = Planning::new(state.clone(), &self.text);
        planning.whole = self.whole;
        planning.begun = self.begun.clone();
        let planned = plan(&mut planning).map_err(|found| mistakes(found, &self.text))?;
        *state = planning.state;
        Ok(planned)
    }

    /// Tables without connector, and push sources, hold rows of their own from when they are created.
    fn keep_tables(&self) {
        let mut state = self.engine.lock();
        let specs: Vec<_> = state
            .catalog
            .relations()
            .filter_map(|r| match r {
                Relation::Table(table) => Some(std::sync::Arc::clone(&table.spec)),
                _ => None,
            })
            .collect();
        let names: BTreeSet<String> = specs.iter().map(|s| s.name.clone()).collect();
        let gone: Vec<String> = state.memory.keys().filter(|n| !names.contains(*n)).cloned().collect();
        for name in gone {
            if let Some(table) = state.memory.remove(&name) {
                table.seal();
            }
        }
        state.push.retain(|name, _| names.contains(name));
        for spec in specs {
            match spec.connector.as_deref() {
                None => {
                    let table = || MemoryTable::new(&spec.name, spec.physical_schema(), self.whole);
                    state.memory.entry(spec.name.clone()).or_insert_with(table);
                }
                Some("push") => {
                    let table = || PushTable::new(&spec, crate::formats::json_batch);
                    state.push.entry(spec.name.clone()).or_insert_with(table);
                }
                Some(_) => {}
            }
        }
    }

    /// The tables without connector, those that a clause has just declared included.
    fn with_tables(&self) -> BTreeMap<String, MemoryTable> {
        self.keep_tables();
        self.engine.lock().memory.clone()
    }

    /// An INSERT: started with those before and behind it. Rows of the SQL itself are there at once; late rows and dead
    /// letters are read as the queries before it leave them, and files as the INSERTs before it have written them.
    async fn queue(&mut self, routed: Routed, span: Range<usize>) -> Result<()> {
        if routed.reads_system() {
            self.start_waiting().await?;
            self.wait_for_tables(&routed).await?;
            return self.start_inserts(vec![routed], &span).await;
        }
        self.wait_for_files(routed.moves()).await?;
        if routed.only_into_memory() && routed.reads().is_empty() {
            return self.start_inserts(vec![routed], &span).await;
        }
        self.waiting.push((routed, span));
        Ok(())
    }

    /// An INSERT that reads what others before it write, or replaces what they read, is in no program with them.
    async fn wait_for_files(&mut self, moves: Moves) -> Result<()> {
        let mut waiting = self.waiting.iter().map(|(routed, _)| routed.moves());
        if waiting.any(|before| moves.reads_files_of(&before) || before.reads_replaced_by(&moves)) {
            self.start_waiting().await?;
        }
        if self.engine.is_manual() {
            return Ok(());
        }
        let running = self.running();
        settle_readers(&running, &moves).await;
        // Rows of tables without connector are read as they come.
        let reads = BTreeSet::new();
        settle(&running, Moves { reads, ..moves }).await
    }

    /// Starts the INSERTs that have been read so far, as one program.
    async fn start_waiting(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (queries, spans): (Vec<Routed>, Vec<Range<usize>>) = std::mem::take(&mut self.waiting).into_iter().unzip();
        let span = spans.first().cloned().unwrap_or(0..0);
        self.start_inserts(queries, &span).await
    }

    /// Starts INSERTs as one program. Those that read no stream are waited for.
    async fn start_inserts(&mut self, queries: Vec<Routed>, span: &Range<usize>) -> Result<()> {
        let (graph, state) = self.plan(|p| Ok((p.graph(&queries, span)?, p.state.clone())))?;
        let fills: Vec<Fills> = queries.iter().map(Routed::fillings).collect();
        let of_values = graph.sources.is_empty();
        let started = self
            .engine
            .start(Planned {
                graph,
                queries,
                state,
                snapshot: false,
            })
            .await?;
        self.seal_tables(None);
        for (query, fills) in started.into_iter().zip(fills) {
            if of_values {
                query.wait().await?;
                let done = format!("inserted into {}", query.name());
                self.ready.push_back(Ok(Outcome::Done(done)));
                continue;
            }
            if query.bounded() {
                self.begun
                    .extend(fills.moves.reads.iter().map(|read| (read.clone(), None)));
            }
            self.fills(fills.by(&query));
            self.ready.push_back(Ok(Outcome::Started(query)));
        }
        Ok(())
    }

    /// An INSERT of this text: that it fails is of concern to a SELECT behind it, also when it has ended.
    fn fills(&mut self, fillings: Vec<Filling>) {
        self.engine.fills(&fillings);
        self.filling.extend(fillings);
    }

    /// A SELECT of a table sees what earlier statements insert into it, those of other texts included: it waits for them,
    /// and for the queries whose late rows, or the dead letters of whose sources, it reads.
    async fn wait_for_tables(&mut self, routed: &Routed) -> Result<()> {
        self.seal_tables(Some(routed));
        if self.engine.is_manual() {
            return Ok(());
        }
        let running = self.running();
        settle_system(&running, &routed.system()).await?;
        settle_readers(&running, &routed.moves()).await;
        settle(&running, routed.moves()).await
    }

    /// The INSERTs of this text, and those of others that have not ended.
    pub(super) fn running(&self) -> Vec<Filling> {
        let mut running = self.filling.clone();
        running.extend(self.engine.filling());
        running
    }

    /// Tables into which no statement that is left inserts, nor the query that is about to start, get no more rows than
    /// those of the INSERTs that run.
    fn seal_tables(&self, starts: Option<&Routed>) {
        if !self.whole {
            return;
        }
        let filled: BTreeSet<&str> = self.statements.as_slice().iter().flat_map(filled_by).collect();
        let waiting = self.waiting.iter().map(|(routed, _)| routed).chain(starts);
        let waiting: BTreeSet<&str> = waiting.flat_map(|routed| routed.fills()).collect();
        let state = self.engine.lock();
        let ended = |name: &str| !filled.contains(name) && !waiting.contains(name);
        let tables = state.memory.iter().filter(|(name, _)| ended(name));
        tables.for_each(|(_, table)| table.seal());
    }
}
