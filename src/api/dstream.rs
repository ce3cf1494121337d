//! D-Streams by methods instead of SQL: the API of the papers on the same graph.
//!
//! A [`DStream`] is a logical plan that grows by a node per method, and goes the way of a SELECT when it starts: the same
//! optimizer, the same graph, the same intervals and lineage. So what SQL refuses is refused here, and what holds for a
//! SELECT holds here. (Zaharia, Das, Li, Shenker and Stoica: "Discretized Streams: An Efficient and Fault-Tolerant Model
//! for Stream Processing on Large Clusters", HotCloud 2012; Zaharia et al.: "Discretized Streams: Fault-Tolerant
//! Streaming Computation at Scale", SOSP 2013, §3.)

use super::engine::Engine;
use crate::dstream::nodes::{CLOCK_FUNCTION, WINDOW_END, WINDOW_START, WINDOW_TIME, WindowNode};
use crate::error::{Diagnostic, Error, Kind, Result};
use crate::operators::batch_function::BatchFunction;
use crate::operators::inverse::Inverses;
use crate::plan::diagnose::{Context, diagnose};
use crate::plan::facts::{Facts, Tag, facts};
use crate::plan::inverse;
use crate::plan::session::Names;
use crate::plan::window_over::{Arrival, over_time};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, JoinType, TableReference};
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::logical_expr::planner::ContextProvider;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, ident};
use std::sync::Arc;
use std::time::Duration;

/// A stream of immutable datasets, one per interval, and the operators that made it. Made by [`Engine::stream`]; nothing
/// runs before [`DStream::foreach`], [`DStream::save`] or [`DStream::query`].
///
/// Columns are named as in SQL: `col("price")` finds `price`, `ident("Price")` keeps its case. `col`, `ident` and the
/// aggregates are those of [`crate::datafusion`], of the version that this crate is built with.
///
/// Rows that came too late for its windows are left out as under SQL, and counted: [`Query::late_counts`] and
/// [`Query::late_rows`] of the query that runs, or `late_rows('q1')` in SQL, tell which.
///
/// [`Query::late_counts`]: crate::Query::late_counts
/// [`Query::late_rows`]: crate::Query::late_rows
#[must_use = "nothing runs before `foreach`, `save` or `query`"]
#[derive(Clone)]
pub struct DStream {
    pub(super) engine: Engine,
    pub(super) plan: LogicalPlan,
}

/// The windows of [`DStream::window`]: one after the other (a [`Duration`]), or each of a size, begun every slide (a pair
/// of size and slide).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    size: Duration,
    slide: Option<Duration>,
}

impl From<Duration> for Span {
    fn from(size: Duration) -> Span {
        Span { size, slide: None }
    }
}

impl From<(Duration, Duration)> for Span {
    fn from((size, slide): (Duration, Duration)) -> Span {
        Span {
            size,
            slide: Some(slide),
        }
    }
}

impl Engine {
    /// The D-Stream of a declared source, table or view; a view may hold whatever SQL can say.
    ///
    /// The name stands here as `SHOW TABLES` gives it, without quotes: what was created as `Bid` is `bid`, and what was
    /// created as `"Bid"` is `Bid`.
    ///
    /// Errors: nothing has that name (a path is none), or it is a sink.
    pub fn stream(&self, name: &str) -> Result<DStream> {
        let state = self.lock();
        if state.catalog.get(name).is_none() {
            let unknown = Diagnostic::error("unknown_table", format!("`{name}` not found"));
            return Err(unknown.suggest(name, state.catalog.names()).into());
        }
        let names = Names {
            session: &state.session,
            options: state.session.config_options().as_ref().clone(),
            catalog: &state.catalog,
        };
        let table = TableReference::bare(name.to_string());
        let scanned = names
            .get_table_source(table.clone())
            .and_then(|source| LogicalPlanBuilder::scan(table, source, None)?.build());
        let plan = scanned.map_err(|e| told(&e))?;
        drop(state);
        Ok(DStream {
            engine: self.clone(),
            plan,
        })
    }
}

