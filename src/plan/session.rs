//! What the SQL planner knows: our tables, DataFusion's functions, and the settings that make its plans fit to be run
//! once per interval.

use crate::catalog::{Catalog, LateRows, Relation, Table};
use crate::dstream::nodes::{OFFSET, SPLIT};
use crate::dstream::system::{self, DEAD_LETTERS, LATE_ROWS};
use crate::dstream::table::TableSpec;
use crate::plan::Refusal;
use crate::plan::element_access::ElementAccess;
use crate::plan::exact_numbers::{ExactMembers, ExactOperands, kept_type};
use crate::plan::json_access::{JsonAccess, ReadValues};
use crate::plan::patterns;
use crate::plan::unnest::Unnests;
use crate::plan::window_tables::WindowTables;
use crate::sql::{digits, plan_type};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{Result, ScalarValue, TableReference, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, Volatility, WindowUDF,
    create_udf,
};
use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast;
use std::borrow::Cow;
use std::sync::Arc;

/// Rules that do not fit a stream: a DISTINCT aggregate keeps its own state, LIMIT stays where it was written, and
/// several queries over one table share its scan.
const RULES_LEFT_OUT: [&str; 2] = ["single_distinct_aggregation_to_group_by", "push_down_limit"];

/// Rules for plans that run which tell columns by their names, of which two tables may have the same: a condition above a
/// join had been moved to the other side. Conditions are where they belong before.
const PHYSICAL_RULES_LEFT_OUT: [&str; 2] = ["FilterPushdown", "FilterPushdown(Post)"];

/// Functions and options. One partition (the engine does the exchange), and nothing that remembers between runs.
pub fn new_session() -> SessionState {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    // Which orders nobody sees is for `plan::unseen_order` to say.
    options.sql_parser.enable_subquery_sort_elimination = false;
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.optimizer.repartition_aggregations = false;
    options.optimizer.repartition_joins = false;
    options.optimizer.repartition_windows = false;
    options.optimizer.repartition_sorts = false;
    let rules = Optimizer::new().rules;
    let rules = rules
        .into_iter()
        .filter(|r| !RULES_LEFT_OUT.contains(&r.name()))
        .collect();
    let physical_rules = PhysicalOptimizer::new().rules;
    let physical_rules = physical_rules
        .into_iter()
        .filter(|r| !PHYSICAL_RULES_LEFT_OUT.contains(&r.name()))
        .collect();
    // The planners that are asked first are ours: with_default_features adds to them.
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_expr_planners(vec![
            Arc::new(ExactOperands),
            Arc::new(JsonAccess),
            Arc::new(ElementAccess),
        ])
        .with_default_features();
    let mut state = builder
        .with_optimizer_rules(rules)
        .with_physical_optimizer_rules(physical_rules)
        .with_relation_planners(vec![Arc::new(WindowTables), Arc::new(Unnests)])
        .with_analyzer_rules(analyzer_rules())
        .build();
    if let Err(error) = datafusion_functions_json::register_all(&mut state) {
        tracing::warn!(%error, "the JSON functions are missing");
    }
    for function in patterns::functions().into_iter().chain([version()]) {
        let name = function.name().to_string();
        if let Err(error) = state.register_udf(Arc::new(function)) {
            tracing::warn!(%error, "the function {name} is missing");
        }
    }
    state
}

/// `version()`: of this engine, not of DataFusion.
fn version() -> ScalarUDF {
    let told = || ScalarValue::from(concat!("Waterwheel ", env!("CARGO_PKG_VERSION")));
    create_udf(
        "version",
        Vec::new(),
        DataType::Utf8,
        Volatility::Immutable,
        Arc::new(move |_| Ok(ColumnarValue::Scalar(told()))),
    )
}

/// DataFusion's rules, with ours before and behind them.
fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(ExactMembers)];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(ReadValues));
    rules
}

/// Our names for the SQL planner.
pub struct Names<'a> {
    pub session: &'a SessionState,
    /// Those of the session, and what windows depend on.
    pub options: ConfigOptions,
    pub catalog: &'a Catalog,
}

