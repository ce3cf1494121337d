//! `TUMBLE`, `HOP`, `CUMULATE` and `SESSION` over a table: table functions to [`WindowNode`]s.
//!
//! Two spellings arrive here, `TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), …))` (SQL:2016, Flink) and `TUMBLE(t, ts, …)`
//! (RisingWave, Materialize); the third, `GROUP BY tumble(…)`, has been rewritten to the second by the parser.

use crate::dstream::calendar::Zone;
use crate::dstream::nodes::{WINDOW_END, WINDOW_START, WINDOW_TIME, WindowNode};
use crate::dstream::table::TableSpec;
use crate::dstream::window::WindowSpec;
use crate::plan::Refusal;
use crate::plan::branch::tables;
use crate::plan::chance::is_arrival;
use crate::plan::facts::{Class, Tag, facts};
use crate::plan::widths::{Sizing, Width, Written, label};
use crate::plan::{unnest, unseen_order};
use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, extensions_options};
use datafusion::config::ConfigExtension;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, Projection};
use datafusion::sql::sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, Ident, ObjectName, ObjectNamePart,
    Spanned, TableFactor,
};
use std::sync::Arc;

/// The name that the parser gives the time column of the `GROUP BY tumble(…)` spelling.
pub const DECLARED_TIME: &str = "__event_time";

/// The function that the parser makes of `t PARTITION BY k` as an argument: the table, then the keys.
pub const PARTITION_BY: &str = "PARTITION BY";

extensions_options! {
    /// The settings of ours that windows depend on, among DataFusion's options.
    pub struct WindowOptions {
        /// The zone of windows of days and longer.
        pub time_zone: String, default = "UTC".to_string()
        /// How often intervals are cut: windows of arrival time are multiples of it.
        pub interval_ns: u64, default = 1
    }
}

impl ConfigExtension for WindowOptions {
    const PREFIX: &'static str = "waterwheel";
}

/// Plans window functions over tables.
#[derive(Debug)]
pub struct WindowTables;

/// A window function as written.
struct Call {
    kind: Kind,
    name: String,
    args: Vec<(Option<String>, ast::Expr)>,
    span: datafusion::sql::sqlparser::tokenizer::Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Tumble,
    Hop,
    Cumulate,
    Session,
}

impl Kind {
    fn of(name: &str) -> Option<Kind> {
        match name.to_ascii_lowercase().as_str() {
            "tumble" => Some(Kind::Tumble),
            "hop" => Some(Kind::Hop),
            "cumulate" => Some(Kind::Cumulate),
            "session" => Some(Kind::Session),
            _ => None,
        }
    }

    /// The parameters in order; an OFFSET is optional.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Kind::Tumble => &["DATA", "TIMECOL", "SIZE", "OFFSET"],
            Kind::Hop => &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"],
            Kind::Cumulate => &["DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"],
            Kind::Session => &["DATA", "TIMECOL", "GAP"],
        }
    }
}

impl RelationPlanner for WindowTables {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let Some((call, alias)) = window_call(&relation)? else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let plan = plan_call(&call, context)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

fn window_call(relation: &TableFactor) -> Result<Option<(Call, Option<ast::TableAlias>)>> {
    let span = relation.span();
    let (name, args, alias) = match relation {
        TableFactor::Table {
            name,
            args: Some(args),
            alias,
            ..
        } => (name, &args.args, alias),
        TableFactor::TableFunction {
            expr: ast::Expr::Function(function),
            alias,
        } => match &function.args {
            FunctionArguments::List(list) => (&function.name, &list.args, alias),
            _ => return Ok(None),
        },
        TableFactor::Function { name, args, alias, .. } => (name, args, alias),
        _ => return Ok(None),
    };
    let name = last_name(name);
    let Some(kind) = Kind::of(&name) else {
        return Ok(None);
    };
    let args = args.iter().map(argument).collect::<Result<Vec<_>>>()?;
    Ok(Some((
        Call {
            kind,
            name: name.to_ascii_uppercase(),
            args,
            span,
        },
        alias.clone(),
    )))
}

fn last_name(name: &ObjectName) -> String {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(ident)) => ident.value.clone(),
        _ => name.to_string(),
    }
}

