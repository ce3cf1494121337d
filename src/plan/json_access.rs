//! `p -> 'a'` and `p ->> 'a'`: parts of JSON that stands in text.
//!
//! Owns: [`JsonAccess`], which plans the operators, and [`ReadValues`], which makes casts of them read the value.
//! Guarantees: `->` is text wherever it stands, so that it compares, groups, joins and is written as it is shown. A cast
//! to another type reads the value, as `->>` does: a string without its quotes, a JSON null as NULL, a list of JSON as one.
//! Does **not** guarantee: anything about `json_get`, which gives a union of types and is the caller's own choice.

use crate::plan::rewrite::with_names;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::functions_nested::expr_fn::array_transform;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, ScalarUDF, cast, lambda, lambda_var, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use datafusion_functions_json::udfs::{json_as_text_udf, json_get_array_udf, json_get_json_udf};
use std::sync::Arc;

/// Where a column tells that it holds JSON.
const EXTENSION_TYPE_NAME_KEY: &str = "ARROW:extension:name";

/// Plans `->`, `->>`, `#>` and `#>>`.
#[derive(Debug)]
pub struct JsonAccess;

impl ExprPlanner for JsonAccess {
    fn plan_binary_op(&self, binary: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let function = match &binary.op {
            BinaryOperator::Arrow | BinaryOperator::HashArrow => json_get_json_udf(),
            BinaryOperator::LongArrow | BinaryOperator::HashLongArrow => json_as_text_udf(),
            _ => return Ok(PlannerResult::Original(binary)),
        };
        // A chain is one walk through the text.
        let mut args = match binary.left {
            Expr::ScalarFunction(inner) if is_json(&inner.func) && inner.args.get(1..).is_some_and(is_path) => {
                inner.args
            }
            text => vec![text],
        };
        let is_of_many = matches!(binary.op, BinaryOperator::HashArrow | BinaryOperator::HashLongArrow);
        let steps = steps(binary.right, is_of_many, schema)?;
        if !is_path(&steps) && args.len() > 1 {
            args = vec![call(json_get_json_udf(), args)];
        }
        args.extend(steps);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction {
            func: function,
            args,
        })))
    }
}

/// Casts of `->` read the value, and not its text: analysed last, when the casts that nobody has written are there too.
#[derive(Debug)]
pub struct ReadValues;

impl AnalyzerRule for ReadValues {
    fn name(&self) -> &str {
        "json_values"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            with_names(node, &mut |expr| expr.transform_up(|part| read_value(part, &schema)))
        })
        .map(|plan| plan.data)
    }
}

fn read_value(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (input, to) = match &mut expr {
        Expr::Cast(cast) => (&mut cast.expr, cast.field.data_type()),
        Expr::TryCast(cast) => (&mut cast.expr, cast.field.data_type()),
        _ => return Ok(Transformed::no(expr)),
    };
    if to.is_string() || !holds_json(input, schema) {
        return Ok(Transformed::no(expr));
    }
    let value = value_of(std::mem::take(input), to, 0);
    **input = value.resolve_lambda_variables(schema)?.data;
    Ok(Transformed::yes(expr))
}

/// Whether a value is JSON: `->`, `->>`, or a column of a query that is one.
pub fn holds_json(value: &Expr, schema: &DFSchema) -> bool {
    match value {
        Expr::ScalarFunction(access) => is_json(&access.func) || access.func == json_as_text_udf(),
        Expr::Column(column) => schema.field_from_column(column).is_ok_and(is_marked),
        Expr::OuterReferenceColumn(field, _) => is_marked(field),
        _ => false,
    }
}

fn is_marked(column: &FieldRef) -> bool {
    let mark = column.metadata().get(EXTENSION_TYPE_NAME_KEY);
    mark.is_some_and(|mark| mark == "arrow.json")
}

/// What JSON says, to be cast to a type: its text, or a list of the values in it.
fn value_of(json: Expr, to: &DataType, depth: usize) -> Expr {
    match (json, to) {
        (json, DataType::List(item)) => {
            let elements = call(
                json_get_array_udf(),
                match json {
                    Expr::ScalarFunction(access) => access.args,
                    text => vec![text],
                },
            );
            let name = format!("element_{depth}");
            let element = value_of(lambda_var(&name), item.data_type(), depth + 1);
            let value = cast(element, item.data_type().clone());
            array_transform(elements, lambda([name], value))
        }
        (Expr::ScalarFunction(access), _) => call(json_as_text_udf(), access.args),
        (text, _) => call(json_as_text_udf(), vec![text]),
    }
}

/// The steps that stand behind an operator: of `#> '{a,0}'`, as PostgreSQL writes paths, several.
fn steps(right: Expr, is_of_many: bool, schema: &DFSchema) -> Result<Vec<Expr>> {
    if is_of_many
        && let Expr::Literal(value, _) = &right
        && let Some(path) = value.try_as_str().flatten()
        && let Some(path) = path.strip_prefix('{').and_then(|path| path.strip_suffix('}'))
    {
        let step = |step: &str| lit(step.trim().trim_matches('"'));
        return Ok(path.split(',').map(step).collect());
    }
    // Places are counted in 64 bits.
    match right.get_type(schema)? {
        number if number.is_integer() => Ok(vec![right.cast_to(&DataType::Int64, schema)?]),
        _ => Ok(vec![right]),
    }
}

fn call(func: Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction { func, args })
}

fn is_json(function: &ScalarUDF) -> bool {
    function == json_get_json_udf().as_ref()
}

/// Whether the steps are known: only those go into one call.
fn is_path(steps: &[Expr]) -> bool {
    steps.iter().all(|step| matches!(step, Expr::Literal(..)))
}
