//! `x IN (a, 7)` with columns in the list is `x IN (7) OR x = a`.
//!
//! DataFusion 55 makes one list of two over the same value by how their parts are written: of `x IN (a, 7) AND x IN (b, 8)`
//! nothing is left, though `a` may be `b`.

use crate::plan::rewrite::{is_constant, throughout};
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::disjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, not};
use datafusion::optimizer::AnalyzerRule;

/// Leaves only constants in lists, when their types are known.
#[derive(Debug)]
pub struct OfConstants;

impl AnalyzerRule for OfConstants {
    fn name(&self) -> &str {
        "lists_of_constants"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        throughout(plan, &|part, _| Ok(of_constants(part)))
    }
}

fn of_constants(part: Expr) -> Transformed<Expr> {
    let Expr::InList(list) = part else {
        return Transformed::no(part);
    };
    if list.expr.is_volatile() || list.list.iter().all(is_constant) {
        return Transformed::no(Expr::InList(list));
    }
    let InList { expr, list, negated } = list;
    let (constants, others): (Vec<Expr>, Vec<Expr>) = list.into_iter().partition(is_constant);
    let known = (!constants.is_empty()).then(|| expr.as_ref().clone().in_list(constants, false));
    let equal = others.into_iter().map(|other| expr.as_ref().clone().eq(other));
    match disjunction(known.into_iter().chain(equal)) {
        Some(any) if negated => Transformed::yes(not(any)),
        Some(any) => Transformed::yes(any),
        None => Transformed::no(*expr),
    }
}
