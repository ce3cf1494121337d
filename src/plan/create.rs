//! CREATE TABLE | SOURCE | SINK to a [`TableSpec`]: types, computed columns, watermark, key and options checked.

use crate::catalog::options;
use crate::dstream::nodes::InputNode;
use crate::dstream::table::{Column, ConnectorSpec, TableSpec, Watermark};
use crate::error::Diagnostic;
use crate::plan::Refusal;
use crate::plan::chance::{is_arrival, refuse_calls};
use crate::plan::diagnose::{Context, diagnose};
use crate::plan::session::Names;
use crate::plan::widths::interval_ns;
use crate::sql::statement::{ColumnKind, CreateSink, CreateTable, Name, OptionDef, WatermarkDef};
use crate::sql::{digits, fields, patterns, plan_type};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Projection};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast;
use std::sync::Arc;

/// What a CREATE statement is planned with.
pub struct Creation<'a> {
    pub names: &'a Names<'a>,
    pub connectors: &'a [&'a ConnectorSpec],
    /// How planning errors become diagnostics.
    pub context: &'a Context<'a>,
}

impl Creation<'_> {
    /// A table, source or external table. `infer` gives the columns of a table that declares none.
    pub fn table(
        &self,
        create: &CreateTable,
        infer: &dyn Fn(&TableSpec) -> Result<SchemaRef, Diagnostic>,
    ) -> Result<TableSpec, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let default = create.external.then_some("file");
        let (connector, options) = self.options(&create.options, default, &mut wrong);
        if let Some(spec) = connector
            && !spec.reads
            && create.external
        {
            let message = format!("an EXTERNAL TABLE is read, and connector `{}` cannot be", spec.name);
            wrong.push(Diagnostic::error("not_readable", message).at(create.name.span.clone()));
        }
        if connector.is_none() && wrong.is_empty() {
            wrong.extend(create.options.iter().map(|def| self.stray(def)));
            if create.columns.is_empty() {
                let message = format!(
                    "`{}` has neither columns nor a connector to take them from",
                    create.name.value
                );
                wrong.push(
                    Diagnostic::error("no_columns", message)
                        .at(create.name.span.clone())
                        .help("declare the columns, or read a file: WITH (connector = 'file', path = '…')"),
                );
            }
        }
        let mut spec = TableSpec {
            name: create.name.value.clone(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            watermark: None,
            connector: connector.map(|c| c.name.to_string()),
            options,
            is_static: create.external,
            definition: create.text.clone(),
        };
        let declared = create
            .columns
            .iter()
            .any(|c| matches!(c.kind, ColumnKind::Typed { .. }));
        let inferred = match connector {
            Some(connector) if connector.reads && !declared && wrong.is_empty() => match infer(&spec) {
                Ok(schema) => Some(schema),
                Err(diagnostic) => {
                    let path = create.options.iter().find(|def| def.key.value == "path");
                    let at = path.map_or(&create.name.span, |path| &path.value_span);
                    return Err(vec![diagnostic.at(at.clone())]);
                }
            },
            _ => None,
        };
        let columns = self.columns(create, inferred, &mut wrong);
        if create.external
            && let Some(column) = columns.iter().find(|c| c.computed.as_ref().is_some_and(is_arrival))
        {
            let message = format!(
                "`{}` is the time at which rows arrive: a table that does not change has none",
                column.name
            );
            wrong.push(Diagnostic::error("not_a_stream", message).at(create.name.span.clone()));
        }
        let primary_key = key(&create.primary_key, &columns, &mut wrong);
        let watermark = create
            .watermark
            .as_ref()
            .and_then(|def| self.watermark(def, &columns, &mut wrong));
        if let Some(def) = create.options.iter().find(|def| def.key.value == "max_future_skew") {
            let fault = match (create.external, &create.watermark) {
                (true, _) => {
                    Some("an EXTERNAL TABLE is read once and has no clock: max_future_skew means nothing here")
                }
                (false, None) => Some("max_future_skew is about event time, and the table declares none"),
                (false, Some(_)) => None,
            };
            let fault = fault.map(|message| Diagnostic::error("misplaced_option", message).at(def.key.span.clone()));
            wrong.extend(fault.map(|fault| match create.external {
                true => fault,
                false => fault.help("declare it: WATERMARK FOR column AS column - INTERVAL '5' SECOND"),
            }));
        }
        match wrong.is_empty() {
            false => Err(wrong),
            true => {
                (spec.columns, spec.primary_key, spec.watermark) = (columns, primary_key, watermark);
                Ok(spec)
            }
        }
    }

    /// A table that a query fills, with the columns of that query.
    pub fn table_as(&self, create: &CreateTable, columns: Vec<Column>) -> Result<TableSpec, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let (connector, options) = self.options(&create.options, None, &mut wrong);
        match connector {
            Some(spec) if !spec.writes => {
                wrong.push(not_writable(spec, &create.name));
            }
            None if wrong.is_empty() => wrong.extend(create.options.iter().map(|def| self.stray(def))),
            _ => {}
        }
        match wrong.is_empty() {
            false => Err(wrong),
            true => Ok(TableSpec {
                name: create.name.value.clone(),
                columns,
                primary_key: Vec::new(),
                watermark: None,
                connector: connector.map(|c| c.name.to_string()),
                options,
                is_static: false,
                definition: create.text.clone(),
            }),
        }
    }

    /// A sink; its columns are those of what is written to it.
    pub fn sink(&self, create: &CreateSink) -> Result<TableSpec, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let (connector, options) = self.options(&create.options, None, &mut wrong);
        match connector {
            Some(spec) if !spec.writes => {
                wrong.push(not_writable(spec, &create.name));
            }
            None if wrong.is_empty() => {
                wrong.extend(create.options.iter().map(|def| self.stray(def)));
                let message = format!("the sink `{}` needs a connector", create.name.value);
                let example = "WITH (connector = 'file', path = 'out.jsonl')";
                wrong.push(
                    Diagnostic::error("no_connector", message)
                        .at(create.name.span.clone())
                        .help(example),
                );
            }
            Some(spec) => wrong.extend(options::only_read(&create.options, spec)),
            None => {}
        }
        match wrong.is_empty() {
            false => Err(wrong),
            true => Ok(TableSpec {
                name: create.name.value.clone(),
                columns: Vec::new(),
                primary_key: Vec::new(),
                watermark: None,
                connector: connector.map(|c| c.name.to_string()),
                options,
                is_static: false,
                definition: create.text.clone(),
            }),
        }
    }

    fn options<'s>(
        &'s self,
        defs: &[OptionDef],
        default: Option<&str>,
        wrong: &mut Vec<Diagnostic>,
    ) -> (Option<&'s ConnectorSpec>, std::collections::BTreeMap<String, String>) {
        match options::check(defs, self.connectors, default) {
            Ok(checked) => (checked.connector, checked.options),
            Err(mistakes) => {
                wrong.extend(mistakes);
                (None, Default::default())
            }
        }
    }

    fn stray(&self, def: &OptionDef) -> Diagnostic {
        let message = format!("the option `{}` needs a connector", def.key.value);
        Diagnostic::error("no_connector", message)
            .at(def.key.span.clone())
            .suggest(&def.key.value, ["connector"])
    }

    /// The columns in declared order; inferred ones come before the computed ones.
    fn columns(&self, create: &CreateTable, inferred: Option<SchemaRef>, wrong: &mut Vec<Diagnostic>) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        let mut fields: Vec<Field> = inferred
            .iter()
            .flat_map(|s| s.fields())
            .map(|f| f.as_ref().clone())
            .collect();
        columns.extend(fields.iter().map(Column::physical));
        for def in &create.columns {
            if let ColumnKind::Typed {
                data_type,
                nullable,
                span,
            } = &def.kind
            {
                match plan_type(data_type) {
                    Ok(data_type) => {
                        let field = Field::new(&def.name.value, data_type, *nullable);
                        fields.push(field);
                    }
                    Err(message) => wrong.push(Diagnostic::error("unknown_type", message).at(span.clone())),
                }
            }
        }
        let schema = Schema::new(fields);
        for def in &create.columns {
            if columns.iter().any(|c| c.name == def.name.value) {
                let message = format!("two columns are called `{}`", def.name.value);
                wrong.push(Diagnostic::error("duplicate_column", message).at(def.name.span.clone()));
                continue;
            }
            let name = def.name.value.clone();
            match &def.kind {
                ColumnKind::Typed { .. } => {
                    if let Ok(field) = schema.field_with_name(&name) {
                        let (data_type, nullable) = (field.data_type().clone(), field.is_nullable());
                        columns.push(Column {
                            name,
                            data_type,
                            nullable,
                            declared: true,
                            computed: None,
                        });
                    }
                }
                ColumnKind::Computed { expr, .. } => match self.computed(expr, &schema) {
                    Ok((expr, data_type)) => {
                        columns.push(Column {
                            name,
                            data_type,
                            nullable: true,
                            declared: true,
                            computed: Some(expr),
                        });
                    }
                    Err(error) => {
                        let mut found = diagnose(&error, self.context);
                        // What has no place of its own is told at the column, not at the whole statement.
                        if found.span.as_ref() == Some(&self.context.statement) {
                            found.span = Some(def.name.span.clone());
                        }
                        wrong.push(found);
                    }
                },
            }
        }
        columns
    }

    /// An expression over the physical columns, ready to be made physical, and its type.
    fn computed(&self, expr: &ast::Expr, physical: &Schema) -> Result<(Expr, DataType)> {
        let schema = DFSchema::try_from(physical.clone())?;
        let planner = SqlToRel::new(self.names);
        let mut expr = expr.clone();
        fields::by_name(&mut expr);
        patterns::rewrite(&mut expr).map_err(|unwritten| {
            let refusal = Refusal::new("not_yet", unwritten.message).at(unwritten.span);
            refusal.help(unwritten.help)
        })?;
        digits::keep(&mut expr);
        let planned = planner.sql_to_expr(expr, &schema, &mut PlannerContext::new())?;
        refuse_calls(&planned)?;
        let leaf = InputNode::plan(0, (0..physical.fields().len()).collect(), Arc::new(schema.clone()));
        let is_of_many = |e: &Expr| Ok(matches!(e, Expr::AggregateFunction(_) | Expr::WindowFunction(_)));
        let is_query = |e: &Expr| {
            Ok(matches!(
                e,
                Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_)
            ))
        };
        if planned.exists(is_query)? {
            let refusal = Refusal::new(
                "subquery",
                "a computed column is made from its own row, and reads nothing else",
            );
            return Err(refusal
                .help("join the other table in a query that reads this one")
                .into());
        }
        if planned.exists(is_of_many)? {
            let refusal = Refusal::new("many_rows", "a computed column is made from one row, not from many");
            return Err(refusal.help("aggregate in a query that reads the table").into());
        }
        let plan = LogicalPlan::Projection(Projection::try_new(vec![planned], Arc::new(leaf))?);
        let session = self.names.session;
        let plan = session
            .analyzer()
            .execute_and_check(plan, session.config_options(), |_, _| {})?;
        let LogicalPlan::Projection(projection) = plan else {
            return internal_err!("a computed column is a projection");
        };
        let Some(expr) = projection.expr.first() else {
            return internal_err!("a computed column has one expression");
        };
        // Some functions stand for others (arrow_cast for a cast): only the simplifier resolves them.
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(Arc::clone(session.config_options()))
            .build();
        let expr = ExprSimplifier::new(context).simplify(expr.clone().unalias())?;
        let data_type = expr.get_type(&schema)?;
        let data_type = if data_type == DataType::Utf8View {
            DataType::Utf8
        } else {
            data_type
        };
        let expr = expr.cast_to(&data_type, &schema)?;
        Ok((expr, data_type))
    }

    fn watermark(&self, def: &WatermarkDef, columns: &[Column], wrong: &mut Vec<Diagnostic>) -> Option<Watermark> {
        let Some(column) = columns.iter().position(|c| c.name == def.column.value) else {
            if !columns.is_empty() {
                wrong.push(unknown_column(&def.column, columns));
            }
            return None;
        };
        if !matches!(columns[column].data_type, DataType::Timestamp(_, _)) {
            let message = format!("the event time `{}` must be a TIMESTAMP", def.column.value);
            let help = format!("make one: event_time AS to_timestamp({})", def.column.value);
            wrong.push(
                Diagnostic::error("not_a_time", message)
                    .at(def.column.span.clone())
                    .help(help),
            );
            return None;
        }
        if columns[column].computed.as_ref().is_some_and(is_arrival) {
            let message = format!(
                "`{}` is the time at which rows arrive, which has no watermark",
                def.column.value
            );
            let help = "leave WATERMARK FOR out: windows over it close by the clock";
            wrong.push(
                Diagnostic::error("watermark", message)
                    .at(def.column.span.clone())
                    .help(help),
            );
            return None;
        }
        match self.delay_ns(def) {
            Some(delay_ns) if delay_ns >= 0 => Some(Watermark { column, delay_ns }),
            _ => {
                let name = &def.column.value;
                let message = format!("a watermark is `{name}` or `{name} - INTERVAL '…'`");
                wrong.push(
                    Diagnostic::error("watermark", message)
                        .at(def.span.clone())
                        .help(format!("write: WATERMARK FOR {name} AS {name} - INTERVAL '5' SECOND")),
                );
                None
            }
        }
    }

    fn delay_ns(&self, def: &WatermarkDef) -> Option<i64> {
        let is_column = |expr: &ast::Expr| match expr {
            ast::Expr::Identifier(ident) => ident.value.eq_ignore_ascii_case(&def.column.value),
            _ => false,
        };
        match &def.expr {
            expr if is_column(expr) => Some(0),
            ast::Expr::BinaryOp {
                left,
                op: ast::BinaryOperator::Minus,
                right,
            } if is_column(left) => {
                let planner = SqlToRel::new(self.names);
                let empty = DFSchema::empty();
                let expr = planner
                    .sql_to_expr(right.as_ref().clone(), &empty, &mut PlannerContext::new())
                    .ok()?;
                match expr {
                    Expr::Literal(value, _) => interval_ns(&value),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

fn not_writable(connector: &ConnectorSpec, name: &Name) -> Diagnostic {
    let message = format!("connector `{}` cannot be written to", connector.name);
    Diagnostic::error("not_writable", message).at(name.span.clone())
}

fn key(names: &[Name], columns: &[Column], wrong: &mut Vec<Diagnostic>) -> Vec<usize> {
    let mut key = Vec::new();
    for name in names {
        match columns.iter().position(|c| c.name == name.value) {
            Some(index) if key.contains(&index) => {
                let message = format!("column `{}` is named twice", name.value);
                wrong.push(Diagnostic::error("duplicate_column", message).at(name.span.clone()));
            }
            Some(index) if columns[index].computed.is_some() => {
                let message = format!(
                    "the PRIMARY KEY is made of columns of the data, and `{}` is computed",
                    name.value
                );
                let refused = Diagnostic::error("computed_key", message).at(name.span.clone());
                wrong.push(refused.help("name the columns that it is computed from"));
            }
            Some(index) => key.push(index),
            None if columns.is_empty() => {}
            None => wrong.push(unknown_column(name, columns)),
        }
    }
    key
}

fn unknown_column(name: &Name, columns: &[Column]) -> Diagnostic {
    Diagnostic::error("unknown_column", format!("column `{}` not found", name.value))
        .at(name.span.clone())
        .suggest(&name.value, columns.iter().map(|c| c.name.as_str()))
}
