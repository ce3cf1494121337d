//! INSERT: where the rows of a query go, and in which columns.

use super::conversion;
use super::insert_values::Column;
use super::planning::{Planned, Planning, Routed, Target};
use crate::catalog::Relation;
use crate::dstream::table::TableSpec;
use crate::error::Diagnostic;
use crate::plan::compile::QueryPlan;
use crate::sql::statement::{Insert, Name};
use crate::sql::unnamed::titles;
use crate::sql::{Lines, digits};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::sql::sqlparser::ast::{self, SelectItem, SetExpr, Spanned};
use std::ops::Range;
use std::sync::Arc;

/// Columns of a target and of the query that fills them.
#[derive(Default)]
pub(super) struct Columns<'a> {
    /// Those of the target that are named; all, when none is.
    pub named: &'a [Name],
    /// Where those of the query stand, as far as it writes them.
    pub written: &'a [Option<Range<usize>>],
}

impl Planning<'_> {
    /// An INSERT: the query's columns are those of the target.
    pub fn insert(&mut self, insert: &Insert, span: &Range<usize>) -> Planned<Routed> {
        let relation = self.target(&insert.target)?;
        let plan = match &relation {
            Relation::Table(table) if !table.spec.columns.is_empty() => self.typed(insert, &table.spec, span)?,
            _ => self.logical(&insert.query, span)?,
        };
        let of_query = match &relation {
            Relation::Sink(_) => true,
            Relation::Table(table) => table.spec.columns.is_empty(),
            Relation::View(_) => false,
        };
        let columns = columns_written(&insert.query.query, &self.lines);
        let into = Columns {
            named: &insert.columns,
            written: &columns,
        };
        let (plan, target) = self.routed_into(plan, relation, &insert.target, &into, span)?;
        let mut plan = QueryPlan::new(insert.target.value.clone(), self.optimised(plan, span)?);
        if of_query {
            plan.titles = titles(&insert.query.query);
        }
        let late = self.clauses(&insert.query, &mut plan, span)?;
        let routed = Routed {
            plan,
            target,
            once: false,
            late,
        };
        self.flow(&routed, &insert.target.span)?;
        Ok(routed)
    }

    /// The query of an INSERT into a table, with the numbers that it writes in the types of the columns.
    fn typed(&mut self, insert: &Insert, spec: &TableSpec, span: &Range<usize>) -> Planned<LogicalPlan> {
        let (schema, required) = (spec.physical_schema(), spec.required());
        let mut columns = Vec::new();
        for place in places(spec, &insert.columns)? {
            columns.push(Column {
                field: schema.field(place),
                required: required.contains(&place),
            });
        }
        if let Some(plan) = self.values(insert, &columns, span)? {
            return Ok(plan);
        }
        let mut rewritten = self.rewritten(&insert.query, span)?;
        let types: Vec<DataType> = columns.iter().map(|column| column.field.data_type().clone()).collect();
        digits::exact_columns(&mut rewritten.body, &types);
        self.plan_of(rewritten, &insert.query, span)
    }

    /// What is to be written to. Standard output needs no declaration.
    pub(super) fn target(&mut self, name: &Name) -> Planned<Relation> {
        if name.value == "stdout" && self.state.catalog.get("stdout").is_none() {
            self.declare_stdout();
        }
        self.relation(name).cloned().map_err(|mut unknown| {
            for diagnostic in unknown.iter_mut().filter(|d| d.help.is_empty()) {
                *diagnostic = diagnostic.clone().suggest(&name.value, ["stdout"]);
            }
            unknown
        })
    }

    /// A plan whose columns are those of the target, and the target.
    pub(super) fn routed_into(
        &self,
        plan: LogicalPlan,
        relation: Relation,
        target: &Name,
        into: &Columns,
        span: &Range<usize>,
    ) -> Planned<(LogicalPlan, Target)> {
        let not_writable = |message| vec![Diagnostic::error("not_writable", message).at(target.span.clone())];
        let table = match relation {
            Relation::Sink(spec) => return Ok((plan, Target::Sink(spec))),
            Relation::View(_) => {
                let message = format!("`{}` is a view: it cannot be written to", target.value);
                return Err(not_writable(message));
            }
            Relation::Table(table) => table,
        };
        let connector = table.spec.connector.as_deref().and_then(crate::connectors::find);
        if let Some(connector) = connector.filter(|c| c.sink.is_none()) {
            let message = format!("connector `{}` cannot be written to", connector.spec.name);
            return Err(not_writable(message));
        }
        if table.spec.columns.is_empty() {
            return Ok((plan, Target::Sink(table.spec)));
        }
        let plan = self.fitted(plan, &table.spec, target, into, span)?;
        let target = match connector {
            None => Target::Table(table.spec),
            Some(_) => Target::Sink(table.spec),
        };
        Ok((plan, target))
    }

    /// The query's columns cast to those of the table; columns that are not named are NULL.
    fn fitted(
        &self,
        plan: LogicalPlan,
        spec: &TableSpec,
        target: &Name,
        into: &Columns,
        span: &Range<usize>,
    ) -> Planned<LogicalPlan> {
        let schema = spec.physical_schema();
        let places = places(spec, into.named)?;
        if let Some(missing) = spec.required().into_iter().find(|place| !places.contains(place)) {
            let missing = schema.field(missing).name();
            let message = format!(
                "column `{missing}` of `{}` may not be NULL, and gets no value here",
                spec.name
            );
            let wrong = Diagnostic::error("missing_column", message).at(target.span.clone());
            return Err(vec![
                wrong.help(format!("name it too: INSERT INTO {} ({missing}, …)", spec.name)),
            ]);
        }
        let names: Vec<&str> = places
            .iter()
            .map(|place| schema.field(*place).name().as_str())
            .collect();
        let columns = plan.schema().columns();
        if columns.len() != names.len() {
            let message = format!(
                "`{}` takes {} columns, the query gives {}",
                spec.name,
                names.len(),
                columns.len()
            );
            let wrong = Diagnostic::error("column_count", message).at(target.span.clone());
            return Err(vec![wrong.note(format!("the columns are: {}", names.join(", ")))]);
        }
        let given = plan.schema().fields().iter().enumerate();
        let unfit = |(place, (nth, given)): (&usize, (usize, &Arc<Field>))| {
            let at = into.written.get(nth).cloned().flatten();
            let wrong = conversion::refused(schema.field(*place), given.data_type());
            wrong.map(|wrong| wrong.at(at.unwrap_or(target.span.clone())))
        };
        let unfit: Vec<Diagnostic> = places.iter().zip(given).filter_map(unfit).collect();
        if !unfit.is_empty() {
            return Err(unfit);
        }
        let expr = |(place, field): (usize, &Arc<Field>)| {
            let given = places.iter().position(|p| *p == place);
            let given = given.map(|i| Expr::Column(columns[i].clone()));
            let value = given.unwrap_or_else(|| lit(ScalarValue::Null));
            cast(value, field.data_type().clone()).alias(field.name())
        };
        let exprs: Vec<Expr> = schema.fields().iter().enumerate().map(expr).collect();
        let built = LogicalPlanBuilder::from(plan).project(exprs).and_then(|b| b.build());
        built.map_err(|e| vec![self.diagnosed(&e, span)])
    }

    /// Standard output as a sink, which needs no declaration.
    pub(super) fn declare_stdout(&mut self) {
        let spec = TableSpec {
            name: "stdout".to_string(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            watermark: None,
            connector: Some("stdout".to_string()),
            options: Default::default(),
            is_static: false,
            definition: "CREATE SINK stdout WITH (connector = 'stdout')".to_string(),
        };
        self.state.catalog.put(Relation::Sink(Arc::new(spec)));
    }
}

