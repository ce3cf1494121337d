//! From an aggregate over a window function to panes: the rows below without window columns, and the aggregation by pane.

use crate::dstream::graph::{Aggregation, ResultColumn};
use crate::dstream::nodes::{InputNode, PANE, TS, WindowNode};
use crate::dstream::window::WindowSpec;
use crate::plan::branch::{find_window, hidden_column};
use crate::plan::facts::{Tag, facts, tag_of};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection, lit};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An aggregate taken apart.
pub struct PaneForm {
    /// `__ts` first, then the columns below the aggregate that are not of the window.
    pub rows: LogicalPlan,
    pub aggregation: Aggregation,
}

/// The pane form of an aggregate, or `None` when it needs the rows of its windows: an aggregate with an order inside, or
/// window columns used as values below.
pub fn pane_form(aggregate: &Aggregate) -> Result<Option<PaneForm>> {
    if !aggregate.aggr_expr.iter().all(mergeable) || grouping_sets(aggregate) {
        return Ok(None);
    }
    let (rows, forever) = match find_window(&aggregate.input) {
        Some(_) => (strip(&aggregate.input)?, false),
        None => (Some(with_constant_time(&aggregate.input)?), true),
    };
    let Some(rows) = rows else {
        return Ok(None);
    };
    let tags = facts(&aggregate.input).tags;
    let (mut keys, mut layout) = (Vec::new(), Vec::new());
    for expr in &aggregate.group_expr {
        layout.push(match tag_of(expr, &aggregate.input, &tags) {
            Tag::WindowStart(..) if !forever => ResultColumn::WindowStart,
            Tag::WindowEnd(..) if !forever => ResultColumn::WindowEnd,
            Tag::WindowTime if !forever => ResultColumn::WindowTime,
            _ => {
                keys.push(expr.clone());
                ResultColumn::Column(keys.len() - 1)
            }
        });
    }
    let values = 0..aggregate.aggr_expr.len();
    layout.extend(values.map(|k| ResultColumn::Column(keys.len() + k)));
    if let Some(window) = find_window(&aggregate.input)
        && let WindowSpec::Session { .. } = window.window
    {
        let number = |key: &Expr| match tag_of(key, &aggregate.input, &tags) {
            Tag::SessionKey(number) => Some(number),
            _ => None,
        };
        let named: Option<BTreeSet<usize>> = keys.iter().map(number).collect();
        // Sessions are found by the keys of the aggregate: they must be those of the sessions.
        if named.is_none_or(|named| named.len() != window.partition.len()) {
            return Ok(None);
        }
    }
    let used = keys.iter().chain(&aggregate.aggr_expr);
    if used.into_iter().any(|e| reads_window(e, &aggregate.input, &tags)) {
        return Ok(None);
    }
    let leaf = paned_input(&rows)?;
    let mut group = vec![Expr::Column(Column::new_unqualified(PANE))];
    group.extend(keys.iter().cloned());
    let template = Aggregate::try_new(Arc::new(leaf), group, aggregate.aggr_expr.clone())?;
    let aggregation = Aggregation {
        template: LogicalPlan::Aggregate(template),
        keys: keys.len(),
        single_row: aggregate.group_expr.is_empty(),
        layout,
        inverse: None,
    };
    Ok(Some(PaneForm { rows, aggregation }))
}

fn grouping_sets(aggregate: &Aggregate) -> bool {
    aggregate.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_)))
}

/// Partial states of it can be merged in any order.
fn mergeable(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => mergeable(&alias.expr),
        Expr::AggregateFunction(function) => function.params.order_by.is_empty(),
        _ => false,
    }
}

fn reads_window(expr: &Expr, input: &LogicalPlan, tags: &[Tag]) -> bool {
    let mut reads = false;
    let walked = expr.apply(|e| {
        let tag = tag_of(e, input, tags);
        reads |= matches!(tag, Tag::WindowStart(..) | Tag::WindowEnd(..) | Tag::WindowTime);
        Ok(TreeNodeRecursion::Continue)
    });
    reads || walked.is_err()
}

