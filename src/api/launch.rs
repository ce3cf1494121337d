//! Starting a program: its thread opens sources and sinks, reads static tables, plans every task, then runs.

use super::delivery::{Required, ToCallback, ToReader, ToSink, ToTable};
use super::drive::{Control, Told, drive};
use super::engine::{Engine, State};
use super::late::{Fitted, LateInto};
use super::planning::{Planning, Routed, Target};
use super::query::{Ended, Fate, Query, Running, Unread};
use crate::config::Settings;
use crate::connectors::memory::{InsertHandle, MemoryTable};
use crate::connectors::{Bell, Pruning, Source, Workers};
use crate::driver::declared::Declared;
use crate::driver::event_time::{Clockwork, Skew};
use crate::driver::execute::Tasks;
use crate::driver::intake::Intake;
use crate::driver::lanes::Ring;
use crate::driver::late::LateLog;
use crate::driver::output::{Delivery, Outputs, Receiver};
use crate::driver::{Clock, Parts, Program};
use crate::dstream::graph::{Graph, Op, SourceNode};
use crate::dstream::system::{DEAD_LETTERS, LATE_ROWS, OF};
use crate::dstream::table::TableSpec;
use crate::error::{Error, Kind, Result};
use crate::lineage::BatchStore;
use crate::metrics::Metrics;
use crate::operators::fragment::{Workshop, failed};
use crate::operators::static_table::StaticTables;
use crate::operators::stop::Stop;
use crate::plan::branch::{static_tables, stream_tables};
use crate::plan::compile::{QueryPlan, compile};
use crate::tasks::Pool;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::DFSchema;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

/// Queries that start together, with their graph and the state that they were planned against.
pub struct Planned {
    pub graph: Graph,
    pub queries: Vec<Routed>,
    pub state: State,
    /// Tables without connector that end are read as they are now (SELECT), or as they go on (INSERT … SELECT).
    pub snapshot: bool,
}

