//! Statements to changes of the catalog and to programs, against a state that may be a scratch copy.

use super::broken::{Broken, names_of};
use super::delivery::Callback;
use super::dropping::refuse_needed;
use super::engine::State;
use super::late::LateInto;
use super::order::{Order, starts_alone};
use super::places::Written;
use super::read_once::ReadOnce;
use super::standalone::endless;
use crate::catalog::{Relation, Table, View};
use crate::connectors::{CONNECTORS, Fault, Output, Subject};
use crate::dstream::graph::Graph;
use crate::dstream::table::{ConnectorSpec, TableSpec};
use crate::error::{Diagnostic, Error, Kind, Result, Severity};
use crate::plan::chance::recorded;
use crate::plan::compile::QueryPlan;
use crate::plan::create::Creation;
use crate::plan::diagnose::{Context, diagnose, diagnose_all, fields_of, named_twice, unknown_column, word_in};
use crate::plan::facts::{Class, facts};
use crate::plan::having::kept_above;
use crate::plan::misused::refuse_misused;
use crate::plan::session::Names;
use crate::plan::ties::break_ties;
use crate::plan::unmade::refuse_unmade;
use crate::plan::window_tables::WindowOptions;
use crate::plan::{guards, subqueries, unnest, unseen_order, zeros};
use crate::sql::statement::*;
use crate::sql::unnamed::titles;
use crate::sql::{
    Lines, digits, fetch, fields, from_first, group_window, lateral, order_keys, parse_script, patterns, qualify,
    quantified, unnamed, using, wildcards,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::planner::SqlToRel;
use datafusion::sql::sqlparser::ast;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Plans the statements of one text, one after the other, changing `state` as they would.
pub struct Planning<'a> {
    pub state: State,
    pub(super) text: &'a str,
    pub(super) lines: Lines<'a>,
    /// The files and directories to which the queries so far write.
    pub(super) written: Vec<Written>,
    /// Those to which queries of other texts write, which run.
    pub(super) beside: Vec<Output>,
    pub(super) order: Order,
    /// Tables that INSERTs read which have started, and where those stand in this text.
    pub(super) begun: BTreeMap<String, Option<usize>>,
    /// Mistakes of SELECTs that do not end, for texts in which nothing may follow them.
    endless: Vec<Diagnostic>,
    /// The text is run to its end, and no other beside it.
    pub(super) whole: bool,
}

/// A query with where its rows go.
pub struct Routed {
    pub plan: QueryPlan,
    pub target: Target,
    /// The answer is written once, when it is final.
    pub once: bool,
    /// `LATE ROWS INTO`.
    pub late: Option<LateInto>,
}

/// Where the rows of a query go.
#[derive(Debug, Clone)]
pub enum Target {
    Reader,
    Callback(Callback),
    Sink(Arc<TableSpec>),
    Table(Arc<TableSpec>),
}

pub(super) type Planned<T> = Result<T, Vec<Diagnostic>>;

impl<'a> Planning<'a> {
    pub fn new(state: State, text: &'a str) -> Self {
        Planning {
            state,
            text,
            lines: Lines::new(text),
            written: Vec::new(),
            beside: Vec::new(),
            order: Order::default(),
            begun: BTreeMap::new(),
            endless: Vec::new(),
            whole: false,
        }
    }

    /// Every mistake and warning of the text. `whole`: it is run to its end, statement by statement.
    pub fn check(mut self, whole: bool) -> Vec<Diagnostic> {
        self.whole = whole;
        let (statements, mut found) = parse_script(self.text);
        let mut broken = Broken::of(self.text, &statements);
        let mut once = ReadOnce::default();
        self.order = Order::of(&statements);
        for located in &statements {
            if let Err(mistakes) = self.rehearse(located, &mut once) {
                // What could not be created is not there for the statements after it, which is no mistake of theirs.
                found.extend(mistakes.into_iter().filter(|d| broken.missed(d, self.text).is_none()));
                broken.add(names_of(located));
            }
        }
        if whole && !self.state.selects_end {
            let last = statements.last().map(|last| &last.span);
            found.extend(self.endless.drain(..).filter(|d| d.span.as_ref() != last));
        }
        found.sort_by_key(|d| d.span.as_ref().map(|s| s.start));
        found.dedup();
        found.into_iter().map(|d| d.placed(self.text)).collect()
    }