impl Names<'_> {
    /// A relation that the engine fills.
    fn system(&self, function: &str, of: &str) -> Result<Arc<TableSpec>> {
        let unknown = |what: &str, known: Vec<&str>| {
            let mut refusal = Refusal::new("unknown_table", format!("there is no {what} `{of}`"));
            if let Some(best) = crate::error::nearest(of, known).first() {
                refusal = refusal.help(format!("did you mean '{best}'?"));
            }
            refusal
        };
        if function == DEAD_LETTERS {
            return match self.catalog.get(of) {
                Some(Relation::Table(_)) => Ok(Arc::new(system::dead_letters(of))),
                _ => Err(unknown("source", self.catalog.names().collect()).into()),
            };
        }
        match self.catalog.late_rows(of) {
            Some(LateRows::Of(spec)) => Ok(Arc::clone(spec)),
            Some(LateRows::Unlike) => {
                let message = format!("the windows of `{of}` read sources with different columns");
                let refusal = Refusal::new("late_columns", message);
                Err(refusal.help("to see late rows, write a query for each source").into())
            }
            None => Err(unknown("query with windows called", self.catalog.queries().collect()).into()),
        }
    }
}

/// A table of ours in a logical plan.
#[derive(Debug)]
pub struct TableScanned {
    pub spec: Arc<TableSpec>,
    pub bounded: bool,
    pub replayable: bool,
    /// The place of a row, `__split` and `__offset`, follows its columns: `random()` or `uuid()` is made of it.
    pub placed: bool,
}

impl TableSource for TableScanned {
    fn schema(&self) -> SchemaRef {
        let schema = self.spec.schema();
        if !self.placed {
            return schema;
        }
        let hidden = place_fields().map(Arc::new);
        Arc::new(Schema::new(
            schema.fields().iter().cloned().chain(hidden).collect::<Vec<_>>(),
        ))
    }
}

/// The place of a row in its source.
pub fn place_fields() -> [Field; 2] {
    [SPLIT, OFFSET].map(|name| Field::new(name, DataType::Int64, false))
}

/// A view: its plan stands in for it.
struct ViewExpanded {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl TableSource for ViewExpanded {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn get_logical_plan(&'_ self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

/// Casts know the types that columns have, and no others.
#[derive(Debug)]
struct ColumnTypes;

impl TypePlanner for ColumnTypes {
    fn plan_type_field(&self, written: &ast::DataType) -> Result<Option<FieldRef>> {
        if matches!(written, ast::DataType::Custom(name, _) if name.to_string() == digits::KEPT) {
            return Ok(Some(kept_type()));
        }
        let planned = plan_type(written).map_err(|message| Refusal::new("unknown_type", message))?;
        Ok(Some(Arc::new(Field::new("", planned, true))))
    }
}

impl ContextProvider for Names<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        match self.catalog.get(name.table()) {
            Some(Relation::Table(table)) if !table.readable => {
                let connector = table.spec.connector.as_deref().unwrap_or_default();
                let message = format!(
                    "`{}` can be written to, not read: that is so with connector '{connector}'",
                    table.spec.name
                );
                Err(Refusal::new("not_readable", message).into())
            }
            Some(Relation::Table(Table {
                spec,
                bounded,
                replayable,
                ..
            })) => Ok(Arc::new(TableScanned {
                spec: Arc::clone(spec),
                bounded: *bounded,
                replayable: *replayable,
                placed: false,
            })),
            Some(Relation::View(view)) => {
                let schema = Arc::new(view.plan.schema().as_arrow().clone());
                Ok(Arc::new(ViewExpanded {
                    plan: view.plan.clone(),
                    schema,
                }))
            }
            Some(Relation::Sink(sink)) => {
                let message = format!("`{}` is a sink: it can be written to, not read", sink.name);
                Err(Refusal::new("not_readable", message).into())
            }
            None => plan_err!("table '{}' not found", name.table()),
        }
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        let spec = match (name, &args[..]) {
            (LATE_ROWS | DEAD_LETTERS, [Expr::Literal(ScalarValue::Utf8(Some(of)), _)]) => self.system(name, of)?,
            (LATE_ROWS, _) => {
                let refusal = Refusal::new("arguments", "late_rows takes the name of a query");
                return Err(refusal.help("write: late_rows('q1')").into());
            }
            (DEAD_LETTERS, _) => {
                let refusal = Refusal::new("arguments", "dead_letters takes the name of a source");
                return Err(refusal.help("write: dead_letters('clicks')").into());
            }
            _ => return plan_err!("table function '{name}' not found"),
        };
        Ok(Arc::new(TableScanned {
            spec,
            bounded: true,
            replayable: true,
            placed: false,
        }))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.session.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        self.session.relation_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(ColumnTypes))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.session.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.session.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.session.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.session.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.session.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.session.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.session.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.session.window_functions().keys().cloned().collect()
    }
}
