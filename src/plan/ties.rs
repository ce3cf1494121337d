//! Ties break by the remaining columns of the row, ascending, NULLs last (docs/time.md): else the first of equals would be
//! whichever was read first, and the answer would depend on how the stream is cut.

use crate::plan::unseen_order::keeps_order;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::Sort as SortExpr;
use datafusion::logical_expr::{Expr, LogicalPlan, Window, WindowFrameUnits, WindowFunctionDefinition};
use std::sync::Arc;

/// Functions whose value tells equal rows apart.
const BY_PLACE: [&str; 7] = [
    "row_number",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

/// Adds the remaining columns to every ORDER BY on which an answer depends: of functions that number rows, of ROWS
/// frames, and before a LIMIT.
pub fn break_ties(plan: LogicalPlan) -> Result<LogicalPlan> {
    let broken = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Window(window) => tied_apart(window).map(Transformed::yes),
        LogicalPlan::Limit(mut limit) => {
            limit.input = Arc::new(totally_sorted(Arc::unwrap_or_clone(limit.input))?);
            Ok(Transformed::yes(LogicalPlan::Limit(limit)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(broken.data)
}

/// Functions of one order stand in one node; those whose order has more columns now stand in one above the others.
fn tied_apart(window: Window) -> Result<LogicalPlan> {
    let columns = comparable(&window.input);
    let (tied, others): (Vec<Expr>, Vec<Expr>) = window.window_expr.into_iter().partition(depends_on_ties);
    let below = match others.is_empty() {
        true => window.input,
        false => Arc::new(LogicalPlan::Window(Window::try_new(others, window.input)?)),
    };
    if tied.is_empty() {
        return Ok(Arc::unwrap_or_clone(below));
    }
    let tied = tied.into_iter().map(|expr| ordered(expr, &columns)).collect();
    Ok(LogicalPlan::Window(Window::try_new(tied, below)?))
}

/// The order that a LIMIT sees, made total; it may stand in a subquery.
fn totally_sorted(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Sort(mut sort) => {
            let columns = comparable(&sort.input);
            add_remaining(&mut sort.expr, &columns);
            Ok(LogicalPlan::Sort(sort))
        }
        node if keeps_order(&node) => {
            let sorted = node.map_children(|below| totally_sorted(below).map(Transformed::yes))?;
            Ok(sorted.data)
        }
        node => Ok(node),
    }
}

/// The expression with its order made total, under the name that it had.
fn ordered(expr: Expr, columns: &[Column]) -> Expr {
    let name = expr.schema_name().to_string();
    match expr.unalias() {
        Expr::WindowFunction(mut function) => {
            add_remaining(&mut function.params.order_by, columns);
            Expr::WindowFunction(function).alias(name)
        }
        other => other.alias(name),
    }
}

fn depends_on_ties(expr: &Expr) -> bool {
    let Expr::WindowFunction(function) = expr.clone().unalias() else {
        return false;
    };
    // Without ORDER BY the order is that of reading, which is documented so.
    let ordered = !function.params.order_by.is_empty();
    let by_place = match &function.fun {
        WindowFunctionDefinition::WindowUDF(f) => BY_PLACE.contains(&f.name()),
        WindowFunctionDefinition::AggregateUDF(_) => false,
    };
    ordered && (by_place || function.params.window_frame.units == WindowFrameUnits::Rows)
}

/// The columns that can be sorted by.
fn comparable(input: &LogicalPlan) -> Vec<Column> {
    let schema = input.schema();
    let columns = schema.columns().into_iter().zip(schema.fields());
    columns
        .filter(|(_, field)| !field.data_type().is_nested())
        .map(|(column, _)| column)
        .collect()
}

fn add_remaining(order: &mut Vec<SortExpr>, columns: &[Column]) {
    for column in columns {
        let expr = Expr::Column(column.clone());
        if order.iter().all(|s| s.expr != expr) {
            order.push(SortExpr::new(expr, true, false));
        }
    }
}