/// Starts a program and gives its queries, once its sources are open.
pub async fn start(engine: &Engine, planned: Planned) -> Result<Vec<Query>> {
    let control = Arc::new(Control::of(planned.graph.outputs.len()));
    let store = Arc::new(BatchStore::default());
    let late = Arc::new(LateLog::new(planned.state.settings.kept_rows));
    let metrics = Arc::new(Metrics::default());
    let (news, outcome) = watch::channel(Fate::default());
    let news = Arc::new(news);
    let running = Arc::new(Running {
        control: Arc::clone(&control),
        store: Arc::clone(&store),
        late: Arc::clone(&late),
        metrics: Arc::clone(&metrics),
        outcome,
    });
    let mut queries = Vec::new();
    let mut deliveries = Vec::new();
    for (index, routed) in planned.queries.iter().enumerate() {
        let output = &planned.graph.outputs[index];
        let (delivery, updates) = delivery(&routed.target, output.bounded, &output.schema, &planned.state)?;
        let late = match &routed.late {
            None => None,
            Some(LateInto { target, schema }) => {
                let (to, _) = self::delivery(target, output.bounded, schema, &planned.state)?;
                let schema = Arc::clone(schema);
                Some(Box::new(Fitted { to, schema }) as Box<dyn Delivery>)
            }
        };
        deliveries.push(Receiver { rows: delivery, late });
        queries.push(Query {
            name: output.name.clone(),
            schema: Arc::clone(&output.schema),
            output: index,
            bounded: output.bounded,
            limited: output.bounded && reads_endless(routed, &planned.state),
            running: Arc::clone(&running),
            risks: Arc::from(routed.plan.risks.as_slice()),
            updates: Mutex::new(updates),
        });
        engine.lock().running.add(&output.name, &running, index);
    }
    let reads_streams = !planned.graph.sources.is_empty();
    let manual = engine.inner.manual && reads_streams;
    let build = Build {
        tasks: engine.inner.tasks.clone(),
        readers: engine.inner.readers.clone(),
        control: Arc::clone(&control),
        store,
        late,
        metrics,
        clock: Arc::clone(&engine.inner.clock),
        news: Arc::clone(&news),
        at_once: manual,
    };
    let (opened, open) = oneshot::channel();
    let runtime = engine.inner.runtime.as_ref().map(|r| r.handle().clone());
    let work = move || {
        // Small tasks run on this thread: operators that spawn find the engine's runtime here too.
        let _entered = runtime.as_ref().map(Handle::enter);
        let program = build.program(planned, deliveries);
        match program {
            Ok(program) => {
                // Whoever started it may have gone; it runs all the same.
                let _ = opened.send(Ok(()));
                let tell = |told| {
                    news.send_modify(|fate| {
                        match told {
                            Told::Stopped(output) => fate.stopped.insert(output),
                            Told::Finished(output) => fate.finished.insert(output),
                        };
                    });
                };
                let (ended, mut rest) = drive(program, &control, manual, &tell);
                news.send_modify(|fate| {
                    fate.ended = Some(ended);
                    fate.lingering = rest.outputs;
                });
                rest.lanes.join_all();
                news.send_modify(|fate| fate.lingering.clear());
            }
            Err(error) => {
                let error = Arc::new(error);
                let _ = opened.send(Err(error.again()));
                news.send_modify(|fate| fate.ended = Some(Ended::Failed(error)));
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("waterwheel-driver".to_string())
        .spawn(work);
    thread.map_err(|e| Error::internal("a thread could not be started").because(e))?;
    match open.await {
        Ok(result) => result.map(|()| queries),
        Err(_) => Err(Error::internal("a program broke off before it started")),
    }
}

/// Whether what a query reads comes without end, and not from the host's own hand.
fn reads_endless(routed: &Routed, state: &State) -> bool {
    let streams = stream_tables(&routed.plan.plan).into_iter();
    let mut endless = streams.filter(|(_, bounded)| !bounded);
    endless.any(|(name, _)| !state.push.contains_key(&name))
}

type Delivering = (Box<dyn Delivery>, Option<Unread>);

fn delivery(target: &Target, bounded: bool, schema: &SchemaRef, state: &State) -> Result<Delivering> {
    match target {
        Target::Reader => {
            let (sender, updates) = mpsc::unbounded_channel();
            let bytes = Arc::default();
            let reader = ToReader {
                schema: Arc::clone(schema),
                updates: sender,
                unread: Arc::clone(&bytes),
                prepared: None,
            };
            Ok((Box::new(reader), Some(Unread { updates, bytes })))
        }
        Target::Callback(callback) => {
            let to = ToCallback {
                schema: Arc::clone(schema),
                callback: callback.clone(),
                prepared: None,
            };
            Ok((Box::new(to), None))
        }
        Target::Sink(spec) => {
            let connector = spec.connector.as_deref().and_then(crate::connectors::find);
            let Some(open) = connector.and_then(|c| c.sink) else {
                return Err(Error::refused(format!("`{}` cannot be written to", spec.name)));
            };
            let sink = open(spec, Arc::clone(schema), bounded)?;
            Ok((Box::new(ToSink::new(sink, spec)), None))
        }
        Target::Table(spec) => {
            let insert = memory_insert(state, spec)?;
            Ok((
                Box::new(ToTable {
                    insert: Some(insert),
                    required: Required::of(spec),
                    prepared: Vec::new(),
                }),
                None,
            ))
        }
    }
}

fn memory_insert(state: &State, spec: &TableSpec) -> Result<InsertHandle> {
    match state.memory.get(&spec.name) {
        Some(table) => table.insert(format!("INSERT INTO {}", spec.name)),
        None => Err(Error::internal(format!("the table {} is not there", spec.name))),
    }
}

/// What a program's thread starts from.
struct Build {
    tasks: Pool,
    readers: Pool,
    control: Arc<Control>,
    store: Arc<BatchStore>,
    late: Arc<LateLog>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    news: Arc<watch::Sender<Fate>>,
    /// Every output is delivered to within the interval.
    at_once: bool,
}

impl Build {
    fn program(self, planned: Planned, deliveries: Vec<Receiver>) -> Result<Program> {
        let settings = planned.state.settings.clone();
        let mut tables = BTreeMap::new();
        for plan in planned.queries.iter().map(|q| &q.plan.plan) {
            for spec in static_tables(plan) {
                if !tables.contains_key(&spec.name) {
                    let rows = self.static_rows(&spec, &planned.state)?;
                    tables.insert(spec.name.clone(), rows);
                }
            }
        }
        self.assemble(
            planned.graph,
            settings,
            &planned.state,
            StaticTables(tables),
            deliveries,
            planned.snapshot,
        )
    }

    fn assemble(
        &self,
        graph: Graph,
        settings: Settings,
        state: &State,
        tables: StaticTables,
        deliveries: Vec<Receiver>,
        snapshot: bool,
    ) -> Result<Program> {
        let shop = Workshop {
            session: Arc::clone(&state.session),
            tables: Arc::new(tables),
            lookups: Arc::default(),
            stop: Stop::default(),
        };
        let tasks = Tasks::new(&graph, settings.threads(), &shop, &self.control.stops)?;
        let mut intakes = Vec::new();
        for node in graph.sources.iter().filter_map(|id| graph.nodes.get(*id)) {
            if let Op::Source(source) = &node.op {
                intakes.push(self.intake(source, state, snapshot, &node.schema)?);
            }
        }
        let outputs = self.outputs(&graph, deliveries)?;
        Ok(Program::new(Parts {
            declared: Declared::new(&graph, &shop)?,
            graph,
            settings,
            intakes,
            tasks,
            pool: self.tasks.clone(),
            store: Arc::clone(&self.store),
            outputs,
            late: Arc::clone(&self.late),
            metrics: Arc::clone(&self.metrics),
            clock: Arc::clone(&self.clock),
        }))
    }

    fn outputs(&self, graph: &Graph, deliveries: Vec<Receiver>) -> Result<Outputs> {
        let control = Arc::clone(&self.control);
        let ring: Ring = Arc::new(move || control.ring());
        let news = Arc::clone(&self.news);
        let told = move |output: usize, why: &Arc<Error>| {
            news.send_modify(|fate| {
                fate.failed.insert(output, Arc::clone(why));
            });
        };
        let ring = (!self.at_once).then_some(&ring);
        Outputs::new(&graph.outputs, deliveries, ring, Box::new(told))
    }

    fn intake(&self, node: &SourceNode, state: &State, snapshot: bool, schema: &SchemaRef) -> Result<Intake> {
        let mut source = self.source(&node.table, state, snapshot && node.bounded)?;
        if let Some(pruned) = pruning(node, state)?.and_then(|pruning| source.pruned(pruning)) {
            source = pruned;
        }
        let time = match &node.event_time {
            None => None,
            Some(time) => {
                let columns = DFSchema::try_from(schema.as_ref().clone()).map_err(failed)?;
                let expr = state
                    .session
                    .create_physical_expr(time.expr.clone(), &columns)
                    .map_err(failed)?;
                Some(Clockwork {
                    expr,
                    unit: time.unit,
                    delay_ns: time.delay_ns,
                    skew: Skew::of(&node.table, &time.column)?,
                })
            }
        };
        let control = Arc::clone(&self.control);
        let bell = Bell(Arc::new(move || control.ring()));
        Intake::new(source, node, time, bell, self.readers.threads() + 1)
    }

    fn source(&self, spec: &TableSpec, state: &State, snapshot: bool) -> Result<Arc<dyn Source>> {
        let Some(name) = &spec.connector else {
            let table: Option<&MemoryTable> = state.memory.get(&spec.name);
            return match (table, snapshot) {
                (Some(table), true) => Ok(table.snapshot_source()),
                (Some(table), false) => Ok(table.live_source()),
                (None, _) => Err(Error::internal(format!("the table {} is not there", spec.name))),
            };
        };
        if let Some(push) = state.push.get(&spec.name) {
            return Ok(Arc::new(push.clone()));
        }
        let readers = self.readers.clone();
        let workers = Workers {
            threads: readers.threads(),
            spawn: Arc::new(move |job| readers.spawn(job)),
        };
        match crate::connectors::find(name).and_then(|c| c.source) {
            Some(open) => open(spec, &workers),
            None => Err(Error::refused(format!("connector `{name}` cannot be read"))),
        }
    }

    /// All rows of a static table, by running a small program to its end on this thread.
    fn static_rows(&self, spec: &Arc<TableSpec>, state: &State) -> Result<Vec<RecordBatch>> {
        if let Some(rows) = system_rows(spec, state)? {
            return Ok(rows);
        }
        let plan = Planning::new(state.clone(), "").whole_table(spec).map_err(failed)?;
        let graph = compile(&[QueryPlan::new(spec.name.clone(), plan)]).map_err(failed)?;
        let rows = Arc::new(Mutex::new(Vec::new()));
        let collect = Box::new(ToMemory(Arc::clone(&rows)));
        let to = Receiver {
            rows: collect,
            late: None,
        };
        let build = Build {
            tasks: self.tasks.clone(),
            readers: self.readers.clone(),
            control: Arc::new(Control::default()),
            store: Arc::default(),
            late: Arc::new(LateLog::new(0)),
            metrics: Arc::default(),
            clock: Arc::clone(&self.clock),
            news: Arc::new(watch::channel(Fate::default()).0),
            at_once: true,
        };
        let settings = state.settings.clone();
        let program = build.assemble(graph, settings, state, StaticTables::default(), vec![to], true)?;
        match drive(program, &build.control, false, &|_| ()).0 {
            Ended::Failed(error) => Err(error.again()),
            Ended::Stopped => Err(Error::new(
                Kind::Internal,
                format!("reading `{}` was stopped", spec.name),
            )),
            Ended::Done => Ok(std::mem::take(&mut rows.lock().unwrap_or_else(PoisonError::into_inner))),
        }
    }
}

/// What a source may leave out (docs/time.md, "Leaving out"): nothing where rows of the future have to be found, or
/// where event time is computed, as no statistics tell its greatest value.
fn pruning(node: &SourceNode, state: &State) -> Result<Option<Pruning>> {
    let Some(predicate) = node.predicate.as_ref().filter(|_| !node.placed) else {
        return Ok(None);
    };
    let schema = node.table.physical_schema();
    let greatest_of = match &node.event_time {
        None => None,
        Some(_) if node.table.options.contains_key("max_future_skew") => return Ok(None),
        Some(time) => match time.expr.try_as_col().map(|column| schema.index_of(&column.name)) {
            Some(Ok(index)) => Some(schema.field(index).name().clone()),
            _ => return Ok(None),
        },
    };
    let columns = DFSchema::try_from(schema.as_ref().clone()).map_err(failed)?;
    let predicate = state
        .session
        .create_physical_expr(predicate.clone(), &columns)
        .map_err(failed)?;
    // A condition that tells nothing of blocks prunes none.
    let useful = PruningPredicateBuilder::new().with_file_schema(schema).build(predicate);
    Ok(useful.map(|predicate| Pruning { predicate, greatest_of }))
}

/// The rows of a relation that the engine fills, as they are now; `None` for any other.
fn system_rows(spec: &TableSpec, state: &State) -> Result<Option<Vec<RecordBatch>>> {
    let of = spec.options.get(OF).map(String::as_str).unwrap_or_default();
    match spec.connector.as_deref() {
        Some(LATE_ROWS) => {
            let rows = state
                .running
                .of(of)
                .flat_map(|(program, output)| program.late.late_rows(output));
            Ok(Some(rows.collect()))
        }
        Some(DEAD_LETTERS) => {
            let programs = state.running.programs().into_iter();
            programs
                .map(|program| program.late.dead_letters(of))
                .collect::<Result<Vec<_>>>()
                .map(Some)
        }
        _ => Ok(None),
    }
}

/// Rows of a static table.
struct ToMemory(Arc<Mutex<Vec<RecordBatch>>>);

impl Delivery for ToMemory {
    fn prepare(&mut self, _interval: u64, batches: &[RecordBatch]) -> Result<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(batches);
        Ok(())
    }

    fn commit(&mut self, _interval: u64) -> Result<bool> {
        Ok(true)
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self, _why: Option<&Error>) {}
}