fn argument(arg: &FunctionArg) -> Result<(Option<String>, ast::Expr)> {
    let (name, arg) = match arg {
        FunctionArg::Unnamed(arg) => (None, arg),
        FunctionArg::Named {
            name,
            arg,
            operator: FunctionArgOperator::RightArrow,
        } => (Some(name.value.clone()), arg),
        other => {
            let refusal = Refusal::new("window_arguments", "named arguments are written NAME => value");
            return Err(refusal.at(other.span()).into());
        }
    };
    match arg {
        FunctionArgExpr::Expr(expr) => Ok((name, expr.clone())),
        other => Err(
            Refusal::new("window_arguments", "this argument is not a table, column or interval")
                .at(other.span())
                .into(),
        ),
    }
}

fn plan_call(call: &Call, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let args = call.bound()?;
    let elsewhere = call.args.iter().map(|(_, value)| value).find(|value| {
        let is_data = std::ptr::eq(*value, args.data);
        !is_data && !partitioned(value).1.is_empty()
    });
    if let Some(misplaced) = elsewhere {
        let message = "PARTITION BY stands behind the table of a window";
        let refusal = Refusal::new("window_arguments", message).at(misplaced.span());
        return Err(refusal
            .help("write: SESSION(t PARTITION BY k, ts, INTERVAL '10' SECOND)")
            .into());
    }
    let (data, keys) = partitioned(args.data);
    let is_partitioned = |expr: &ast::Expr| !partitioned(expr).1.is_empty();
    if is_partitioned(data) || keys.iter().any(|key| is_partitioned(key)) {
        let refusal = Refusal::new("window_arguments", "PARTITION BY is written twice").at(call.span);
        return Err(refusal
            .help("write the keys side by side, in parentheses: PARTITION BY (a, b)")
            .into());
    }
    if call.kind != Kind::Session && !keys.is_empty() {
        let message = format!(
            "{} has no PARTITION BY: its windows are the same for all rows",
            call.name
        );
        let refusal = Refusal::new("window_arguments", message).at(call.span);
        return Err(refusal.help("name the key in GROUP BY").into());
    }
    // Facts are asked of the input at once: its joins with UNNEST must be what they will be.
    // A window takes rows as they come.
    let input = unseen_order::unsorted(context.plan(table_factor(data)?)?)?.data;
    let input = unnest::joined(input)?;
    let (input, partition) = session_keys(&keys, input, context)?;
    let time = call.time_column(args.time, &input, context)?;
    let (size_is, step_is) = match call.kind {
        Kind::Session => ("gap", "gap"),
        Kind::Cumulate => ("size", "step"),
        Kind::Tumble | Kind::Hop => ("size", "slide"),
    };
    let mut written = |expr: &ast::Expr, what| call.written(expr, what, &input, context);
    let size = written(args.size, size_is)?;
    let step = args.step.map(|expr| written(expr, step_is)).transpose()?;
    let offset = args.offset.map(|expr| written(expr, "offset")).transpose()?;
    let sizing = Sizing {
        name: &call.name,
        kind: call.kind,
        unit: time.unit,
        zone: zone(context)?,
        grain_ns: time.arrival.then(|| interval_setting(context)),
    };
    let window = sizing.windows(&size, step.as_ref(), offset.as_ref())?;
    windowed(input, &time, &partition, window, &call.name)
}