    /// The graphs of all queries of a text that has no mistakes.
    pub fn graphs(mut self) -> Vec<Graph> {
        self.whole = true;
        let (statements, _) = parse_script(self.text);
        let mut once = ReadOnce::default();
        let graph = |located: &Located| self.rehearse(located, &mut once).ok().flatten();
        statements.iter().filter_map(graph).collect()
    }

    /// Does what a statement would do to the state, and gives the graph of what it would start.
    fn rehearse(&mut self, located: &Located, once: &mut ReadOnce) -> Planned<Option<Graph>> {
        let span = &located.span;
        if starts_alone(&located.statement) {
            self.begin();
        }
        let routed = match &located.statement {
            Statement::Query(query) => Some(self.query(query, span)?),
            Statement::Insert(insert) => Some(self.insert(insert, span)?),
            Statement::Explain(explain) => {
                // Nothing that EXPLAIN plans becomes known.
                let before = (self.state.clone(), self.written.clone());
                let graph = self.explain(explain, span);
                (self.state, self.written) = before;
                return graph.map(Some);
            }
            Statement::Copy(copy) => Some(self.copy(copy, span)?),
            other => self.define(other, span)?,
        };
        let mut graph = None;
        if let Some(routed) = &routed {
            let planned = self.graph(std::slice::from_ref(routed), span)?;
            self.check_files(routed, &planned, span)?;
            self.check_order(located, routed, &planned)?;
            if let Statement::Query(_) = &located.statement {
                self.endless.extend(endless(&planned, span));
            }
            graph = Some(planned);
        }
        self.read_once(once, located, routed.as_ref())?;
        Ok(graph)
    }

    /// CREATE, DROP, SET, RESET. A sink or table that is created with its query gives that query.
    pub fn define(&mut self, statement: &Statement, span: &Range<usize>) -> Planned<Option<Routed>> {
        match statement {
            Statement::CreateTable(create) => match &create.query {
                Some(query) => self.create_table_as(create, query, span),
                None => self.create_table(create, span).map(|()| None),
            },
            Statement::CreateView(create) => self.create_view(create, span).map(|()| None),
            Statement::CreateSink(create) => self.create_sink(create, span),
            Statement::Drop(drop) => self.drop_object(drop).map(|()| None),
            Statement::Set { name, value } => {
                let set = self.state.settings.set(&name.value, value);
                set.map_err(|d| vec![d.at(name.span.clone())]).map(|()| None)
            }
            Statement::Reset(None) => {
                self.state.settings.reset_all();
                Ok(None)
            }
            Statement::Reset(Some(name)) => {
                let reset = self.state.settings.reset(&name.value);
                reset.map_err(|d| vec![d.at(name.span.clone())]).map(|()| None)
            }
            Statement::ShowCreate(name) | Statement::Describe(name) => self.relation(name).map(|_| None),
            Statement::Show(Some(name)) => self
                .state
                .settings
                .get(&name.value)
                .map(|_| None)
                .map_err(|d| vec![d.at(name.span.clone())]),
            _ => Ok(None),
        }
    }

    /// The relation of that name.
    pub fn relation(&self, name: &Name) -> Planned<&Relation> {
        self.state.catalog.get(&name.value).ok_or_else(|| {
            let unknown = Diagnostic::error("unknown_table", format!("`{}` not found", name.value));
            vec![
                unknown
                    .at(name.span.clone())
                    .suggest(&name.value, self.state.catalog.names()),
            ]
        })
    }