impl DStream {
    /// The columns that it has.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.plan.schema().inner())
    }

    /// These expressions of each row, in place of its columns.
    ///
    /// Only a column that is passed on unchanged stays event time, or a column of a window.
    ///
    /// Errors: an expression names a column that is not there, or is an aggregate.
    pub fn map(self, columns: impl IntoIterator<Item = Expr>) -> Result<DStream> {
        let columns: Vec<Expr> = columns.into_iter().collect();
        of_rows("`map`", &columns)?;
        self.grown(|plan| plan.project(columns))
    }

    /// What a function that [`Engine::register_batches`] made known gives for each batch, and the columns `kept` behind.
    /// The function finds its columns by their names.
    ///
    /// Errors: there is no such function; a column that it takes is not there.
    pub fn map_batches(self, function: &str, kept: impl IntoIterator<Item = Expr>) -> Result<DStream> {
        const GIVEN: &str = "__given";
        let (call, output) = self.call(function)?;
        let own: Vec<Expr> = self.plan.schema().columns().into_iter().map(Expr::Column).collect();
        let fields = output.fields().iter();
        let given = fields.map(|field| ident(GIVEN).field(field.name().clone()).alias(field.name()));
        let columns: Vec<Expr> = given.chain(kept).collect();
        of_rows("`map_batches`", &columns)?;
        let called = [call.alias(GIVEN)].into_iter().chain(own);
        self.grown(|plan| plan.project(called)?.project(columns))
    }

    /// The rows for which a condition is true.
    ///
    /// Errors: it names a column that is not there, or holds an aggregate.
    pub fn filter(self, condition: Expr) -> Result<DStream> {
        of_rows("`filter`", std::slice::from_ref(&condition))?;
        self.grown(|plan| plan.filter(condition))
    }

    /// The rows for which a function that [`Engine::register_batches`] made known gives true. It gives one column, of
    /// type BOOLEAN.
    ///
    /// Errors: there is no such function; a column that it takes is not there.
    pub fn filter_batches(self, function: &str) -> Result<DStream> {
        let (call, output) = self.call(function)?;
        let [field] = &output.fields()[..] else {
            let message = format!("`{function}` gives {} columns, and a filter one", output.fields().len());
            return Err(Error::refused(message));
        };
        let condition = call.field(field.name().clone());
        self.grown(|plan| plan.filter(condition))
    }

    /// Each row once per window over its event time, or over the time of its arrival when its source declares no event
    /// time (such windows are multiples of the setting `interval`): its columns, then `window_start`, `window_end` and
    /// `window_time`. A window is `[start, end)`, aligned to the epoch in UTC. As `SELECT … FROM TUMBLE(…)` or `HOP(…)`: row by row; what
    /// works per window above it ([`DStream::reduce`], [`DStream::join`]) keeps the rows until their window closes, and
    /// leaves out those that come later than that.
    ///
    /// What has windows already, whether it is reduced or not, has their `window_time` as its event time: the new windows
    /// are windows of windows, whose columns take the place of those below ([`DStream::map`] keeps those under other
    /// names). None of their rows is late.
    ///
    /// `window(size)` is one window after the other, `window((size, slide))` begins one every slide. (SOSP 2013, §3.1.1,
    /// "windowing".)
    ///
    /// Errors: the stream has lost the event time of its source, or has several; a width is zero, finer than the time
    /// column, or no multiple of `interval`; the slide is larger than the size.
    pub fn window(self, span: impl Into<Span>) -> Result<DStream> {
        let Span { size, slide } = span.into();
        let ns = |width: Duration| {
            i64::try_from(width.as_nanos()).map_err(|_| Error::refused("a window is at most 292 years wide"))
        };
        let (size, slide) = (ns(size)?, slide.map(ns).transpose()?);
        let arrival = self.arrival()?;
        self.over(|plan| over_time(plan, size, slide, &arrival))
    }

    /// The aggregates of each window and key: `window_start`, `window_end`, `window_time`, the keys, the aggregates. Given
    /// when the window closes, once. ("Incremental aggregation", SOSP 2013, §3.1.1: each row is aggregated once per pane,
    /// and windows are made of panes.)
    ///
    /// Errors: those of [`DStream::window`], and of [`DStream::reduce`].
    pub fn reduce_by_window(
        self,
        span: impl Into<Span>,
        keys: impl IntoIterator<Item = Expr>,
        aggregates: impl IntoIterator<Item = Expr>,
    ) -> Result<DStream> {
        self.window(span)?.reduce(keys, aggregates)
    }

    /// The same, each window made from the one before it: what enters is added, what leaves is taken away, so that a window
    /// costs what its groups and the panes at its ends cost, however long it is. For aggregates with an exact inverse:
    /// `count`, `sum` of integers and decimals, and those of the host that [`Engine::register_inverse`] was told of.
    /// (`reduceByWindow` with an inverse, SOSP 2013, §3.1.1.)
    ///
    /// Errors: those of [`DStream::reduce_by_window`]; an aggregate has no exact inverse.
    pub fn reduce_by_window_with_inverse(
        self,
        span: impl Into<Span>,
        keys: impl IntoIterator<Item = Expr>,
        aggregates: impl IntoIterator<Item = Expr>,
    ) -> Result<DStream> {
        let windows = self.window(span)?.over(with_inverse)?;
        let aggregates: Vec<Expr> = aggregates.into_iter().collect();
        let reduced = windows.reduce(keys, aggregates)?;
        let LogicalPlan::Aggregate(aggregate) = &reduced.plan else {
            return Err(Error::internal("a reduction that is no aggregate"));
        };
        let known = Inverses::of(&reduced.engine.lock().session);
        let is_registered = |name: &str| known.by_name.contains_key(name);
        for expr in &aggregate.aggr_expr {
            inverse::check(expr, &aggregate.input, is_registered).map_err(|e| told(&e))?;
        }
        Ok(reduced)
    }

    /// The aggregates of each window and key of a stream that has windows already, e.g. of two that are joined.
    ///
    /// Errors: the stream has no windows; an expression names a column that is not there, or is no aggregate.
    pub fn reduce(
        self,
        keys: impl IntoIterator<Item = Expr>,
        aggregates: impl IntoIterator<Item = Expr>,
    ) -> Result<DStream> {
        if window_of(&facts(&self.plan)).is_none() {
            return Err(Error::refused(
                "`reduce` needs windows: call `window` first, or `reduce_by_window`",
            ));
        }
        let windows = [WINDOW_START, WINDOW_END, WINDOW_TIME];
        let schema = self.plan.schema();
        let there = windows
            .into_iter()
            .filter(|name| schema.has_column_with_unqualified_name(name));
        let group: Vec<Expr> = there.map(ident).chain(keys).collect();
        let aggregates: Vec<Expr> = aggregates.into_iter().collect();
        of_rows("a key of reduce", &group)?;
        if !aggregates
            .iter()
            .all(|e| matches!(e.clone().unalias(), Expr::AggregateFunction(_)))
        {
            let message = "each column of `reduce` is one aggregate: compute with their values in a `map` above it";
            return Err(Error::refused(message));
        }
        self.grown(|plan| plan.aggregate(group, aggregates))
    }

    /// The pairs of rows that are equal in the columns `on` (left, right), within the same window; or each row of a
    /// stream with the rows of a table that does not change (`CREATE EXTERNAL TABLE`). The columns of the left, then
    /// those of the right that are not known to be equal. (SOSP 2013, §3.1: `join` of the datasets of an interval.)
    ///
    /// The join is inner. Outer joins of windows are written in SQL, in a view that [`Engine::stream`] takes.
    ///
    /// Errors: both are streams, and do not have the same windows; both have a column of one name.
    pub fn join(self, other: DStream, on: &[(&str, &str)]) -> Result<DStream> {
        let (left, right) = (facts(&self.plan), facts(&other.plan));
        let is_static = |facts: &Facts| facts.class == crate::plan::facts::Class::Static;
        let mut keys: Vec<(String, String)> = on.iter().map(|(l, r)| (l.to_string(), r.to_string())).collect();
        if !is_static(&left) && !is_static(&right) {
            match (window_of(&left), window_of(&right)) {
                (Some(a), Some(b)) if a == b => {
                    keys.extend([WINDOW_START, WINDOW_END].map(|name| (name.to_string(), name.to_string())));
                }
                (Some(_), Some(_)) => {
                    return Err(Error::refused(
                        "a join needs the same windows on both sides: these differ",
                    ));
                }
                _ => {
                    return Err(Error::refused(
                        "a join of two streams needs windows: call `window` on both, with the same size and slide",
                    ));
                }
            }
        }
        self.joined(other, &keys)
    }

    fn joined(self, other: DStream, keys: &[(String, String)]) -> Result<DStream> {
        const LEFT: &str = "__left";
        const RIGHT: &str = "__right";
        if !Arc::ptr_eq(&self.engine.inner, &other.engine.inner) {
            return Err(Error::refused("a join is of streams of one engine"));
        }
        for (name, side) in keys.iter().flat_map(|(l, r)| [(l, &self.plan), (r, &other.plan)]) {
            if !side.schema().has_column_with_unqualified_name(name) {
                return Err(unknown_column(name, side).into());
            }
        }
        let is_window = |name: &str| [WINDOW_START, WINDOW_END, WINDOW_TIME].contains(&name);
        let both_windowed = keys.iter().any(|(l, r)| l == WINDOW_END && r == WINDOW_END);
        let twice = |name: &str| keys.iter().any(|(l, r)| l == name && r == name) || both_windowed && is_window(name);
        let mut columns: Vec<Expr> = Vec::new();
        let of_left = self.plan.schema().fields().iter().map(|f| (LEFT, f.name()));
        let of_right = other.plan.schema().fields().iter().map(|f| (RIGHT, f.name()));
        let mut names: Vec<&String> = Vec::new();
        for (side, name) in of_left.chain(of_right.filter(|(_, name)| !twice(name))) {
            if names.contains(&name) {
                let message = format!("both sides of the join have a column `{name}`: rename one of them with `map`");
                return Err(Error::refused(message));
            }
            names.push(name);
            columns.push(Expr::Column(Column::new(Some(side), name)).alias(name));
        }
        let side = |side: &str, name: &String| Column::new(Some(side.to_string()), name);
        let on = keys
            .iter()
            .map(|(l, r)| (side(LEFT, l), side(RIGHT, r)))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let right = other.plan.clone();
        self.grown(|left| {
            let right = LogicalPlanBuilder::from(right).alias(RIGHT)?.build()?;
            left.alias(LEFT)?
                .join(right, JoinType::Inner, on, None)?
                .project(columns)
        })
    }

    /// What windows by arrival are made of.
    fn arrival(&self) -> Result<Arrival> {
        let state = self.engine.lock();
        let clock = state.session.scalar_functions().get(CLOCK_FUNCTION);
        let clock = clock.ok_or_else(|| Error::internal("the clock is missing"))?;
        Ok(Arrival {
            clock: clock.call(Vec::new()),
            grain_ns: state.settings.interval_ns,
        })
    }

    /// The call of a registered function with its columns, and what it gives.
    fn call(&self, function: &str) -> Result<(Expr, SchemaRef)> {
        let session = Arc::clone(&self.engine.lock().session);
        let known = session.scalar_functions();
        let found = known.get(function);
        let Some((code, batches)) = found.and_then(|f| Some((f, BatchFunction::of(f)?))) else {
            let batches = known.iter().filter(|(_, f)| BatchFunction::of(f).is_some());
            let names = batches.map(|(name, _)| name.as_str());
            let message = format!("there is no function over batches called `{function}`");
            return Err(Diagnostic::error("unknown_function", message)
                .suggest(function, names)
                .into());
        };
        let mut arguments = Vec::new();
        for field in batches.input.fields() {
            if !self.plan.schema().has_column_with_unqualified_name(field.name()) {
                let unknown = unknown_column(field.name(), &self.plan);
                return Err(unknown.note(format!("`{function}` takes it")).into());
            }
            arguments.push(ident(field.name()));
        }
        Ok((code.call(arguments), Arc::clone(&batches.output)))
    }

    fn grown(
        self,
        grow: impl FnOnce(LogicalPlanBuilder) -> datafusion::common::Result<LogicalPlanBuilder>,
    ) -> Result<DStream> {
        self.over(|plan| grow(LogicalPlanBuilder::from(plan))?.build())
    }

    fn over(self, grow: impl FnOnce(LogicalPlan) -> datafusion::common::Result<LogicalPlan>) -> Result<DStream> {
        let plan = grow(self.plan).map_err(|e| told(&e))?;
        Ok(DStream {
            engine: self.engine,
            plan,
        })
    }
}

