//! The engine: a catalog, settings, threads, and the programs that run.

use super::clock::{ManualClock, SystemClock};
use super::drive::Command;
use super::filling::Filling;
use super::launch;
use super::planning::Planning;
use super::query::{Fate, Query, Running};
use super::registry::Registry;
use super::script::{Outcome, Script};
use super::show;
use crate::catalog::Catalog;
use crate::config::{Origin, Settings};
use crate::connectors::memory::MemoryTable;
use crate::connectors::push::{PushHandle, PushTable};
use crate::driver::Clock;
use crate::driver::progress::Progress;
use crate::error::{Diagnostic, Error, Result};
use crate::operators::extremes::extremes;
use crate::operators::sums::sums;
use crate::operators::{arithmetic, chance, zeros};
use crate::plan::in_lists::OfConstants;
use crate::plan::overflow::CheckedArithmetic;
use crate::plan::own_aggregates::OwnAggregates;
use crate::plan::session::new_session;
use crate::plan::zeros::InComparisons;
use crate::tasks::Pool;
use datafusion::arrow::array::RecordBatch;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// A streaming SQL engine inside this process. Cheap to clone; all clones are the same engine.
///
/// It owns its threads and never blocks the caller's. Dropping the last clone stops what runs.
#[derive(Clone)]
pub struct Engine {
    pub(super) inner: Arc<Inner>,
}

/// What is shared by all clones and all programs.
pub(super) struct Inner {
    pub state: Mutex<State>,
    /// Tasks of intervals.
    pub tasks: Pool,
    /// Decoding ahead.
    pub readers: Pool,
    /// No timer: intervals run on [`Engine::step`].
    pub manual: bool,
    /// What intervals read once each, and record.
    pub clock: Arc<dyn Clock>,
    /// For operators of DataFusion that spawn: its own, so that the host's is left alone.
    pub runtime: Option<tokio::runtime::Runtime>,
    /// INSERTs of all texts that may still bring rows.
    pub filling: Mutex<Vec<Filling>>,
}

#[derive(Clone)]
pub(super) struct State {
    pub session: Arc<SessionState>,
    pub catalog: Catalog,
    pub settings: Settings,
    pub memory: BTreeMap<String, MemoryTable>,
    /// Per table without connector, the streams from which INSERTs bring rows into it.
    pub flows: BTreeMap<String, BTreeSet<String>>,
    pub push: BTreeMap<String, PushTable>,
    /// What runs, or has run.
    pub running: Registry,
    /// How many queries without a name have been started.
    pub unnamed: usize,
    /// There is no host that pushes rows.
    pub standalone: bool,
    /// Whoever reads the rows of a SELECT stops it.
    pub selects_end: bool,
}

/// Settings of an engine before it starts.
#[derive(Default)]
pub struct EngineBuilder {
    settings: Settings,
    standalone: bool,
    selects_end: bool,
    manual: bool,
    clock: Option<ManualClock>,
}

impl EngineBuilder {
    /// A setting by the name that SET knows, e.g. `("parallelism", "4")`.
    ///
    /// Errors: there is no such setting, or the value does not fit it.
    pub fn set(self, name: &str, value: &str) -> Result<Self> {
        self.configure(name, value, Origin::Host)
    }

    /// The same, with who says so: SHOW tells it.
    ///
    /// Errors: there is no such setting, or the value does not fit it.
    pub fn configure(mut self, name: &str, value: &str, origin: Origin) -> Result<Self> {
        self.settings.configure(name, value, origin)?;
        Ok(self)
    }

    /// There is no host around the engine that could push rows: sources that wait for them are refused.
    pub fn standalone(mut self) -> Self {
        self.standalone = true;
        self
    }

    /// Whoever reads the rows of a SELECT stops it after some: statements may follow one that does not end by itself.
    pub fn selects_end(mut self) -> Self {
        self.selects_end = true;
        self
    }

    /// No timer: an interval runs when [`Engine::step`] is called, so that a test is exact.
    pub fn manual(mut self) -> Self {
        self.manual = true;
        self
    }

    /// No timer, and a clock that the caller moves: `now()` is exact as well.
    pub fn manual_at(mut self, clock: &ManualClock) -> Self {
        self.clock = Some(clock.clone());
        self.manual()
    }

