//! The recorded clock in plans: `__clock()` becomes the column `__now`, which the leaf of a stage gives.
//!
//! A stateless chain carries the column from its input to the call ([`with_clock`]). Above windows and batches the
//! SELECT is cut off and becomes a stage of its own ([`cut_off`]), so that `now()` is the clock of the interval in which
//! a row is shown.

use crate::dstream::nodes::{CLOCK_FUNCTION, InputNode, NOW};
use crate::plan::Refusal;
use crate::plan::branch::{hidden_column, rebuilt};
use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Sort};
use std::collections::HashMap;
use std::sync::Arc;

fn is_clock(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(f) if f.name() == CLOCK_FUNCTION)
}

fn asks(expr: &Expr) -> bool {
    expr.exists(|e| Ok(is_clock(e))).unwrap_or(false)
}

/// Whether the clock is asked for anywhere in a plan.
fn asks_for_clock(plan: &LogicalPlan) -> bool {
    plan.expressions().iter().any(asks) || plan.inputs().into_iter().any(asks_for_clock)
}

/// Whether it is asked for in what stands at the top of a plan, which [`cut_off`] makes a stage of its own.
pub fn shows_clock(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => projection.expr.iter().any(asks) || shows_clock(&projection.input),
        LogicalPlan::Filter(filter) => shows_clock(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => shows_clock(&alias.input),
        LogicalPlan::Sort(sort) => shows_clock(&sort.input),
        _ => false,
    }
}

/// A stateless chain over one [`InputNode`] that gives the clock where it is asked for; the same plan where it is not.
pub fn with_clock(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !asks_for_clock(&plan) {
        return Ok(plan);
    }
    let columns = plan.schema().columns();
    let carried = plan.transform_up(carry)?.data;
    if asks_for_clock(&carried) {
        return Err(misplaced().into());
    }
    let exprs = columns.into_iter().map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(carried))?))
}

fn misplaced() -> Refusal {
    let refusal = Refusal::new("not_yet", "`now` at this place of the query is not built yet");
    refusal.help("write it in the SELECT of the whole query")
}

fn carry(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match &node {
        LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<InputNode>() {
            Some(input) => Ok(Transformed::yes(input_with_clock(input)?)),
            None => over_clock(node),
        },
        LogicalPlan::Projection(projection) => {
            let Some(now) = hidden_column(&projection.input, NOW) else {
                return Ok(Transformed::no(node));
            };
            let keep = NamePreserver::new_for_projection();
            let mut exprs = Vec::new();
            for expr in &projection.expr {
                let name = keep.save(expr);
                exprs.push(name.restore(read(expr.clone(), &now)?));
            }
            exprs.push(Expr::Column(now));
            let plan = Projection::try_new(exprs, Arc::clone(&projection.input))?;
            Ok(Transformed::yes(LogicalPlan::Projection(plan)))
        }
        _ => rebuilt(node),
    }
}

/// A window over the time of arrival reads the column, too.
fn over_clock(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let inputs: Vec<LogicalPlan> = node.inputs().into_iter().cloned().collect();
    let Some(now) = inputs.first().and_then(|input| hidden_column(input, NOW)) else {
        return rebuilt(node);
    };
    let exprs = node.expressions().into_iter().map(|expr| read(expr, &now));
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(node.with_new_exprs(exprs, inputs)?))
}

fn read(expr: Expr, now: &Column) -> Result<Expr> {
    let read = expr.transform_up(|e| match is_clock(&e) {
        true => Ok(Transformed::yes(Expr::Column(now.clone()))),
        false => Ok(Transformed::no(e)),
    })?;
    Ok(read.data)
}

fn input_with_clock(input: &InputNode) -> Result<LogicalPlan> {
    let now = Field::new(NOW, DataType::Timestamp(TimeUnit::Nanosecond, None), false);
    let columns = input.schema.iter().map(|(q, f)| (q.cloned(), Arc::clone(f)));
    let fields = columns.chain([(None, Arc::new(now))]).collect();
    let schema = DFSchema::new_with_metadata(fields, Default::default())?;
    Ok(InputNode::with_clock(
        input.slot,
        input.columns.clone(),
        Arc::new(schema),
    ))
}

/// What asks for the clock at the top of a plan, as a chain over an [`InputNode`], and the plan below it.
///
/// Errors: something else stands in between.
pub fn cut_off(plan: &LogicalPlan) -> Result<(LogicalPlan, LogicalPlan)> {
    match plan {
        LogicalPlan::Projection(projection) if !shows_clock(&projection.input) => {
            let rest = projection.input.as_ref().clone();
            let width = rest.schema().fields().len();
            let leaf = InputNode::plan(0, (0..width).collect(), Arc::clone(rest.schema()));
            let top = Projection::try_new(projection.expr.clone(), Arc::new(leaf))?;
            Ok((LogicalPlan::Projection(top), rest))
        }
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            let inputs = plan.inputs();
            let Some(input) = inputs.first() else {
                return Err(misplaced().into());
            };
            let (top, rest) = cut_off(input)?;
            Ok((plan.with_new_exprs(plan.expressions(), vec![top])?, rest))
        }
        LogicalPlan::Sort(sort) => cut_off(&sorted_below(sort)?),
        _ => Err(misplaced().into()),
    }
}

/// ORDER BY below the SELECT instead of above it. One run has one clock, so sorting by it changes nothing.
fn sorted_below(sort: &Sort) -> Result<LogicalPlan> {
    let LogicalPlan::Projection(projection) = sort.input.as_ref() else {
        return Err(misplaced().into());
    };
    let columns = projection.schema.columns().into_iter();
    let meant: HashMap<Column, Expr> = columns
        .zip(projection.expr.iter().map(|e| e.clone().unalias()))
        .collect();
    let mut order = Vec::new();
    for key in &sort.expr {
        let expr = key.expr.clone().transform_up(|e| match &e {
            Expr::Column(column) => match meant.get(column) {
                Some(expr) => Ok(Transformed::new(expr.clone(), true, TreeNodeRecursion::Jump)),
                None => Ok(Transformed::no(e)),
            },
            _ => Ok(Transformed::no(e)),
        })?;
        if !asks(&expr.data) {
            order.push(key.with_expr(expr.data));
        }
    }
    let input = match order.is_empty() {
        true => projection.input.as_ref().clone(),
        false => LogicalPlan::Sort(Sort {
            expr: order,
            input: Arc::clone(&projection.input),
            fetch: sort.fetch,
        }),
    };
    let exprs = projection.expr.clone();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?))
}
