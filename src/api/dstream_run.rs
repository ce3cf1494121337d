//! Starting a D-Stream: where its datasets go, interval by interval.

use super::delivery::Callback;
use super::dstream::{DStream, mistakes};
use super::engine::Engine;
use super::insert::Columns;
use super::launch;
use super::planning::{Planning, Routed, Target};
use super::query::Query;
use super::show;
use crate::error::{Diagnostic, Error, Result};
use crate::operators::batch_function::BatchFunction;
use crate::operators::inverse::Inverses;
use crate::plan::compile::QueryPlan;
use crate::sql::statement::Name;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use std::sync::Arc;

impl Engine {
    /// Makes a function over Arrow batches known under a name, which plans carry: for [`DStream::map_batches`] and
    /// [`DStream::filter_batches`], and in SQL as a function of the columns of `input` that gives a struct.
    ///
    /// It is given the columns of `input`, any of which may hold NULL, and gives those of `output`, one row for each row.
    /// It must give the same for the same rows: a batch that is lost is computed again. Batches are cut as tasks need it.
    ///
    /// Errors: a function of that name is known already.
    pub fn register_batches(
        &self,
        name: &str,
        input: SchemaRef,
        output: SchemaRef,
        function: impl Fn(&RecordBatch) -> Result<RecordBatch, ArrowError> + Send + Sync + 'static,
    ) -> Result<()> {
        if self.lock().session.scalar_functions().contains_key(name) {
            return Err(Error::refused(format!("a function called `{name}` is known already")));
        }
        let function = BatchFunction::new(name.to_string(), input, output, Arc::new(function));
        self.register_udf(function.into())
    }

    /// Says what takes partial states of an aggregate of the host's own away again, for
    /// [`DStream::reduce_by_window_with_inverse`].
    ///
    /// It is given the state columns of the aggregate (those of its accumulators), a group per row, and gives as many of
    /// the same types: what, merged into a state, leaves that state as it was before the given one was merged. This must
    /// be exact, also where a state has seen NULLs only: windows are made from one another as long as the query runs.
    /// (The inverse function of `reduceByWindow`, SOSP 2013, §3.1.1.)
    ///
    /// Errors: there is no aggregate of that name ([`Engine::register_udaf`]), or its inverse is known already.
    pub fn register_inverse(
        &self,
        aggregate: &str,
        inverse: impl Fn(&RecordBatch) -> Result<RecordBatch, ArrowError> + Send + Sync + 'static,
    ) -> Result<()> {
        let session = Arc::clone(&self.lock().session);
        let known = session.aggregate_functions();
        if !known.contains_key(aggregate) {
            let unknown = format!("there is no aggregate called `{aggregate}`");
            let names = known.keys().map(String::as_str);
            return Err(Diagnostic::error("unknown_function", unknown)
                .suggest(aggregate, names)
                .into());
        }
        let mut inverses = Inverses::of(&session).as_ref().clone();
        let built_in = ["count", "sum"].contains(&aggregate);
        if built_in
            || inverses
                .by_name
                .insert(aggregate.to_string(), Arc::new(inverse))
                .is_some()
        {
            return Err(Error::refused(format!("the inverse of `{aggregate}` is known already")));
        }
        self.register(|session| {
            session.config_mut().set_extension(Arc::new(inverses));
            Ok(())
        })
    }
}

/// D-Streams that start together, as one program: they share the reading of their sources, and intervals of one number
/// hold the same rows. Made by [`Engine::together`].
#[must_use = "nothing runs before `start`"]
pub struct Together {
    engine: Engine,
    parts: Vec<(DStream, To)>,
}

/// Where a D-Stream goes.
#[derive(Clone)]
enum To {
    Reader,
    Callback(Callback),
    Sink(String),
}

impl Engine {
    /// Begins a program of several D-Streams.
    pub fn together(&self) -> Together {
        Together {
            engine: self.clone(),
            parts: Vec::new(),
        }
    }
}

impl Together {
    /// With the rows of a stream as [`Query::stream`] gives them; see [`DStream::query`].
    pub fn query(self, stream: DStream) -> Together {
        self.with(stream, To::Reader)
    }

    /// With a callback; see [`DStream::foreach`].
    pub fn foreach(
        self,
        stream: DStream,
        callback: impl FnMut(u64, &RecordBatch) -> Result<()> + Send + 'static,
    ) -> Together {
        self.with(stream, To::Callback(Callback::new(callback)))
    }

    /// With a sink or table; see [`DStream::save`].
    pub fn save(self, stream: DStream, sink: &str) -> Together {
        self.with(stream, To::Sink(sink.to_string()))
    }

    fn with(mut self, stream: DStream, to: To) -> Together {
        self.parts.push((stream, to));
        self
    }

