//! `now()`, `random()` and `uuid()` in the words of a stream: the recorded clock, and hashes of the place of a row.
//!
//! Runs before the optimizer, which would make a literal of `now()`. A call of `random()` becomes a function of (seed,
//! call site, split, offset); the last two are hidden columns of the scan, carried up to the call. `now()` becomes
//! `__clock()`, for which [`super::clock`] puts a column when the stages are known. Calls that no replay could repeat,
//! or that would need rows to leave again, are refused here.

use crate::dstream::nodes::{CLOCK_FUNCTION, OFFSET, RANDOM_FUNCTION, SPLIT, UUID_FUNCTION, WindowNode};
use crate::plan::Refusal;
use crate::plan::branch::hidden_column;
use crate::plan::session::TableScanned;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::builder::LogicalPlanBuilder;
use datafusion::logical_expr::{
    Expr, Filter, LogicalPlan, Projection, ScalarUDF, SubqueryAlias, TableScanBuilder, Values, cast, lit,
};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Span;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Clock,
    Chance,
}

/// DataFusion's names, as a planned call has them.
fn asks(function: &str) -> Option<Asks> {
    match function {
        "now" | "current_date" | "current_time" | CLOCK_FUNCTION => Some(Asks::Clock),
        "random" | "uuid" => Some(Asks::Chance),
        _ => None,
    }
}

/// The calls as they are written, for messages.
const WRITTEN: [(&str, &str); 9] = [
    ("now", "now"),
    ("proctime", CLOCK_FUNCTION),
    ("current_timestamp", "now"),
    ("current_date", "current_date"),
    ("today", "current_date"),
    ("current_time", "current_time"),
    ("random", "random"),
    ("rand", "random"),
    ("uuid", "uuid"),
];

/// The first such call of an expression: its planned name.
fn first_call(expr: &Expr, wanted: Asks) -> Option<String> {
    let mut found = None;
    let walked = expr.apply(|e| match e {
        Expr::ScalarFunction(f) if asks(f.name()) == Some(wanted) => {
            found = Some(f.name().to_string());
            Ok(TreeNodeRecursion::Stop)
        }
        _ => Ok(TreeNodeRecursion::Continue),
    });
    debug_assert!(walked.is_ok(), "the visitor never fails");
    found
}

fn first_of_node(plan: &LogicalPlan, wanted: Asks) -> Option<String> {
    plan.expressions().iter().find_map(|e| first_call(e, wanted))
}

fn first_below(plan: &LogicalPlan, wanted: Asks) -> Option<String> {
    first_of_node(plan, wanted).or_else(|| plan.inputs().into_iter().find_map(|p| first_below(p, wanted)))
}

/// Whether an expression is `PROCTIME()` and nothing else: the time at which a row arrives.
pub fn is_arrival(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_arrival(&alias.expr),
        Expr::ScalarFunction(function) => function.name() == CLOCK_FUNCTION,
        _ => false,
    }
}

/// Refuses every such call, in expressions that stand in no SELECT (computed columns); but for `PROCTIME()` alone.
pub fn refuse_calls(expr: &Expr) -> Result<()> {
    if is_arrival(expr) {
        return Ok(());
    }
    let Some(name) = first_call(expr, Asks::Clock).or_else(|| first_call(expr, Asks::Chance)) else {
        return Ok(());
    };
    let name = if name == CLOCK_FUNCTION { "proctime" } else { &name };
    let message = format!("`{name}` cannot make a column of a table: a row that is read again must be the same");
    let refusal = Refusal::new("not_repeatable", message);
    let refusal = match name {
        "random" | "uuid" => refusal,
        _ => refusal.help("the time at which a row arrives is a column of its own:  p AS PROCTIME()"),
    };
    Err(refusal
        .help(format!("write it in the SELECT:  SELECT {name}() AS x, … FROM t"))
        .into())
}

