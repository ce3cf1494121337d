//! Aggregates and functions over windows of rows that DataFusion plans and cannot make: found before anything runs.

use crate::error::wording::sql_types;
use crate::plan::Refusal;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, WindowFrame};
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use datafusion::physical_planner::create_window_expr;

/// Makes every call of an optimised plan once.
pub fn refuse_unmade(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Aggregate(node) => each(&node.aggr_expr, node.input.schema(), aggregate)?,
            LogicalPlan::Window(node) => each(&node.window_expr, node.input.schema(), over)?,
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map(|_| ())
}

fn each(calls: &[Expr], schema: &DFSchema, make: fn(&Expr, &DFSchema) -> Result<()>) -> Result<()> {
    for call in calls {
        // A value of a subquery is put in when the plan runs.
        if call.exists(|part| Ok(matches!(part, Expr::ScalarSubquery(_))))? {
            continue;
        }
        make(call, schema).map_err(|error| refused(call, schema, &error))?;
    }
    Ok(())
}

fn aggregate(call: &Expr, schema: &DFSchema) -> Result<()> {
    let (facts, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let made = LoweredAggregateBuilder::new(call, schema, schema.as_arrow(), &facts, &context).build()?;
    let made = made.aggregate;
    if made.groups_accumulator_supported() {
        // (The states of DataFusion's `bit_xor` by groups are not those of distinct values.)
        if made.is_distinct() && made.fun().name() == "bit_xor" {
            return Err(DataFusionError::NotImplemented("bit_xor(DISTINCT)".to_string()));
        }
        made.create_groups_accumulator()?;
    }
    made.create_accumulator().map(|_| ())
}

fn over(call: &Expr, schema: &DFSchema) -> Result<()> {
    let context = PhysicalPlanningContext::default();
    create_window_expr(call, schema, &ExecutionProps::new(), &context).map(|_| ())
}

/// A call and what of it is told.
struct Call<'a> {
    name: String,
    args: &'a [Expr],
    frame: Option<&'a WindowFrame>,
}

fn call_of(expr: &Expr) -> Option<Call<'_>> {
    match expr {
        Expr::Alias(alias) => call_of(&alias.expr),
        Expr::AggregateFunction(call) => Some(Call {
            name: call.func.name().to_string(),
            args: &call.params.args,
            frame: None,
        }),
        Expr::WindowFunction(call) => Some(Call {
            name: call.fun.name().to_string(),
            args: &call.params.args,
            frame: Some(&call.params.window_frame),
        }),
        _ => None,
    }
}

fn refused(expr: &Expr, schema: &DFSchema, error: &DataFusionError) -> DataFusionError {
    let root = error.find_root().strip_backtrace();
    let Some(Call { name, args, frame }) = call_of(expr) else {
        return Refusal::new("not_yet", root).into();
    };
    let wrong = |message| Refusal::new("function_arguments", message);
    let refusal = match frame {
        Some(frame) if root.contains("window frame") => wrong(format!(
            "`BETWEEN {} AND {}` ends before it begins",
            frame.start_bound, frame.end_bound
        )),
        _ if root.contains("argument list") => wrong(format!("`{name}` orders distinct values by what they are"))
            .help(format!("write: {name}(DISTINCT x ORDER BY x)")),
        _ if root.contains("DISTINCT") => {
            Refusal::new("not_yet", format!("`{name}` of distinct values is not built yet"))
        }
        _ if root.contains("iteral") || root.contains("not supported for n") => {
            wrong(format!("an argument of `{name}` has to be a constant"))
        }
        _ => {
            let types = args.iter().map(|arg| arg.get_type(schema));
            let types = types.map(|of| of.map_or("that".to_string(), |of| sql_types(&of.to_string())));
            wrong(format!(
                "`{name}` does not take {}",
                types.collect::<Vec<_>>().join(", ")
            ))
        }
    };
    refusal.into()
}