/// The relation of a window function. Sessions are made per `partition`, columns of the input.
pub(super) fn windowed(
    input: LogicalPlan,
    time: &Time,
    partition: &[usize],
    window: WindowSpec,
    name: &str,
) -> Result<LogicalPlan> {
    let input = windows_hidden(input)?;
    let partition = partition
        .iter()
        .map(|key| Column::from(input.schema().qualified_field(*key)));
    let partition = partition.map(Expr::Column).collect();
    let expr = match &time.of {
        TimeOf::Column(index) => Expr::Column(Column::from(input.schema().qualified_field(*index))),
        TimeOf::Clock(clock) => clock.clone(),
    };
    let mut label = label(name, window, time.unit);
    if time.arrival {
        label += " by arrival";
    }
    let schema = schema_with_window(&input, &time.data_type)?;
    let node = WindowNode {
        time: expr,
        partition,
        window,
        unit: time.unit,
        arrival: time.arrival,
        inverse: false,
        schema: Arc::new(schema),
        label,
        input,
    };
    without_hidden(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// The setting `interval`, of which windows of arrival time are multiples.
fn interval_setting(context: &dyn RelationPlannerContext) -> i64 {
    let options = context.context_provider().options();
    let width = options.extensions.get::<WindowOptions>().map(|o| o.interval_ns);
    width.map_or(1, |ns| i64::try_from(ns.max(1)).unwrap_or(i64::MAX))
}

/// The zone of windows of days and longer.
fn zone(context: &dyn RelationPlannerContext) -> Result<Zone> {
    let options = context.context_provider().options();
    let name = options.extensions.get::<WindowOptions>().map(|o| o.time_zone.as_str());
    let named = name.map_or(Some(Zone::UTC), Zone::named);
    named.ok_or_else(|| Refusal::new("setting_value", "the setting time_zone names no zone").into())
}

/// `bid PARTITION BY k`: the table, and its keys.
fn partitioned(data: &ast::Expr) -> (&ast::Expr, Vec<&ast::Expr>) {
    if let ast::Expr::Function(function) = data
        && last_name(&function.name) == PARTITION_BY
        && let FunctionArguments::List(list) = &function.args
    {
        let args = list.args.iter().filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        });
        let mut args: Vec<&ast::Expr> = args.collect();
        if !args.is_empty() {
            return (args.remove(0), args);
        }
    }
    (data, Vec::new())
}

/// Columns that a window function needs below and does not show.
const HIDDEN: &str = "__below_";

/// The keys of a session as places of columns of its input. What is no column already is added behind them.
fn session_keys(
    keys: &[&ast::Expr],
    input: LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<(LogicalPlan, Vec<usize>)> {
    let (mut columns, mut added) = (Vec::new(), Vec::new());
    for key in keys {
        match context.sql_to_expr((*key).clone(), input.schema())? {
            Expr::Column(column) => columns.push(input.schema().index_of_column(&column)?),
            Expr::Literal(..) => {}
            expr => {
                columns.push(input.schema().fields().len() + added.len());
                added.push(expr.alias(format!("{HIDDEN}key_{}", added.len())));
            }
        }
    }
    if added.is_empty() {
        return Ok((input, columns));
    }
    let own = input.schema().columns().into_iter().map(Expr::Column);
    let projection = Projection::try_new(own.chain(added).collect(), Arc::new(input))?;
    Ok((LogicalPlan::Projection(projection), columns))
}

/// The input with its own window columns out of the way: those of the window over it take their names.
fn windows_hidden(input: LogicalPlan) -> Result<LogicalPlan> {
    let is_window = |name: &str| [WINDOW_START, WINDOW_END, WINDOW_TIME].contains(&name);
    if !input.schema().fields().iter().any(|f| is_window(f.name())) {
        return Ok(input);
    }
    let renamed = input
        .schema()
        .columns()
        .into_iter()
        .map(|column| match is_window(&column.name) {
            true => {
                let name = format!("{HIDDEN}{}", column.name);
                Expr::Column(column).alias(name)
            }
            false => Expr::Column(column),
        });
    let projection = Projection::try_new(renamed.collect(), Arc::new(input.clone()))?;
    Ok(LogicalPlan::Projection(projection))
}

/// The window's relation without what was hidden below it.
fn without_hidden(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    let shown = columns.iter().filter(|c| !c.name.starts_with(HIDDEN));
    let shown: Vec<Expr> = shown.cloned().map(Expr::Column).collect();
    if shown.len() == columns.len() {
        return Ok(plan);
    }
    Ok(LogicalPlan::Projection(Projection::try_new(shown, Arc::new(plan))?))
}

/// The time that windows are over.
pub(super) struct Time {
    pub of: TimeOf,
    pub unit: TimeUnit,
    pub data_type: DataType,
    pub arrival: bool,
}

pub(super) enum TimeOf {
    /// A column of the input.
    Column(usize),
    /// The recorded clock itself.
    Clock(Expr),
}

/// The arguments by their meaning.
struct Bound<'a> {
    data: &'a ast::Expr,
    time: &'a ast::Expr,
    /// SLIDE or STEP.
    step: Option<&'a ast::Expr>,
    size: &'a ast::Expr,
    offset: Option<&'a ast::Expr>,
}