/// A plan in which clocks and chance are what they are in a stream. `query` is its text, for the places of refusals.
pub fn recorded(
    plan: LogicalPlan,
    session: &SessionState,
    seed: i64,
    query: Option<&ast::Query>,
) -> Result<LogicalPlan> {
    let refuse = Refuses { query };
    subqueries_have_none(&plan, &refuse)?;
    let (clock, chance) = (first_below(&plan, Asks::Clock), first_below(&plan, Asks::Chance));
    if clock.is_none() && chance.is_none() {
        return Ok(plan);
    }
    clock_is_projected(&plan, true, &refuse)?;
    let function = |name: &str| match session.scalar_functions().get(name) {
        Some(function) => Ok(Arc::clone(function)),
        None => internal_err!("the function {name} is missing"),
    };
    let mut placing = Placing {
        clock: function(CLOCK_FUNCTION)?,
        random: function(RANDOM_FUNCTION)?,
        uuid: function(UUID_FUNCTION)?,
        seed,
        site: first_free_site(&plan)?,
        refuse,
    };
    let columns = plan.schema().columns();
    let placed = placing.place(plan, None)?;
    debug_assert_eq!(columns.len(), placed.schema().fields().len(), "nothing hidden is left");
    Ok(placed)
}

/// Views have call sites of their own, which a query over them must not use again.
fn first_free_site(plan: &LogicalPlan) -> Result<i64> {
    let mut free = 0;
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                if let Expr::ScalarFunction(f) = e
                    && [RANDOM_FUNCTION, UUID_FUNCTION].contains(&f.name())
                    && let Some(Expr::Literal(ScalarValue::Int64(Some(site)), _)) = f.args.get(1)
                {
                    free = free.max(site + 1);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(free)
}

fn subqueries_have_none(plan: &LogicalPlan, refuse: &Refuses) -> Result<()> {
    plan.apply(|node| {
        node.apply_subqueries(|subquery| {
            let LogicalPlan::Subquery(inner) = subquery else {
                return Ok(TreeNodeRecursion::Continue);
            };
            let found =
                first_below(&inner.subquery, Asks::Clock).or_else(|| first_below(&inner.subquery, Asks::Chance));
            match found {
                Some(name) => Err(refuse.at(
                    &name,
                    "inside a subquery that gives a value",
                    "put it into FROM instead",
                )),
                None => Ok(TreeNodeRecursion::Jump),
            }
        })
    })?;
    Ok(())
}

/// `now()` stands in the SELECT of the whole query, or in one right over a stream; nowhere else.
fn clock_is_projected(plan: &LogicalPlan, top: bool, refuse: &Refuses) -> Result<()> {
    let called = first_of_node(plan, Asks::Clock);
    let passes = match plan {
        LogicalPlan::Projection(projection) => {
            if let Some(name) = called
                && !top
                && !right_over_a_stream(&projection.input)
            {
                let help = "write it in the SELECT of the whole query, or in one right over the table";
                return Err(refuse.at(&name, "in the middle of a query", help));
            }
            true
        }
        LogicalPlan::Filter(_) => {
            if let Some(name) = called {
                return Err(refuse.temporal_filter(&name));
            }
            true
        }
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Union(_) => {
            called.is_none()
        }
        // A window over the time of arrival.
        LogicalPlan::Extension(extension) => extension.node.as_any().is::<WindowNode>(),
        _ => false,
    };
    if let (Some(name), false) = (first_of_node(plan, Asks::Clock), passes) {
        let help = format!("give it a name in the SELECT first:  SELECT {name}() AS x, …");
        return Err(refuse.at(&name, where_in(plan), &help));
    }
    for input in plan.inputs() {
        // Branches of UNION ALL are chains of their own.
        let top = top && passes && !matches!(plan, LogicalPlan::Union(_));
        clock_is_projected(input, top, refuse)?;
    }
    Ok(())
}

fn right_over_a_stream(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().into_iter().all(right_over_a_stream)
        }
        LogicalPlan::TableScan(scan) => scan
            .source
            .downcast_ref::<TableScanned>()
            .is_some_and(|table| !table.spec.is_static),
        _ => false,
    }
}

/// Where an expression of a node stands, for people.
fn where_in(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Aggregate(_) => "inside GROUP BY or an aggregate",
        LogicalPlan::Window(_) => "inside OVER",
        LogicalPlan::Join(_) => "in ON",
        LogicalPlan::Sort(_) => "in ORDER BY",
        LogicalPlan::Values(_) => "in VALUES",
        _ => "here",
    }
}

