//! HAVING, and WHERE over a query that groups by windows: they choose among windows that have closed, so they stay above
//! the windows, also where they read keys alone. Below, they would hide which rows came late.
//!
//! So do conditions above a join of which NULL is a key: DataFusion 55 makes keys of them where a NULL is a NULL as well.

use crate::plan::branch::find_window;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, Operator, UserDefinedLogicalNodeCore};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Optimises a plan without moving conditions below what aggregates or ranks windows, or joins by keys that may be NULL.
pub fn kept_above(plan: LogicalPlan, optimise: impl FnOnce(LogicalPlan) -> Result<LogicalPlan>) -> Result<LogicalPlan> {
    let with_marks = plan.transform_up_with_subqueries(|node| {
        let over = match &node {
            LogicalPlan::Aggregate(aggregate) => &aggregate.input,
            LogicalPlan::Distinct(distinct) => distinct.input(),
            LogicalPlan::Window(window) => &window.input,
            LogicalPlan::Join(join) if join.filter.as_ref().is_some_and(takes_null) => return Ok(marked(node)),
            _ => return Ok(Transformed::no(node)),
        };
        // What looks into the query around runs when the input has ended, where nothing is late.
        if find_window(over).is_none() || over.exists(|below| Ok(below.contains_outer_reference()))? {
            return Ok(Transformed::no(node));
        }
        Ok(marked(node))
    })?;
    let plain = optimise(with_marks.data)?.transform_up_with_subqueries(|node| match &node {
        LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<Windowed>() {
            Some(windowed) => Ok(Transformed::yes(windowed.input.clone())),
            None => Ok(Transformed::no(node)),
        },
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(plain.data)
}

fn marked(input: LogicalPlan) -> Transformed<LogicalPlan> {
    let node = Arc::new(Windowed { input });
    Transformed::yes(LogicalPlan::Extension(Extension { node }))
}

/// Whether a condition of a join is one for which a NULL is a NULL.
fn takes_null(on: &Expr) -> bool {
    let op = Operator::IsNotDistinctFrom;
    let found = on.exists(|part| Ok(matches!(part, Expr::BinaryExpr(compared) if compared.op == op)));
    found.unwrap_or(true)
}

/// Stands above what aggregates or ranks windows while a plan is optimised. As for every node of this kind, no condition that
/// reads a column goes below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Windowed {
    input: LogicalPlan,
}

impl PartialOrd for Windowed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for Windowed {
    fn name(&self) -> &str {
        "Windowed"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Windowed")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), inputs.pop()) {
            (Some(input), None) => Ok(Windowed { input }),
            _ => internal_err!("an operator over windows is one input"),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}