impl Call {
    fn refuse(&self, message: String) -> Refusal {
        let usage = self.kind.parameters().join(", ").to_lowercase();
        let is_partitioned = |(_, value): &(Option<String>, ast::Expr)| !partitioned(value).1.is_empty();
        let rest = match self.kind {
            Kind::Session if self.args.first().is_some_and(is_partitioned) => {
                "; several keys stand in parentheses: PARTITION BY (k, k2)"
            }
            Kind::Session => "; the data may have PARTITION BY key",
            _ => ", the last may be left out",
        };
        Refusal::new("window_arguments", message)
            .at(self.span)
            .help(format!("write {}({usage}){rest}", self.name))
    }

    fn bound(&self) -> Result<Bound<'_>> {
        let parameters = self.kind.parameters();
        let named = self.args.iter().filter(|(name, _)| name.is_some()).count();
        if named != 0 && named != self.args.len() {
            return Err(self.refuse("named and positional arguments do not mix".into()).into());
        }
        if self.args.len() > parameters.len() {
            return Err(self
                .refuse(format!("{} takes at most {} arguments", self.name, parameters.len()))
                .into());
        }
        let mut values: Vec<Option<&ast::Expr>> = vec![None; parameters.len()];
        for (position, (name, value)) in self.args.iter().enumerate() {
            let index = match name {
                None => position,
                Some(name) => match parameters.iter().position(|p| p.eq_ignore_ascii_case(name)) {
                    Some(index) => index,
                    None => {
                        let known = crate::error::nearest(name, parameters.iter().copied());
                        let mut refusal = self.refuse(format!("{} has no argument `{name}`", self.name));
                        if let Some(best) = known.first() {
                            refusal = refusal.help(format!("did you mean `{best}`?"));
                        }
                        return Err(refusal.into());
                    }
                },
            };
            if values[index].replace(value).is_some() {
                let twice = format!("{} is given {} twice", self.name, parameters[index]);
                return Err(self.refuse(twice).into());
            }
        }
        let required = |index: usize| {
            let missing = || self.refuse(format!("{} misses its argument {}", self.name, parameters[index]));
            values[index].ok_or_else(missing)
        };
        let has_step = matches!(self.kind, Kind::Hop | Kind::Cumulate);
        let has_offset = self.kind != Kind::Session;
        Ok(Bound {
            data: required(0)?,
            time: required(1)?,
            step: if has_step { Some(required(2)?) } else { None },
            size: required(if has_step { 3 } else { 2 })?,
            offset: values[parameters.len() - 1].filter(|_| has_offset),
        })
    }

    /// The time that windows are over.
    fn time_column(
        &self,
        time: &ast::Expr,
        input: &LogicalPlan,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<Time> {
        let tags = facts(input).tags;
        let named = descriptor(time);
        if let ast::Expr::Identifier(ident) = named
            && ident.value == DECLARED_TIME
        {
            let times: Vec<usize> = (0..tags.len()).filter(|i| tags[*i] == Tag::EventTime).collect();
            let times = match times.is_empty() {
                true => (0..tags.len()).filter(|i| tags[*i] == Tag::WindowTime).collect(),
                false => times,
            };
            return match times[..] {
                [index] => self.of_column(input, index, time, false),
                [] => Err(no_event_time(&self.name, input).at(self.span).into()),
                _ => Err(self.refuse("FROM has several event-time columns".into()).into()),
            };
        }
        let index = match context.sql_to_expr(named.clone(), input.schema())? {
            Expr::Column(column) => input.schema().index_of_column(&column)?,
            clock if is_arrival(&clock) => return self.of_clock(clock, input),
            _ => {
                let message = format!("the time of {} is a column of the table", self.name);
                let refusal = Refusal::new("not_event_time", message).at(time.span());
                return Err(refusal.help("the time at which rows arrive is PROCTIME()").into());
            }
        };
        let arrival = tags[index] == Tag::Arrival;
        let found = self.of_column(input, index, time, arrival)?;
        if !arrival && !matches!(tags[index], Tag::EventTime | Tag::WindowTime) {
            let name = input.schema().field(index).name();
            return Err(not_event_time(name, input).at(time.span()).into());
        }
        Ok(found)
    }

    fn of_column(&self, input: &LogicalPlan, index: usize, time: &ast::Expr, arrival: bool) -> Result<Time> {
        Ok(Time {
            of: TimeOf::Column(index),
            unit: self.time_unit(input, index, time)?,
            data_type: input.schema().field(index).data_type().clone(),
            arrival,
        })
    }

    /// `PROCTIME()` in place of a column: rows arrive where a source is read.
    fn of_clock(&self, clock: Expr, input: &LogicalPlan) -> Result<Time> {
        let below = facts(input);
        if below.class != Class::Stream || below.assigned {
            let message = format!("{} over PROCTIME() reads a stream: its rows arrive", self.name);
            return Err(Refusal::new("not_event_time", message).at(self.span).into());
        }
        Ok(Time {
            of: TimeOf::Clock(clock.unalias()),
            unit: TimeUnit::Nanosecond,
            data_type: DataType::Timestamp(TimeUnit::Nanosecond, None),
            arrival: true,
        })
    }

    fn time_unit(&self, input: &LogicalPlan, index: usize, time: &ast::Expr) -> Result<TimeUnit> {
        let field = input.schema().field(index);
        let DataType::Timestamp(unit, _) = field.data_type() else {
            let message = format!("`{}` is no TIMESTAMP: {} needs the event time", field.name(), self.name);
            let tags = facts(input).tags;
            let times = (0..tags.len()).filter(|i| tags[*i] == Tag::EventTime);
            let mut refusal = Refusal::new("not_a_time", message).at(time.span());
            for index in times {
                refusal = refusal.help(format!("did you mean `{}`?", input.schema().field(index).name()));
            }
            return Err(refusal.into());
        };
        Ok(*unit)
    }

    /// An interval among the arguments.
    fn written(
        &self,
        expr: &ast::Expr,
        what: &'static str,
        input: &LogicalPlan,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<Written> {
        let value = match context.sql_to_expr(expr.clone(), input.schema())? {
            Expr::Literal(value, _) => value,
            Expr::Negative(inner) => match *inner {
                Expr::Literal(value, _) => value.arithmetic_negate()?,
                _ => ScalarValue::Null,
            },
            _ => ScalarValue::Null,
        };
        let span = expr.span();
        match Width::of(&value) {
            Some(width) => Ok(Written { width, what, span }),
            None => {
                let message = format!(
                    "the {what} of {} is an interval such as INTERVAL '10' SECOND",
                    self.name
                );
                Err(Refusal::new("window_width", message).at(span).into())
            }
        }
    }
}

/// A window over a column that is no event time.
fn not_event_time(name: &str, input: &LogicalPlan) -> Refusal {
    let below = facts(input);
    if below.class != Class::Closed && !below.assigned {
        let message = format!("`{name}` is not the event time of its source");
        return Refusal::new("not_event_time", message).help(how_to_declare("there", name, input));
    }
    let message = format!("`{name}` is not the event time of what windows give: that is their window_time");
    let refusal = Refusal::new("not_event_time", message);
    match below.tags.iter().position(|tag| *tag == Tag::WindowTime) {
        Some(index) => refusal.help(format!("did you mean `{}`?", input.schema().field(index).name())),
        None => refusal.help("select window_time below, and name it here"),
    }
}

/// A window over something that has no event time.
fn no_event_time(function: &str, input: &LogicalPlan) -> Refusal {
    let below = facts(input);
    if below.class == Class::Closed || below.assigned {
        let message = format!("{function} needs an event time, and that of what windows give is their window_time");
        return Refusal::new("not_event_time", message).help("select window_time below");
    }
    let message = format!("{function} needs the event time of a source, and none is declared");
    Refusal::new("not_event_time", message).help(how_to_declare("in the source", "ts", input))
}

/// How `time` becomes the event time of what is read. A table that was made of a query takes no declaration.
fn how_to_declare(place: &str, time: &str, input: &LogicalPlan) -> String {
    let declaration = format!("WATERMARK FOR {time} AS {time} - INTERVAL '5' SECOND");
    let made =
        |table: &Arc<TableSpec>| table.connector.is_none() && table.columns.iter().all(|column| !column.declared);
    match tables(input).into_iter().find(made) {
        None => format!("declare it {place}: {declaration}"),
        Some(table) => format!(
            "`{name}` was made of a query and keeps no event time: write CREATE TABLE {name} (…, {declaration}), then \
             INSERT INTO {name} SELECT …",
            name = table.name
        ),
    }
}

/// `DESCRIPTOR(ts)` is `ts`.
fn descriptor(expr: &ast::Expr) -> &ast::Expr {
    if let ast::Expr::Function(function) = expr
        && last_name(&function.name).eq_ignore_ascii_case("descriptor")
        && let FunctionArguments::List(list) = &function.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))] = &list.args[..]
    {
        return inner;
    }
    expr
}