/// The leaf of the template: `__pane`, then the columns of the rows behind `__ts`.
fn paned_input(rows: &LogicalPlan) -> Result<LogicalPlan> {
    let pane = (None, Arc::new(Field::new(PANE, DataType::Int64, false)));
    let rest = rows.schema().iter().skip(1).map(|(q, f)| (q.cloned(), Arc::clone(f)));
    let fields: Vec<_> = std::iter::once(pane).chain(rest).collect();
    let columns = (0..fields.len()).collect();
    let schema = DFSchema::new_with_metadata(fields, Default::default())?;
    Ok(InputNode::plan(0, columns, Arc::new(schema)))
}

fn with_constant_time(input: &LogicalPlan) -> Result<LogicalPlan> {
    let mut exprs = vec![lit(0i64).alias(TS)];
    exprs.extend(input.schema().columns().into_iter().map(Expr::Column));
    Ok(LogicalPlan::Projection(Projection::try_new(
        exprs,
        Arc::new(input.clone()),
    )?))
}

/// The rows that a window function takes: its time as `__ts`, then all its input's columns.
pub fn rows_below(window: &WindowNode) -> Result<LogicalPlan> {
    let mut exprs = vec![window.time.clone().alias(TS)];
    exprs.extend(window.input.schema().columns().into_iter().map(Expr::Column));
    Ok(LogicalPlan::Projection(Projection::try_new(
        exprs,
        Arc::new(window.input.clone()),
    )?))
}

/// A chain above a window function without the function and its columns, `__ts` in front; `None` when a predicate or an
/// expression on the way reads a window column.
fn strip(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    if let LogicalPlan::Extension(extension) = plan
        && let Some(window) = extension.node.as_any().downcast_ref::<WindowNode>()
    {
        return rows_below(window).map(Some);
    }
    let Some(at) = plan.inputs().iter().position(|p| find_window(p).is_some()) else {
        return Ok(None);
    };
    let tags = facts(plan.inputs()[at]).tags;
    let below = plan.inputs()[at];
    let Some(input) = strip(below)? else {
        return Ok(None);
    };
    let Some(ts) = hidden_column(&input, TS) else {
        return Ok(None);
    };
    let of_session = find_window(below).is_some_and(|w| matches!(w.window, WindowSpec::Session { .. }));
    let stripped = match plan {
        // A session is made of all rows of its key, those included that are left out above it.
        LogicalPlan::Filter(_) | LogicalPlan::Join(_) if of_session => return Ok(None),
        LogicalPlan::Projection(projection) => {
            let mut exprs = vec![Expr::Column(ts)];
            for expr in &projection.expr {
                match tag_of(expr, below, &tags) {
                    Tag::WindowStart(..) | Tag::WindowEnd(..) | Tag::WindowTime => {}
                    _ if reads_window(expr, below, &tags) => return Ok(None),
                    _ => exprs.push(expr.clone()),
                }
            }
            return Ok(Some(LogicalPlan::Projection(Projection::try_new(
                exprs,
                Arc::new(input),
            )?)));
        }
        LogicalPlan::Filter(filter) if reads_window(&filter.predicate, below, &tags) => return Ok(None),
        LogicalPlan::Join(join) => {
            let mut read = join.on.iter().flat_map(|(l, r)| [l, r]).chain(&join.filter);
            if read.any(|e| reads_window(e, below, &tags)) {
                return Ok(None);
            }
            let mut inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
            inputs[at] = input;
            plan.with_new_exprs(plan.expressions(), inputs)?
        }
        LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.with_new_exprs(plan.expressions(), vec![input])?
        }
        _ => return Ok(None),
    };
    time_first(stripped).map(Some)
}

fn time_first(plan: LogicalPlan) -> Result<LogicalPlan> {
    if plan.schema().fields().first().is_some_and(|f| f.name() == TS) {
        return Ok(plan);
    }
    let (time, rest): (Vec<Column>, Vec<Column>) = plan.schema().columns().into_iter().partition(|c| c.name == TS);
    let exprs = time.into_iter().chain(rest).map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}