    fn create_table(&mut self, create: &CreateTable, span: &Range<usize>) -> Planned<()> {
        if !self.is_free(&create.name, create.or_replace, create.if_not_exists)? {
            return Ok(());
        }
        self.refuse_push(create)?;
        let spec = self.with_creation(span, |creation| {
            creation.table(create, &|spec| self.columns_of_data(spec))
        })?;
        let connector = spec.connector.as_deref().and_then(crate::connectors::find);
        if let Some(check) = connector.and_then(|c| c.check) {
            let faults = check(&spec);
            if !faults.is_empty() {
                return Err(faults.into_iter().map(|fault| located(fault, create)).collect());
            }
        }
        let bounded = connector.is_none_or(|c| (c.ends)(&spec));
        if spec.is_static && !bounded {
            let message = format!(
                "an EXTERNAL TABLE is read whole before a query starts, and `{}` does not end",
                spec.name
            );
            let endless = Diagnostic::error("no_end", message).at(create.name.span.clone());
            return Err(vec![endless.help("write CREATE SOURCE to read it as a stream")]);
        }
        let followed = spec.connector.as_deref() == Some("file") && !bounded;
        let replayable = !(followed || matches!(spec.connector.as_deref(), Some("stdin" | "push" | "socket")));
        self.state.catalog.put(Relation::Table(Table {
            spec: Arc::new(spec),
            readable: connector.is_none_or(|c| c.spec.reads),
            bounded,
            replayable,
        }));
        Ok(())
    }

    fn create_view(&mut self, create: &CreateView, span: &Range<usize>) -> Planned<()> {
        if !self.is_free(&create.name, create.or_replace, create.if_not_exists)? {
            return Ok(());
        }
        super::clauses::refuse_in_view(&create.query)?;
        let plan = self.logical(&create.query, span)?;
        let mut plan = QueryPlan::new(create.name.value.clone(), plan);
        plan.titles = titles(&create.query.query);
        let names = match create.columns.is_empty() {
            true => plan
                .schema()
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect(),
            false => column_names(&create.columns, plan.plan.schema().fields().len())?,
        };
        let plan = self.renamed(plan.plan, names, span)?;
        let view = View {
            name: create.name.value.clone(),
            plan,
            definition: create.text.clone(),
        };
        self.state.catalog.put(Relation::View(Box::new(view)));
        Ok(())
    }

    fn renamed(&self, plan: LogicalPlan, names: Vec<String>, span: &Range<usize>) -> Planned<LogicalPlan> {
        let columns = plan.schema().columns();
        if columns.iter().map(|column| &column.name).eq(&names) {
            return Ok(plan);
        }
        let columns = columns.into_iter().zip(names);
        let exprs: Vec<Expr> = columns.map(|(column, name)| Expr::Column(column).alias(name)).collect();
        let built = LogicalPlanBuilder::from(plan).project(exprs).and_then(|b| b.build());
        built.map_err(|e| vec![self.diagnosed(&e, span)])
    }

    fn create_sink(&mut self, create: &CreateSink, span: &Range<usize>) -> Planned<Option<Routed>> {
        if !self.is_free(&create.name, create.or_replace, create.if_not_exists)? {
            return Ok(None);
        }
        let spec = Arc::new(self.with_creation(span, |creation| creation.sink(create))?);
        let mut late = None;
        let plan = match &create.from {
            SinkInput::Nothing => None,
            SinkInput::Query(query) => {
                let mut plan = QueryPlan::new(create.name.value.clone(), self.planned(query, span)?);
                plan.titles = titles(&query.query);
                late = self.clauses(query, &mut plan, span)?;
                Some(plan)
            }
            SinkInput::Relation(name) => Some(QueryPlan::new(
                create.name.value.clone(),
                self.whole_relation(name, span)?,
            )),
        };
        self.state.catalog.put(Relation::Sink(Arc::clone(&spec)));
        Ok(plan.map(|plan| Routed {
            plan,
            target: Target::Sink(spec),
            once: false,
            late,
        }))
    }