/// What a node is above which a row has no place of its own, for people.
fn above(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Aggregate(_) => "above an aggregate",
        LogicalPlan::Distinct(_) => "above DISTINCT",
        LogicalPlan::Window(_) => "above OVER",
        LogicalPlan::Join(_) => "above a join",
        LogicalPlan::Union(_) => "above UNION",
        LogicalPlan::Unnest(_) => "above UNNEST",
        LogicalPlan::TableScan(_) => "over a table that is not a stream",
        LogicalPlan::Extension(e) if e.node.as_any().is::<WindowNode>() => "above a window",
        _ => "above such an operator",
    }
}

/// Refusals with the place of the call.
struct Refuses<'a> {
    query: Option<&'a ast::Query>,
}

impl Refuses<'_> {
    /// The call as it is written, and where.
    fn written(&self, name: &str) -> (String, Option<Span>) {
        let mut found = None;
        let mut look = |expr: &ast::Expr| -> ControlFlow<()> {
            if let ast::Expr::Function(function) = expr
                && let [ast::ObjectNamePart::Identifier(ident)] = &function.name.0[..]
                && found.is_none()
            {
                let called = ident.value.to_ascii_lowercase();
                let meant = WRITTEN.iter().find(|(written, _)| *written == called);
                let is_it =
                    |planned: &str| planned == name || (name == CLOCK_FUNCTION && asks(planned) == Some(Asks::Clock));
                if meant.is_some_and(|(_, planned)| is_it(planned)) {
                    found = Some((called, ident.span));
                }
            }
            ControlFlow::Continue(())
        };
        if let Some(query) = self.query {
            let _ = ast::visit_expressions(query, &mut look);
        }
        match found {
            Some((called, span)) => (called, Some(span)),
            None if name == CLOCK_FUNCTION => ("now".to_string(), None),
            None => (name.to_string(), None),
        }
    }

    fn at(&self, name: &str, place: &str, help: &str) -> datafusion::common::DataFusionError {
        let (called, span) = self.written(name);
        let mut refusal = Refusal::new("not_repeatable", format!("`{called}` cannot stand {place}"));
        refusal.span = span;
        refusal.help(help).into()
    }

    fn temporal_filter(&self, name: &str) -> datafusion::common::DataFusionError {
        let (called, span) = self.written(name);
        let message = format!("`{called}` in a condition makes a temporal filter, which is not built yet");
        let mut refusal = Refusal::new("not_yet", message);
        refusal.span = span;
        refusal
            .help("compare with a constant:  ts > TIMESTAMP '2024-01-01 00:00:00'")
            .help("or keep the last rows in windows:  FROM HOP(t, ts, INTERVAL '1' MINUTE, INTERVAL '1' HOUR) GROUP BY window_end, …")
            .into()
    }
}

/// Puts the calls in.
struct Placing<'a> {
    clock: Arc<ScalarUDF>,
    random: Arc<ScalarUDF>,
    uuid: Arc<ScalarUDF>,
    seed: i64,
    /// The number of the next call of `random()` or `uuid()`.
    site: i64,
    refuse: Refuses<'a>,
}