/// The table argument as a table factor: a name, or a subquery.
fn table_factor(expr: &ast::Expr) -> Result<TableFactor> {
    let named = |parts: Vec<Ident>| TableFactor::Table {
        name: ObjectName(parts.into_iter().map(ObjectNamePart::Identifier).collect()),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
    match expr {
        ast::Expr::Identifier(ident) => Ok(named(vec![ident.clone()])),
        ast::Expr::CompoundIdentifier(parts) => Ok(named(parts.clone())),
        ast::Expr::Subquery(query) => Ok(TableFactor::Derived {
            lateral: false,
            subquery: query.clone(),
            alias: None,
            sample: None,
        }),
        ast::Expr::Nested(inner) => table_factor(inner),
        other => Err(Refusal::new(
            "window_arguments",
            "the first argument is a table, a view or a (subquery)",
        )
        .at(other.span())
        .into()),
    }
}

fn schema_with_window(input: &LogicalPlan, data_type: &DataType) -> Result<DFSchema> {
    let columns = input.schema().iter().map(|(q, f)| (q.cloned(), Arc::clone(f)));
    let window = [WINDOW_START, WINDOW_END, WINDOW_TIME];
    let window = window.map(|name| (None, Arc::new(Field::new(name, data_type.clone(), false))));
    DFSchema::new_with_metadata(columns.chain(window).collect(), input.schema().metadata().clone())
}