    /// False: it is there already and IF NOT EXISTS was said.
    pub(super) fn is_free(&self, name: &Name, or_replace: bool, if_not_exists: bool) -> Planned<bool> {
        if self.state.catalog.get(&name.value).is_none() || or_replace {
            return Ok(true);
        }
        if if_not_exists {
            return Ok(false);
        }
        let message = format!("`{}` is already there", name.value);
        let diagnostic = Diagnostic::error("already_exists", message).at(name.span.clone());
        Err(vec![diagnostic.help(format!(
            "write CREATE OR REPLACE, or DROP TABLE {} first",
            name.value
        ))])
    }

    fn drop_object(&mut self, drop: &DropObject) -> Planned<()> {
        for name in &drop.names {
            match self.relation(name) {
                Err(_) if drop.if_exists => continue,
                Err(mistakes) => return Err(mistakes),
                Ok(relation) => {
                    let kind = relation.kind();
                    if drop.kind != kind && !(drop.kind == "SOURCE" && kind == "TABLE") {
                        let message = format!("`{}` is no {}", name.value, drop.kind.to_lowercase());
                        let help = format!("write: DROP {kind} {}", name.value);
                        return Err(vec![
                            Diagnostic::error("wrong_kind", message)
                                .at(name.span.clone())
                                .help(help),
                        ]);
                    }
                    refuse_needed(name, &self.state.catalog)?;
                }
            }
            self.state.catalog.remove(&name.value);
            self.state.flows.remove(&name.value);
        }
        Ok(())
    }

    /// A SELECT, named by its place.
    pub fn query(&mut self, query: &StreamQuery, span: &Range<usize>) -> Planned<Routed> {
        let plan = self.planned(query, span)?;
        let mut plan = QueryPlan::new(self.next_name(), plan);
        plan.titles = titles(&query.query);
        let late = self.clauses(query, &mut plan, span)?;
        Ok(Routed {
            plan,
            target: Target::Reader,
            once: false,
            late,
        })
    }

    /// The name of a query that names no target: `q1`, `q2` …
    pub(super) fn next_name(&mut self) -> String {
        self.state.unnamed += 1;
        format!("q{}", self.state.unnamed)
    }

    /// EXPLAIN: the graph of what would run.
    pub fn explain(&mut self, explain: &Explain, span: &Range<usize>) -> Planned<Graph> {
        if let Some(kind) = &explain.kind
            && kind.value != "DSTREAM"
        {
            let message = format!("EXPLAIN {} is not built yet", kind.value);
            let wrong = Diagnostic::error("not_yet", message).at(kind.span.clone());
            return Err(vec![
                wrong.help("EXPLAIN alone shows the graph with lineage, watermark and state"),
            ]);
        }
        let routed = match explain.statement.as_ref() {
            Statement::Query(query) => Some(self.query(query, span)?),
            Statement::Insert(insert) => Some(self.insert(insert, span)?),
            Statement::CreateSink(_) | Statement::CreateTable(_) => self.define(explain.statement.as_ref(), span)?,
            Statement::Copy(copy) => Some(self.copy(copy, span)?),
            _ => None,
        };
        match routed {
            Some(routed) => self.graph(&[routed], span),
            None => {
                let message = "EXPLAIN takes a SELECT, an INSERT, a COPY, or a sink or table with its query";
                Err(vec![Diagnostic::error("not_a_query", message).at(span.clone())])
            }
        }
    }

    /// The operator graph of queries that start together.
    pub fn graph(&mut self, queries: &[Routed], span: &Range<usize>) -> Planned<Graph> {
        for routed in queries {
            self.check_target(routed, span)?;
            self.refuse_own_input(routed, span)?;
            self.write_once(routed, span)?;
        }
        let mut graph = self.compiled(queries, span)?;
        self.note_timeouts(&mut graph);
        for (output, routed) in graph.outputs.iter_mut().zip(queries) {
            if let Some(Target::Sink(spec) | Target::Table(spec)) = routed.late.as_ref().map(|late| &late.target) {
                output.notes.push(format!("late rows go into `{}`", spec.name));
            }
        }
        self.put_late_rows(&graph);
        Ok(graph)
    }

