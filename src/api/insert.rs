//! INSERT: where the rows of a query go, and in which columns.

use super::planning::{Planned, Planning, Routed, Target};
use crate::catalog::Relation;
use crate::dstream::table::TableSpec;
use crate::error::Diagnostic;
use crate::plan::compile::QueryPlan;
use crate::sql::statement::{Insert, Name};
use crate::sql::unnamed::titles;
use datafusion::arrow::datatypes::Field;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use std::ops::Range;
use std::sync::Arc;

impl Planning<'_> {
    /// An INSERT: the query's columns are those of the target.
    pub fn insert(&mut self, insert: &Insert, span: &Range<usize>) -> Planned<Routed> {
        let relation = self.target(&insert.target)?;
        let query = match &relation {
            Relation::Table(table) if !table.spec.columns.is_empty() => self.values(insert, &table.spec)?,
            _ => insert.query.as_ref().clone(),
        };
        let of_query = match &relation {
            Relation::Sink(_) => true,
            Relation::Table(table) => table.spec.columns.is_empty(),
            Relation::View(_) => false,
        };
        let plan = self.logical(&query, span)?;
        let (plan, target) = self.routed_into(plan, relation, &insert.target, &insert.columns, span)?;
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

    /// A plan whose columns are those of the target (`named`: these of them, all when there are none), and the target.
    pub(super) fn routed_into(
        &self,
        plan: LogicalPlan,
        relation: Relation,
        target: &Name,
        named: &[Name],
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
        let plan = self.fitted(plan, &table.spec, target, named, span)?;
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
        named: &[Name],
        span: &Range<usize>,
    ) -> Planned<LogicalPlan> {
        let schema = spec.physical_schema();
        let names: Vec<String> = match named.is_empty() {
            true => schema.fields().iter().map(|f| f.name().clone()).collect(),
            false => named.iter().map(|n| n.value.clone()).collect(),
        };
        if let Some(unknown) = named.iter().find(|n| schema.field_with_name(&n.value).is_err()) {
            let message = format!("`{}` has no column `{}`", spec.name, unknown.value);
            let known: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            let wrong = Diagnostic::error("unknown_column", message).at(unknown.span.clone());
            return Err(vec![wrong.suggest(&unknown.value, known)]);
        }
        if let Some(again) = (1..named.len()).find(|at| named[..*at].iter().any(|n| n.value == named[*at].value)) {
            let message = format!("column `{}` is named twice", named[again].value);
            let wrong = Diagnostic::error("duplicate_column", message).at(named[again].span.clone());
            return Err(vec![wrong]);
        }
        let required = spec.required().into_iter().map(|at| schema.field(at).name());
        if let Some(missing) = required.into_iter().find(|name| !names.contains(name)) {
            let message = format!(
                "column `{missing}` of `{}` may not be NULL, and gets no value here",
                spec.name
            );
            let wrong = Diagnostic::error("missing_column", message).at(target.span.clone());
            return Err(vec![
                wrong.help(format!("name it too: INSERT INTO {} ({missing}, …)", spec.name)),
            ]);
        }
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
        let expr = |field: &Arc<Field>| {
            let given = names
                .iter()
                .position(|n| n == field.name())
                .map(|i| Expr::Column(columns[i].clone()));
            let value = given.unwrap_or_else(|| lit(ScalarValue::Null));
            cast(value, field.data_type().clone()).alias(field.name())
        };
        let exprs: Vec<Expr> = schema.fields().iter().map(expr).collect();
        let built = LogicalPlanBuilder::from(plan).project(exprs).and_then(|b| b.build());
        built.map_err(|e| vec![self.diagnosed(&e, span)])
    }

    /// `INSERT INTO stdout`: standard output needs no declaration.
    fn declare_stdout(&mut self) {
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
