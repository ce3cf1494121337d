//! Puts the engine's `sum`, `avg`, `min` and `max` in the place of DataFusion's, which a host may have written by
//! methods: `expr_fn::sum(col("x"))`.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{AggregateUDF, Expr, LogicalPlan, WindowFunctionDefinition};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// With DataFusion's functions and those that replace them.
#[derive(Debug)]
pub struct OwnAggregates(pub Vec<(Arc<AggregateUDF>, Arc<AggregateUDF>)>);

impl AnalyzerRule for OwnAggregates {
    fn name(&self) -> &str {
        "own_aggregates"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| node.map_expressions(|expr| expr.transform_up(|part| self.own(part))))
            .map(|plan| plan.data)
    }
}

impl OwnAggregates {
    fn own(&self, mut part: Expr) -> Result<Transformed<Expr>> {
        let func = match &mut part {
            Expr::AggregateFunction(function) => &mut function.func,
            Expr::WindowFunction(function) => match &mut function.fun {
                WindowFunctionDefinition::AggregateUDF(func) => func,
                WindowFunctionDefinition::WindowUDF(_) => return Ok(Transformed::no(part)),
            },
            _ => return Ok(Transformed::no(part)),
        };
        match self.0.iter().find(|(theirs, _)| theirs == func) {
            Some((_, ours)) => {
                *func = Arc::clone(ours);
                Ok(Transformed::yes(part))
            }
            None => Ok(Transformed::no(part)),
        }
    }
}