    /// An aggregate without a window over a stream changes its rows, which no sink takes yet.
    fn check_target(&self, routed: &Routed, span: &Range<usize>) -> Planned<()> {
        let (Target::Sink(sink), Class::Batch(reason)) = (&routed.target, facts(&routed.plan.plan).class) else {
            return Ok(());
        };
        let streams = crate::plan::branch::stream_tables(&routed.plan.plan);
        if routed.once || !reason.ends_with("without a window") || reason.starts_with("ORDER BY") || streams.is_empty()
        {
            return Ok(());
        }
        let message = format!(
            "{reason} gives rows that change, and the sink `{}` only appends",
            sink.name
        );
        let help = "group by a window: FROM TUMBLE(…) GROUP BY window_start, window_end, …";
        Err(vec![
            Diagnostic::error("append_only_sink", message)
                .at(span.clone())
                .help(help),
        ])
    }

    /// The rows of a table as a plan, for reading static tables.
    pub fn whole_table(&self, spec: &Arc<TableSpec>) -> Result<LogicalPlan, DataFusionError> {
        let spec = TableSpec {
            is_static: false,
            ..spec.as_ref().clone()
        };
        let scanned = crate::plan::session::TableScanned {
            spec: Arc::new(spec),
            bounded: true,
            replayable: true,
            placed: false,
        };
        LogicalPlanBuilder::scan("t", Arc::new(scanned), None)?.build()
    }

    pub(super) fn planned(&mut self, query: &StreamQuery, span: &Range<usize>) -> Planned<LogicalPlan> {
        let plan = self.logical(query, span)?;
        self.optimised(plan, span)
    }

    pub(super) fn logical(&mut self, query: &StreamQuery, span: &Range<usize>) -> Planned<LogicalPlan> {
        let rewritten = self.rewritten(query, span)?;
        self.plan_of(rewritten, query, span)
    }

    /// The query in the spelling that DataFusion reads; the files that it names are declared.
    pub(super) fn rewritten(&mut self, query: &StreamQuery, span: &Range<usize>) -> Planned<ast::Query> {
        super::clauses::refuse_unbuilt(query)?;
        let mut ast_query = query.query.as_ref().clone();
        self.declare_files(&ast_query, span)?;
        let event_time = |name: &str| match self.state.catalog.get(name)? {
            Relation::Table(table) => {
                let watermark = table.spec.watermark.as_ref()?;
                Some(table.spec.columns[watermark.column].name.clone())
            }
            Relation::View(view) => {
                let tags = facts(&view.plan).tags;
                let time = tags.iter().position(|tag| *tag == crate::plan::facts::Tag::EventTime)?;
                Some(view.plan.schema().field(time).name().clone())
            }
            Relation::Sink(_) => None,
        };
        from_first::select_all(&mut ast_query);
        lateral::as_unnest(&mut ast_query);
        fetch::as_limit(&mut ast_query);
        fields::by_name(&mut ast_query);
        quantified::rewrite(&mut ast_query, &self.lines).map_err(|d| vec![d])?;
        patterns::rewrite(&mut ast_query).map_err(|unwritten| {
            let refused = Diagnostic::error("not_yet", unwritten.message).help(unwritten.help);
            vec![refused.maybe_at(self.lines.span(unwritten.span))]
        })?;
        unnamed::as_written(&mut ast_query);
        qualify::with_windows(&mut ast_query);
        using::qualify(&mut ast_query, &self.lines).map_err(|d| vec![d])?;
        digits::keep(&mut ast_query);
        group_window::rewrite(&mut ast_query, &event_time, &self.lines).map_err(|d| vec![*d])?;
        let aggregates = self.state.session.aggregate_functions();
        order_keys::name_apart(&mut ast_query, &|name| aggregates.contains_key(name));
        Ok(ast_query)
    }

