//! Functions where they cannot be computed, or with what they cannot take. DataFusion would find out when it runs.

use crate::error::wording::sql_types;
use crate::plan::Refusal;
use crate::plan::json_access::holds_json;
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::nested_struct::requires_nested_struct_cast;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Sort as SortExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, ReversedUDAF};

/// Refuses what a query asks of functions in vain.
pub fn refuse_misused(plan: &LogicalPlan) -> Result<()> {
    plan.schema().fields().iter().try_for_each(of_one_type)?;
    plan.apply_with_subqueries(|node| {
        casts(node)?;
        match node {
            LogicalPlan::Sort(sort) => sort.expr.iter().try_for_each(|key| without_aggregates(&key.expr))?,
            LogicalPlan::Aggregate(aggregate) => {
                aggregate.aggr_expr.iter().try_for_each(without_unnest)?;
                aggregate.aggr_expr.iter().try_for_each(without_wildcard)?;
                aggregate.aggr_expr.iter().try_for_each(percentiles)?;
                one_order(aggregate)?;
                one_order_of_distinct(aggregate)?;
            }
            LogicalPlan::Window(window) => {
                window.window_expr.iter().try_for_each(without_wildcard)?;
                window.window_expr.iter().try_for_each(tiles)?;
                window.window_expr.iter().try_for_each(distances)?;
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map(|_| ())
}

/// A name of SELECT hides the column that the aggregate in a key of ORDER BY is of.
fn without_aggregates(key: &Expr) -> Result<()> {
    let mut hidden = None;
    key.apply(|part| {
        if let Expr::AggregateFunction(_) = part {
            hidden = hidden.take().or_else(|| part.column_refs().into_iter().next().cloned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let Some(column) = hidden else {
        return Ok(());
    };
    let name = column.name;
    let message = format!("`ORDER BY` aggregates columns of tables, and `{name}` is one of SELECT here");
    let refusal = Refusal::new("aggregate_in_order_by", message);
    Err(refusal.help(format!("say of which table it is: t.{name}")).into())
}

fn without_unnest(aggregate: &Expr) -> Result<()> {
    if !aggregate.exists(|part| Ok(matches!(part, Expr::Unnest(_))))? {
        return Ok(());
    }
    let message = "`unnest` makes rows, and an aggregate takes one value of each row";
    let refusal = Refusal::new("unnest_misplaced", message);
    Err(refusal
        .help("unnest in FROM: SELECT max(x) FROM t CROSS JOIN UNNEST(t.list) AS u(x)")
        .into())
}

/// `count(*)` is planned as a count of rows: another `*` is left over.
#[allow(deprecated)] // Only the name of `*` inside functions is to go.
fn without_wildcard(call: &Expr) -> Result<()> {
    let is_wildcard = |arg: &Expr| matches!(arg, Expr::Wildcard { .. });
    let mut taking = None;
    call.apply(|part| {
        let (name, args) = match part {
            Expr::AggregateFunction(function) => (function.func.name(), &function.params.args),
            Expr::WindowFunction(function) => (function.fun.name(), &function.params.args),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        if args.iter().any(is_wildcard) {
            taking = Some(name.to_string());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let Some(name) = taking else {
        return Ok(());
    };
    let message = format!("`{name}` takes a column, and only `count` takes `*`");
    Err(Refusal::new("function_arguments", message)
        .help(format!("write: {name}(column)"))
        .into())
}

/// Rows are brought into one order for all aggregates that cannot do with another.
fn one_order(aggregate: &Aggregate) -> Result<()> {
    let mut known: Vec<SortExpr> = Vec::new();
    for function in aggregate.aggr_expr.iter().filter_map(function_of) {
        if !function.func.order_sensitivity().hard_requires() {
            continue;
        }
        // Of rows with equal keys, nothing is sorted by a key.
        let sorted = function.params.order_by.iter();
        let order: Vec<SortExpr> = sorted
            .filter(|s| !aggregate.group_expr.contains(&s.expr))
            .cloned()
            .collect();
        let reversed: Vec<SortExpr> = match function.func.reverse_udf() {
            ReversedUDAF::NotSupported => order.clone(),
            ReversedUDAF::Identical | ReversedUDAF::Reversed(_) => order.iter().map(SortExpr::reverse).collect(),
        };
        let fitting = [order, reversed].into_iter().find(|order| goes_with(order, &known));
        if let Some(order) = fitting {
            if order.len() > known.len() {
                known = order;
            }
            continue;
        }
        let name = function.func.name();
        let message =
            format!("`{name}` sorts in another way than an aggregate before it, and both cannot be had at once");
        let way = match name {
            "string_agg" => "array_to_string(array_agg(x ORDER BY k), ', ')",
            _ => "array_element(array_agg(x ORDER BY k), n)",
        };
        let refusal = Refusal::new("not_yet", message);
        return Err(refusal.help(format!("lists have orders of their own: {way}")).into());
    }
    Ok(())
}

/// (DataFusion 55 gives one list of distinct values the order of another.)
fn one_order_of_distinct(aggregate: &Aggregate) -> Result<()> {
    let ordered = |function: &&AggregateFunction| !function.params.order_by.is_empty();
    let functions: Vec<&AggregateFunction> = aggregate.aggr_expr.iter().filter_map(function_of).collect();
    let ordered: Vec<&AggregateFunction> = functions.into_iter().filter(ordered).collect();
    let distinct = |function: &&AggregateFunction| {
        function.params.distinct && ["array_agg", "string_agg"].contains(&function.func.name())
    };
    for function in ordered.iter().copied().filter(distinct) {
        if ordered
            .iter()
            .all(|other| other.params.order_by == function.params.order_by)
        {
            continue;
        }
        let name = function.func.name();
        let message = format!("`{name}` of distinct values beside an aggregate with another ORDER BY is not built yet");
        let help = "write one of them in a query of its own, and join the two";
        return Err(Refusal::new("not_yet", message).help(help).into());
    }
    Ok(())
}

fn function_of(aggregate: &Expr) -> Option<&AggregateFunction> {
    match aggregate {
        Expr::Alias(alias) => function_of(&alias.expr),
        Expr::AggregateFunction(function) => Some(function),
        _ => None,
    }
}

/// Whether one order is the beginning of the other.
fn goes_with(one: &[SortExpr], other: &[SortExpr]) -> bool {
    one.iter().zip(other).all(|(a, b)| a == b)
}

fn tiles(expr: &Expr) -> Result<()> {
    let mut wrong = None;
    expr.apply(|part| {
        if let Expr::WindowFunction(function) = part
            && function.fun.name() == "ntile"
            && let [Expr::Literal(count, _)] = &function.params.args[..]
            && whole(count).is_none_or(|count| count < 1)
        {
            wrong = Some(count.to_string());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match wrong {
        Some(count) => {
            let message = format!("`ntile` takes a whole number from 1, not {count}");
            Err(Refusal::new("function_arguments", message).into())
        }
        None => Ok(()),
    }
}

/// `lag(x, n)` and its like look n rows away.
fn distances(expr: &Expr) -> Result<()> {
    let mut wrong = None;
    expr.apply(|part| {
        if let Expr::WindowFunction(function) = part
            && let name @ ("lag" | "lead" | "nth_value") = function.fun.name()
            && let Some(Expr::Literal(count, _)) = function.params.args.get(1)
            && whole(count).is_none_or(|count| count == 0 && name == "nth_value")
        {
            wrong = Some((name.to_string(), count.to_string()));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match wrong {
        Some((name, count)) => {
            let from = if name == "nth_value" { " from 1" } else { "" };
            let message = format!("`{name}` takes a whole number{from} behind the value, not {count}");
            let help = format!("write: {name}(value, 1) OVER (ORDER BY …)");
            Err(Refusal::new("function_arguments", message).help(help).into())
        }
        None => Ok(()),
    }
}

/// A percentile is a part of all rows.
fn percentiles(aggregate: &Expr) -> Result<()> {
    let Some(function) = function_of(aggregate) else {
        return Ok(());
    };
    let name = function.func.name();
    if !name.contains("percentile_cont") {
        return Ok(());
    }
    let wrong = function.params.args.iter().find_map(|arg| match arg {
        Expr::Literal(ScalarValue::Float64(Some(part)), _) if !(0.0..=1.0).contains(part) => Some(part.to_string()),
        Expr::Literal(ScalarValue::Int64(Some(part)), _) if !(0..=1).contains(part) => Some(part.to_string()),
        _ => None,
    });
    match wrong {
        Some(part) => {
            let message = format!("`{name}` takes a number from 0 to 1, not {part}");
            Err(Refusal::new("function_arguments", message).into())
        }
        None => Ok(()),
    }
}

/// Arrow makes a list of anything, one with that in it, and finds out what it cannot cast when it runs.
fn casts(node: &LogicalPlan) -> Result<()> {
    let schema = merge_schema(&node.inputs());
    node.apply_expressions(|expr| {
        expr.apply(|part| {
            let (value, to) = match part {
                Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
                Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
                _ => return Ok(TreeNodeRecursion::Continue),
            };
            match value.get_type(&schema) {
                Ok(from) if !is_castable(value, &from, to, &schema) => Err(uncastable(value, &from, to).into()),
                _ => Ok(TreeNodeRecursion::Continue),
            }
        })
    })
    .map(|_| ())
}

fn is_castable(value: &Expr, from: &DataType, to: &DataType, schema: &DFSchema) -> bool {
    match to {
        _ if from.is_null() || from == to => true,
        DataType::List(_) if !from.is_nested() => holds_json(value, schema),
        _ if requires_nested_struct_cast(from, to) => true,
        _ => can_cast_types(from, to),
    }
}

fn uncastable(value: &Expr, from: &DataType, to: &DataType) -> Refusal {
    let what = match value {
        Expr::Column(column) => format!("`{}` is", column.name),
        _ => "the value is".to_string(),
    };
    let name = |of: &DataType| match of {
        DataType::Struct(_) => "STRUCT".to_string(),
        DataType::Map(..) => "MAP".to_string(),
        _ => sql_types(&of.to_string()),
    };
    let (given, wanted) = (name(from), name(to));
    let refusal = Refusal::new(
        "type_mismatch",
        format!("{what} {given}, and no {wanted} is made of it"),
    );
    match to {
        DataType::List(_) if from.is_string() => {
            refusal.help("a list in JSON is read with ->: CAST(column -> 'list' AS INT[])")
        }
        DataType::List(_) => refusal.help("write a list: [value]"),
        _ => refusal,
    }
}

/// What has one of several types is nothing that can be shown.
fn of_one_type(column: &FieldRef) -> Result<()> {
    if !matches!(column.data_type(), DataType::Union(..)) {
        return Ok(());
    }
    let message = format!("column `{}` has another type in each row", column.name());
    let refusal = Refusal::new("type_mismatch", message);
    Err(refusal
        .help("write column -> 'name' or ->> 'name', or say the type: json_get_int(…)")
        .into())
}

fn whole(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::Int64(value) => *value,
        _ => None,
    }
}