/// Where the columns of a SELECT stand in the text, before a `*`.
fn columns_written(query: &ast::Query, lines: &Lines) -> Vec<Option<Range<usize>>> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return Vec::new();
    };
    let place = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(lines.span(expr.span())),
        _ => None,
    };
    select.projection.iter().map_while(place).collect()
}

/// The places of the columns that are named, among those that are not computed; all, when none is.
fn places(spec: &TableSpec, named: &[Name]) -> Planned<Vec<usize>> {
    let schema = spec.physical_schema();
    if named.is_empty() {
        return Ok((0..schema.fields().len()).collect());
    }
    let mut places = Vec::with_capacity(named.len());
    for name in named {
        let Ok(place) = schema.index_of(&name.value) else {
            let message = format!("`{}` has no column `{}`", spec.name, name.value);
            let known = schema.fields().iter().map(|field| field.name().as_str());
            let wrong = Diagnostic::error("unknown_column", message).at(name.span.clone());
            return Err(vec![wrong.suggest(&name.value, known)]);
        };
        if places.contains(&place) {
            let message = format!("column `{}` is named twice", name.value);
            return Err(vec![
                Diagnostic::error("duplicate_column", message).at(name.span.clone()),
            ]);
        }
        places.push(place);
    }
    Ok(places)
}