    /// The plan of what a query was rewritten to.
    pub(super) fn plan_of(
        &self,
        rewritten: ast::Query,
        query: &StreamQuery,
        span: &Range<usize>,
    ) -> Planned<LogicalPlan> {
        let incomputable = self.incomputable(&rewritten);
        let planned = self.named_apart(rewritten);
        let planned = planned.and_then(|plan| refuse_misused(&plan).map(|()| plan));
        let planned = planned.and_then(subqueries::mended);
        let planned = planned.and_then(unseen_order::left_out);
        let planned = planned.and_then(|plan| self.repeatable(plan, Some(&query.query)));
        let plan = planned.map_err(|e| self.all_diagnosed(&e, span))?;
        if incomputable.is_empty() {
            Ok(plan)
        } else {
            Err(incomputable)
        }
    }

    /// DataFusion's plan of a query, in which what stands beside `*` under a name of its columns has another.
    fn named_apart(&self, mut query: ast::Query) -> Result<LogicalPlan, DataFusionError> {
        let names = self.names();
        let planned = |query: ast::Query| {
            let statement = DfStatement::Statement(Box::new(ast::Statement::Query(Box::new(query))));
            SqlToRel::new(&names).statement_to_plan(statement)
        };
        if let Some((probe, replaced)) = wildcards::replaced(&query)
            && let Err(error) = planned(probe)
            && unknown_column(&error).is_some_and(|name| replaced.contains(&name))
        {
            return Err(error);
        }
        loop {
            match planned(query.clone()) {
                Err(error) if named_twice(&error).is_some_and(|name| wildcards::rename_beside(&mut query, &name)) => {}
                Err(error) => return Err(with_those_of_select(error, query, planned)),
                planned => return planned,
            }
        }
    }

    /// A plan that gives the same answer in every replay and for every cut. `query`: its text, if it has one.
    pub(super) fn repeatable(
        &self,
        plan: LogicalPlan,
        query: Option<&ast::Query>,
    ) -> Result<LogicalPlan, DataFusionError> {
        let (session, seed) = (&self.state.session, self.state.settings.seed);
        unnest::joined(plan)
            .and_then(|plan| recorded(plan, session, seed, query))
            .and_then(|plan| zeros::in_orders(plan, session))
            .and_then(break_ties)
    }

    pub(super) fn optimised(&self, plan: LogicalPlan, span: &Range<usize>) -> Planned<LogicalPlan> {
        kept_above(plan, |plan| self.state.session.optimize(&plan))
            .and_then(|plan| self.with_ends(plan))
            .and_then(|plan| unnest::refuse_left_over(&plan).map(|()| plan))
            .and_then(|plan| refuse_unmade(&plan).map(|()| plan))
            .and_then(guards::kept)
            .map_err(|e| self.all_diagnosed(&e, span))
    }