    /// Starts the engine's threads.
    pub fn build(self) -> Engine {
        let threads = self.settings.threads();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build();
        let runtime = runtime
            .inspect_err(|error| tracing::warn!(%error, "operators that spawn will not run"))
            .ok();
        let handle = runtime.as_ref().map(|r| r.handle().clone());
        let tasks = Pool::new("waterwheel-task", threads, move |work| {
            // Operators that spawn find the engine's runtime.
            let _entered = handle.as_ref().map(Handle::enter);
            work();
        });
        let readers = Pool::new("waterwheel-read", threads, |work| work());
        let mut session = new_session();
        add_functions(&mut session);
        let state = State {
            session: Arc::new(session),
            catalog: Catalog::default(),
            settings: self.settings.fixed(),
            memory: BTreeMap::new(),
            flows: BTreeMap::new(),
            push: BTreeMap::new(),
            running: Registry::default(),
            unnamed: 0,
            standalone: self.standalone,
            selects_end: self.selects_end,
        };
        let inner = Inner {
            state: Mutex::new(state),
            tasks,
            readers,
            manual: self.manual,
            clock: match self.clock {
                Some(clock) => Arc::new(clock),
                None => Arc::new(SystemClock),
            },
            runtime,
            filling: Mutex::default(),
        };
        Engine { inner: Arc::new(inner) }
    }
}

impl Engine {
    /// An engine that keeps everything in memory.
    pub fn in_memory() -> Engine {
        Engine::builder().build()
    }

    /// An engine without timer: see [`Engine::step`].
    pub fn manual() -> Engine {
        Engine::builder().manual().build()
    }