    /// Starts them; their queries, in the order in which they were named. One that fails leaves the others running.
    ///
    /// Errors: what one of them cannot be started for; then none has started.
    pub async fn start(self) -> Result<Vec<Query>> {
        let planned = self.planned()?;
        self.engine.start(planned).await
    }

    /// Plans against the engine's state, and keeps what that changed.
    fn planned(&self) -> Result<launch::Planned> {
        // As SELECT and INSERT do: one reads what a table holds, the other also what it will hold.
        let snapshot = self.parts.iter().all(|(_, to)| matches!(to, To::Reader));
        let is_ours = |(stream, _): &(DStream, To)| Arc::ptr_eq(&stream.engine.inner, &self.engine.inner);
        if !self.parts.iter().all(is_ours) {
            return Err(Error::refused("a program is made of streams of one engine"));
        }
        let mut state = self.engine.lock();
        let mut planning = Planning::new(state.clone(), "");
        let routed = self.parts.iter().map(|(stream, to)| planning.route(stream, to.clone()));
        let queries = routed.collect::<Result<Vec<_>, _>>().map_err(mistakes)?;
        let graph = planning.graph(&queries, &(0..0)).map_err(mistakes)?;
        *state = planning.state;
        Ok(launch::Planned {
            graph,
            queries,
            state: state.clone(),
            snapshot,
        })
    }
}

impl DStream {
    /// Starts it, with its rows as [`Query::stream`] gives them. A table without connector is read as it is now.
    ///
    /// Errors: what cannot run as a stream, with what to write instead; a source that cannot be opened.
    pub async fn query(self) -> Result<Query> {
        let alone = self.engine.together();
        only(alone.query(self).start().await)
    }

    /// Starts it, with a call for every interval that has rows, in the order of intervals: the number of the interval,
    /// counted from 0, and its rows. After a failure or a restart an interval may come again: its number is the key under
    /// which a receiver may know it. ("Output operators", SOSP 2013, §3.1.)
    ///
    /// The callback runs on a thread of the engine. One that is slow holds back its own query only, until
    /// `max_lag_bytes` wait for it. One that fails, or panics, fails its query: it is not called again, [`Query::wait`]
    /// gives its error, and the other queries of the program go on.
    ///
    /// Errors: those of [`DStream::query`].
    pub async fn foreach(
        self,
        callback: impl FnMut(u64, &RecordBatch) -> Result<()> + Send + 'static,
    ) -> Result<Query> {
        let alone = self.engine.together();
        only(alone.foreach(self, callback).start().await)
    }

    /// Starts it, into a declared sink, or into a table, whose columns the stream's are cast to in their order. As
    /// `INSERT INTO sink SELECT …`.
    ///
    /// Errors: nothing of that name can be written to; the columns do not fit; those of [`DStream::query`].
    pub async fn save(self, sink: &str) -> Result<Query> {
        let alone = self.engine.together();
        only(alone.save(self, sink).start().await)
    }

    /// What would run, as EXPLAIN shows it: a node a line, with its lineage, watermark and state.
    ///
    /// Errors: what cannot run as a stream.
    pub fn explain(&self) -> Result<RecordBatch> {
        let mut planning = Planning::new(self.engine.snapshot(), "");
        let routed = planning.route(self, To::Reader).map_err(mistakes)?;
        let graph = planning.graph(&[routed], &(0..0)).map_err(mistakes)?;
        show::explained(&graph)
    }
}

fn only(started: Result<Vec<Query>>) -> Result<Query> {
    started?.pop().ok_or_else(|| Error::internal("a query did not start"))
}

impl Planning<'_> {
    fn route(&mut self, stream: &DStream, to: To) -> Result<Routed, Vec<crate::error::Diagnostic>> {
        let nowhere = 0..0;
        let plan = self.repeatable(stream.plan.clone(), None);
        let plan = plan.map_err(|e| vec![self.diagnosed(&e, &nowhere)])?;
        let (name, plan, target) = match to {
            To::Sink(name) => {
                let name = Name {
                    value: name,
                    span: nowhere.clone(),
                };
                let relation = self.target(&name)?;
                let (plan, target) = self.routed_into(plan, relation, &name, &Columns::default(), &nowhere)?;
                (name.value, plan, target)
            }
            To::Reader => (self.next_name(), plan, Target::Reader),
            To::Callback(callback) => (self.next_name(), plan, Target::Callback(callback)),
        };
        let plan = self.optimised(plan, &nowhere)?;
        let routed = Routed {
            plan: QueryPlan::new(name, plan),
            target,
            once: false,
            late: None,
        };
        self.flow(&routed, &nowhere)?;
        Ok(routed)
    }
}