    pub(super) fn names(&self) -> Names<'_> {
        let mut options = self.state.session.config_options().as_ref().clone();
        options.extensions.insert(WindowOptions {
            time_zone: self.state.settings.time_zone.clone(),
            interval_ns: self.state.settings.interval_ns.unsigned_abs(),
        });
        Names {
            session: &self.state.session,
            options,
            catalog: &self.state.catalog,
        }
    }

    pub(super) fn with_creation<T>(&self, span: &Range<usize>, make: impl FnOnce(&Creation) -> T) -> T {
        let connectors: Vec<&ConnectorSpec> = CONNECTORS.iter().map(|c| c.spec).collect();
        let names = self.names();
        let byte_of = |line, column| self.lines.byte_of(line, column);
        let context = self.context(span, &byte_of);
        make(&Creation {
            names: &names,
            connectors: &connectors,
            context: &context,
        })
    }

    pub(super) fn diagnosed(&self, error: &DataFusionError, span: &Range<usize>) -> Diagnostic {
        let byte_of = |line, column| self.lines.byte_of(line, column);
        diagnose(error, &self.context(span, &byte_of))
    }

    fn all_diagnosed(&self, error: &DataFusionError, span: &Range<usize>) -> Vec<Diagnostic> {
        let byte_of = |line, column| self.lines.byte_of(line, column);
        diagnose_all(error, &self.context(span, &byte_of))
    }

    /// The columns of the tables that a statement names, with their types.
    fn columns_named(&self, span: &Range<usize>) -> Vec<(String, DataType)> {
        let named = |relation: &&Relation| word_in(relation.name(), self.text, span).is_some();
        let mut columns = Vec::new();
        for relation in self.state.catalog.relations().filter(named) {
            match relation {
                Relation::Table(table) => {
                    columns.extend(table.spec.columns.iter().map(|c| (c.name.clone(), c.data_type.clone())));
                }
                Relation::View(view) => {
                    let fields = view.plan.schema().fields().iter();
                    columns.extend(fields.map(|f| (f.name().clone(), f.data_type().clone())));
                }
                Relation::Sink(_) => {}
            }
        }
        columns
    }

    fn context<'c>(&'c self, span: &Range<usize>, byte_of: &'c dyn Fn(u64, u64) -> Option<usize>) -> Context<'c> {
        let session = &self.state.session;
        let functions = session.scalar_functions().keys();
        let functions = functions
            .chain(session.aggregate_functions().keys())
            .chain(session.window_functions().keys());
        let (columns, types): (Vec<String>, Vec<DataType>) = self.columns_named(span).into_iter().unzip();
        Context {
            text: self.text,
            statement: span.clone(),
            byte_of,
            tables: self.state.catalog.names().map(str::to_string).collect(),
            columns,
            fields: types.iter().flat_map(fields_of).collect(),
            functions: functions.cloned().collect(),
        }
    }
}

/// Columns that are not found in WHERE, and those that SELECT asks for in vain: the planner stops at the first clause.
fn with_those_of_select(
    error: DataFusionError,
    mut query: ast::Query,
    planned: impl FnOnce(ast::Query) -> Result<LogicalPlan, DataFusionError>,
) -> DataFusionError {
    match query.body.as_mut() {
        ast::SetExpr::Select(select) if unknown_column(&error).is_some() && select.selection.is_some() => {
            select.selection = None;
        }
        _ => return error,
    }
    match planned(query) {
        Err(other) if unknown_column(&other).is_some() => DataFusionError::Collection(vec![error, other]),
        _ => error,
    }
}

/// The names that a view gives to its columns, of which there are `count`.
pub(super) fn column_names(names: &[Name], count: usize) -> Planned<Vec<String>> {
    if names.len() != count {
        let message = format!("{} names for {count} columns", names.len());
        return Err(vec![
            Diagnostic::error("column_count", message).at(names[0].span.clone()),
        ]);
    }
    Ok(names.iter().map(|name| name.value.clone()).collect())
}

/// The name of what a statement creates.
pub(super) fn created(statement: &Statement) -> Option<&str> {
    match statement {
        Statement::CreateTable(create) => Some(&create.name.value),
        Statement::CreateSink(create) => Some(&create.name.value),
        Statement::CreateView(create) => Some(&create.name.value),
        _ => None,
    }
}

/// Diagnostics as one error, placed in their text.
pub fn mistakes(found: Vec<Diagnostic>, text: &str) -> Error {
    let found = found.into_iter().map(|d| d.placed(text)).collect::<Vec<_>>();
    let refused = found
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .all(|d| d.code.starts_with("no_"));
    Error::from_diagnostics(if refused { Kind::Refused } else { Kind::Sql }, found)
}

/// A connector's complaint, at the part of the statement that is wrong.
fn located(fault: Fault, create: &CreateTable) -> Diagnostic {
    let option = |key: &str| create.options.iter().find(|def| def.key.value == key);
    let span = match &fault.subject {
        Subject::Column(name) => create
            .columns
            .iter()
            .find(|c| c.name.value == *name)
            .map(|c| &c.name.span),
        Subject::Key(key) => option(key).map(|def| &def.key.span),
        Subject::Value(key) => option(key).map(|def| &def.value_span),
    };
    fault.diagnostic.at(span.unwrap_or(&create.name.span).clone())
}