    /// An engine without timer whose time is that of `clock`.
    ///
    /// ```
    /// # async fn example() -> Result<(), waterwheel::error::Error> {
    /// use std::time::Duration;
    /// use waterwheel::{Engine, ManualClock};
    /// let clock = ManualClock::at_ns(0);
    /// let engine = Engine::manual_at(&clock);
    /// clock.advance(Duration::from_secs(60));
    /// engine.step().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn manual_at(clock: &ManualClock) -> Engine {
        Engine::builder().manual_at(clock).build()
    }

    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Runs statements: CREATE, DROP, SET, INSERT … An INSERT of VALUES is done when this returns; one that reads a
    /// stream goes on in the background.
    ///
    /// Errors: all mistakes of the text, before anything of it has run; or what made a statement fail.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let mut script = self.script(sql)?;
        while let Some(outcome) = script.next().await {
            if let Outcome::Query(query) = outcome? {
                query.cancel();
                let message = "a SELECT gives rows: run it with `query`";
                return Err(Error::refused(message));
            }
        }
        Ok(())
    }

    /// Starts one SELECT.
    ///
    /// Errors: mistakes of the text; what is refused; a source that cannot be opened.
    pub async fn query(&self, sql: &str) -> Result<Query> {
        let mut script = self.script(sql)?;
        let mut found = None;
        while let Some(outcome) = script.next().await {
            match outcome? {
                Outcome::Query(query) if found.is_none() => found = Some(query),
                Outcome::Query(_) => return Err(Error::refused("`query` takes one SELECT")),
                _ => {}
            }
        }
        found.ok_or_else(|| Error::refused("`query` takes a SELECT; run other statements with `execute`"))
    }

    /// Parses and plans a text; nothing of it has run yet.
    ///
    /// Errors: all its mistakes, each with its place.
    pub fn script(&self, text: &str) -> Result<Script> {
        Script::new(self.clone(), text, self.check(text))
    }

    /// The same for a text that is run to its end, and no other beside it: a SELECT that does not end must be its last
    /// statement, and a table without connector ends when every INSERT of the text into it has ended: with one that does
    /// not end it is a stream without end. Without this it ends when it is dropped, or with the engine, and a SELECT
    /// reads what is there.
    ///
    /// Errors: all its mistakes, each with its place.
    pub fn whole_script(&self, text: &str) -> Result<Script> {
        let found = self.planning(text).check(true);
        Script::new(self.clone(), text, found).map(Script::whole)
    }

    /// The mistakes and warnings of a text, without running anything of it.
    pub fn check(&self, text: &str) -> Vec<Diagnostic> {
        self.planning(text).check(false)
    }

    /// The graphs of the queries of a text, each as EXPLAIN shows it: nothing of the text is run.
    ///
    /// Errors: all its mistakes, each with its place.
    pub fn explain(&self, text: &str) -> Result<Vec<RecordBatch>> {
        Script::new(self.clone(), text, self.planning(text).check(true))?;
        self.planning(text).graphs().iter().map(show::explained).collect()
    }

    fn planning<'a>(&self, text: &'a str) -> Planning<'a> {
        let mut planning = Planning::new(self.snapshot(), text);
        planning.beside = self.filling().into_iter().flat_map(Filling::written).collect();
        planning
    }

    /// A handle to send rows to a source with `connector = 'push'`. Rows sent before a query reads the source wait for
    /// it. When the last handle is dropped the input has ended.
    ///
    /// Errors: there is no such source, or it has ended.
    pub fn push_source(&self, name: &str) -> Result<PushHandle> {
        let state = self.lock();
        match state.push.get(name) {
            Some(table) => table.handle(),
            None => {
                let known: Vec<&str> = state.push.keys().map(String::as_str).collect();
                let unknown = Diagnostic::error("unknown_source", format!("there is no push source `{name}`"));
                Err(unknown.suggest(name, known).into())
            }
        }
    }

    /// Makes a scalar function known to SQL.
    pub fn register_udf(&self, function: ScalarUDF) -> Result<()> {
        self.register(|session| session.register_udf(Arc::new(function)).map(drop))
    }

    /// Makes an aggregate function known to SQL.
    pub fn register_udaf(&self, function: AggregateUDF) -> Result<()> {
        self.register(|session| session.register_udaf(Arc::new(function)).map(drop))
    }

    pub(super) fn register(&self, add: impl FnOnce(&mut SessionState) -> datafusion::common::Result<()>) -> Result<()> {
        let mut state = self.lock();
        let mut session = state.session.as_ref().clone();
        add(&mut session).map_err(crate::operators::fragment::failed)?;
        state.session = Arc::new(session);
        Ok(())
    }

    /// Runs exactly one interval of every running program and waits for it. With files and generators it takes as many
    /// rows as the limits allow; of a push source, what has been sent.
    ///
    /// Errors: the engine has a timer.
    pub async fn step(&self) -> Result<()> {
        if !self.inner.manual {
            return Err(Error::refused("`step` needs an engine without timer: Engine::manual()"));
        }
        for program in self.programs() {
            let (done, stepped) = oneshot::channel();
            program.control.tell(Command::Step(done));
            // An error here means that the program has ended, which is an answer too.
            let _ = stepped.await;
        }
        Ok(())
    }

    fn programs(&self) -> Vec<Arc<Running>> {
        self.lock().running.programs()
    }

    /// Where the queries stand that run: one row per query and split.
    pub(super) async fn progress(&self) -> Vec<Progress> {
        let mut all = Vec::new();
        for program in self.programs() {
            let (asked, answer) = oneshot::channel();
            program.control.tell(Command::Progress(asked));
            // A program that has ended says nothing.
            all.extend(answer.await.unwrap_or_default());
        }
        all
    }

    /// Stops every query after the interval that runs, and waits for it.
    pub async fn shutdown(&self) {
        let running = self.programs();
        // Whoever reads a table that another fills has started behind it, and is not to take its stop for an end.
        for program in running.iter().rev() {
            program.control.stop();
        }
        for program in running {
            let mut outcome = program.outcome.clone();
            // The sender goes only when the program has ended.
            let _ = outcome.wait_for(Fate::is_settled).await;
        }
    }

    /// Declares standard input as the table `stdin`: JSON lines when it begins with `{`, else text lines in one column
    /// `line`. Waits for its first line. For programs whose user named `stdin` and declared nothing.
    ///
    /// Errors: standard input cannot be read, or has been read already.
    pub async fn declare_stdin(&self) -> Result<()> {
        let format = crate::connectors::stdin::sniff()?.format;
        self.execute(&format!(
            "CREATE SOURCE stdin WITH (connector = 'stdin', format = '{format}')"
        ))
        .await
    }

    /// The settings that hold for the next statement.
    pub fn settings(&self) -> Settings {
        self.lock().settings.clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state as it is now, to plan against.
    pub(super) fn snapshot(&self) -> State {
        self.lock().clone()
    }

    pub(super) fn is_manual(&self) -> bool {
        self.inner.manual
    }

    pub(super) async fn start(&self, program: launch::Planned) -> Result<Vec<Query>> {
        launch::start(self, program).await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for program in state.running.programs() {
            program.control.stop();
        }
        if let Some(runtime) = self.runtime.take() {
            // Dropping a runtime waits, which is not allowed inside the host's.
            runtime.shutdown_background();
        }
    }
}

/// The functions of the engine, and the rules that put them where DataFusion's are written.
fn add_functions(session: &mut SessionState) {
    let one_zero = Arc::new(zeros::one_zero());
    session.add_analyzer_rule(Arc::new(CheckedArithmetic(arithmetic::checked())));
    session.add_analyzer_rule(Arc::new(OfConstants));
    session.add_analyzer_rule(Arc::new(InComparisons(Arc::clone(&one_zero))));
    for function in chance::functions().map(Arc::new).into_iter().chain([one_zero]) {
        let _ = session.register_udf(function);
    }
    let mut replaced = Vec::new();
    for ours in extremes().into_iter().chain(sums()) {
        if let Ok(Some(theirs)) = session.register_udaf(Arc::clone(&ours)) {
            replaced.push((theirs, ours));
        }
    }
    session.add_analyzer_rule(Arc::new(OwnAggregates(replaced)));
}