impl Placing<'_> {
    /// The plan with its calls replaced; with `wanted`, the name of a call above that needs the place of each row, and
    /// `__split` and `__offset` among its columns.
    fn place(&mut self, plan: LogicalPlan, wanted: Option<&str>) -> Result<LogicalPlan> {
        let chance = first_of_node(&plan, Asks::Chance);
        let needed = chance.as_deref().or(wanted);
        match plan {
            LogicalPlan::Projection(projection) => {
                let keep = NamePreserver::new_for_projection();
                let input = self.place(projection.input.as_ref().clone(), needed)?;
                let mut exprs = Vec::new();
                for expr in projection.expr {
                    let name = keep.save(&expr);
                    exprs.push(name.restore(self.replaced(expr, &input)?));
                }
                if wanted.is_some() {
                    exprs.extend([column(&input, SPLIT)?, column(&input, OFFSET)?]);
                }
                Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?))
            }
            LogicalPlan::Filter(filter) => {
                let input = self.place(filter.input.as_ref().clone(), needed)?;
                let predicate = self.replaced(filter.predicate, &input)?;
                let hidden = chance.is_some() && wanted.is_none();
                let columns = input.schema().columns();
                let filter = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?);
                if !hidden {
                    return Ok(filter);
                }
                let shown = columns.into_iter().filter(|c| c.name != SPLIT && c.name != OFFSET);
                LogicalPlanBuilder::from(filter)
                    .project(shown.map(Expr::Column))?
                    .build()
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let input = self.place(alias.input.as_ref().clone(), wanted)?;
                let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias)?;
                Ok(LogicalPlan::SubqueryAlias(alias))
            }
            LogicalPlan::Values(values) if chance.is_some() && wanted.is_none() => self.values(values),
            other => self.other(other, chance.as_deref(), wanted),
        }
    }

    fn other(&mut self, plan: LogicalPlan, chance: Option<&str>, wanted: Option<&str>) -> Result<LogicalPlan> {
        if let Some(name) = chance {
            let help = format!("give it a name in a SELECT below:  FROM (SELECT *, {name}() AS x FROM t)");
            return Err(self.refuse.at(name, where_in(&plan), &help));
        }
        let Some(name) = wanted else {
            return Ok(plan
                .map_children(|input| Ok(Transformed::yes(self.place(input, None)?)))?
                .data);
        };
        match &plan {
            LogicalPlan::EmptyRelation(_) => {
                let place = [lit(0i64).alias(SPLIT), lit(0i64).alias(OFFSET)];
                LogicalPlanBuilder::from(plan).project(place)?.build()
            }
            LogicalPlan::TableScan(scan) => match scan.source.downcast_ref::<TableScanned>() {
                Some(table) if !table.spec.is_static => {
                    let placed = TableScanned {
                        spec: Arc::clone(&table.spec),
                        placed: true,
                        ..*table
                    };
                    let scan = TableScanBuilder::new(scan.table_name.clone(), Arc::new(placed));
                    Ok(LogicalPlan::TableScan(scan.build()?))
                }
                _ => Err(self.refused_above(name, &plan)),
            },
            _ => Err(self.refused_above(name, &plan)),
        }
    }

    fn refused_above(&self, name: &str, plan: &LogicalPlan) -> datafusion::common::DataFusionError {
        let help = match plan {
            LogicalPlan::TableScan(_) => "give the number with the rows, as a column".to_string(),
            _ => format!("call it right over the table:  FROM (SELECT *, {name}() AS x FROM t)"),
        };
        self.refuse.at(name, above(plan), &help)
    }

    /// Each row of VALUES is its own place.
    fn values(&mut self, values: Values) -> Result<LogicalPlan> {
        let mut rows = Vec::new();
        let first = self.site;
        for (number, row) in values.values.into_iter().enumerate() {
            let place = [lit(0i64), lit(number as i64)];
            self.site = first;
            let row = row.into_iter().map(|expr| self.replaced_at(expr, &place));
            rows.push(row.collect::<Result<Vec<_>>>()?);
        }
        Ok(LogicalPlan::Values(Values {
            schema: values.schema,
            values: rows,
        }))
    }

    fn replaced(&mut self, expr: Expr, input: &LogicalPlan) -> Result<Expr> {
        if first_call(&expr, Asks::Chance).is_none() {
            return self.replaced_at(expr, &[]);
        }
        let place = [column(input, SPLIT)?, column(input, OFFSET)?];
        self.replaced_at(expr, &place)
    }

    fn replaced_at(&mut self, expr: Expr, place: &[Expr]) -> Result<Expr> {
        let replaced = expr.transform_up(|e| {
            let Expr::ScalarFunction(function) = &e else {
                return Ok(Transformed::no(e));
            };
            let clock = || self.clock.call(Vec::new());
            Ok(Transformed::yes(match function.name() {
                "now" => clock(),
                "current_date" => cast(clock(), DataType::Date32),
                "current_time" => cast(clock(), DataType::Time64(TimeUnit::Nanosecond)),
                name @ ("random" | "uuid") => {
                    let function = if name == "uuid" { &self.uuid } else { &self.random };
                    let mut args = vec![lit(self.seed), lit(self.site)];
                    args.extend_from_slice(place);
                    self.site += 1;
                    function.call(args)
                }
                _ => return Ok(Transformed::no(e)),
            }))
        })?;
        Ok(replaced.data)
    }
}

fn column(input: &LogicalPlan, name: &str) -> Result<Expr> {
    match hidden_column(input, name) {
        Some(column) => Ok(Expr::Column(column)),
        None => internal_err!("the place of a row is missing"),
    }
}