/// Refuses what needs more than a row.
fn of_rows(method: &str, exprs: &[Expr]) -> Result<()> {
    let needs_more = |e: &Expr| Ok(matches!(e, Expr::AggregateFunction(_) | Expr::WindowFunction(_)));
    let found = exprs.iter().any(|e| e.exists(needs_more).unwrap_or(true));
    match found {
        true => Err(Error::refused(format!(
            "{method} works row by row: aggregates stand in `reduce_by_window`, behind the keys"
        ))),
        false => Ok(()),
    }
}

/// A window function whose aggregates are made from those of the window before.
fn with_inverse(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let marked = plan.transform_down(|node| {
        let LogicalPlan::Extension(extension) = &node else {
            return Ok(Transformed::no(node));
        };
        let Some(window) = extension.node.as_any().downcast_ref::<WindowNode>() else {
            return Ok(Transformed::no(node));
        };
        let window = WindowNode {
            inverse: true,
            label: format!("{}, with inverse", window.label),
            ..window.clone()
        };
        let node = LogicalPlan::Extension(Extension { node: Arc::new(window) });
        Ok(Transformed::new(node, true, TreeNodeRecursion::Stop))
    })?;
    Ok(marked.data)
}

/// The windows of a relation, if it has any.
fn window_of(facts: &Facts) -> Option<Tag> {
    facts.tags.iter().find(|tag| matches!(tag, Tag::WindowEnd(..))).copied()
}

fn unknown_column(name: &str, plan: &LogicalPlan) -> Diagnostic {
    let known: Vec<&str> = plan.schema().fields().iter().map(|f| f.name().as_str()).collect();
    Diagnostic::error("unknown_column", format!("column `{name}` not found"))
        .note(format!("the columns are: {}", known.join(", ")))
        .suggest(name, known)
}

/// A mistake in an expression, in our words. There is no text to point into.
pub(super) fn told(error: &DataFusionError) -> Error {
    let context = Context {
        text: "",
        statement: 0..0,
        byte_of: &|_, _| None,
        tables: Vec::new(),
        columns: Vec::new(),
        fields: Vec::new(),
        functions: Vec::new(),
    };
    mistakes(vec![diagnose(error, &context)])
}

/// The same for what planning has found.
pub(super) fn mistakes(mut found: Vec<Diagnostic>) -> Error {
    for diagnostic in &mut found {
        diagnostic.span = None;
    }
    let refused = found.iter().all(|d| d.code.starts_with("no_"));
    Error::from_diagnostics(if refused { Kind::Refused } else { Kind::Sql }, found)
}
