//! -0.0 and 0.0 are the same number (docs/sql.md). DataFusion knows it for `=`, GROUP BY, DISTINCT, joins and sets of
//! rows; where it would tell the two apart, both are given as 0.0.
//!
//! Owns: [`in_orders`], for what rows are sorted, dealt and taken once by, before ties are broken by the columns as
//! they are; and [`InComparisons`], for what compares inside an expression, when the types of its parts are known.

use crate::dstream::nodes::ZERO_FUNCTION;
use crate::plan::rewrite::{is_constant, throughout, with_names};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::{ScalarFunction, Sort};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// Functions that look for what is equal.
const LOOKING: [&str; 12] = [
    "nullif",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_position",
    "array_positions",
    "array_remove",
    "array_remove_n",
    "array_remove_all",
    "array_replace",
    "array_replace_n",
    "array_replace_all",
];

/// The plan with one zero in every ORDER BY, PARTITION BY and DISTINCT of an aggregate.
pub fn in_orders(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    let Some(function) = session.scalar_functions().get(ZERO_FUNCTION) else {
        return internal_err!("the function {ZERO_FUNCTION} is missing");
    };
    let changed = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let zeros = Zeros {
            function,
            schema: &schema,
        };
        // A function over rows is called by its orders too.
        let changed = with_names(node, &mut |expr| expr.transform_up(|part| Ok(zeros.ordered(part))))?;
        let was_changed = changed.transformed;
        let (node, sorts) = zeros.sorted(changed.data);
        match was_changed {
            true => Ok(Transformed::yes(node.recompute_schema()?)),
            false => Ok(Transformed::new_transformed(node, sorts)),
        }
    })?;
    Ok(changed.data)
}

/// Gives one zero to IN, CASE and functions that look for what is equal. Holds the function that does.
#[derive(Debug)]
pub struct InComparisons(pub Arc<ScalarUDF>);

impl AnalyzerRule for InComparisons {
    fn name(&self) -> &str {
        "one_zero"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        throughout(plan, &|part, schema| {
            let function = &self.0;
            Ok(Zeros { function, schema }.compared(part))
        })
    }
}

struct Zeros<'a> {
    function: &'a Arc<ScalarUDF>,
    schema: &'a DFSchema,
}

impl Zeros<'_> {
    /// The node, and whether it sorts by floats.
    fn sorted(&self, mut node: LogicalPlan) -> (LogicalPlan, bool) {
        let changed = match &mut node {
            LogicalPlan::Sort(sort) => self.in_order(&mut sort.expr),
            LogicalPlan::Distinct(Distinct::On(on)) => {
                let sorts = on.sort_expr.as_mut().is_some_and(|order| self.in_order(order));
                self.in_all(&mut on.on_expr) | sorts
            }
            _ => false,
        };
        (node, changed)
    }

    fn ordered(&self, mut part: Expr) -> Transformed<Expr> {
        let changed = match &mut part {
            Expr::AggregateFunction(function) => {
                let params = &mut function.params;
                let once = params.distinct && self.in_all(&mut params.args);
                self.in_order(&mut params.order_by) | once
            }
            Expr::WindowFunction(function) => {
                let params = &mut function.params;
                let once = params.distinct && self.in_all(&mut params.args);
                self.in_order(&mut params.order_by) | self.in_all(&mut params.partition_by) | once
            }
            _ => false,
        };
        Transformed::new_transformed(part, changed)
    }

    fn compared(&self, mut part: Expr) -> Transformed<Expr> {
        let changed = match &mut part {
            // `x = 0.0 AND x = -0.0`: DataFusion takes two constants for two values.
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
                let give = |side: &mut Expr| is_constant(side) && self.give(side);
                give(left) | give(right)
            }
            Expr::InList(list) => self.in_all(&mut list.list) | self.give(&mut list.expr),
            Expr::Case(case) => match &mut case.expr {
                Some(compared) => {
                    let whens = case.when_then_expr.iter_mut();
                    whens.fold(self.give(compared), |changed, (when, _)| self.give(when) | changed)
                }
                None => false,
            },
            Expr::ScalarFunction(function) if LOOKING.contains(&function.func.name()) => {
                let args = function.args.iter_mut();
                args.fold(false, |changed, arg| self.give_within(arg) | changed)
            }
            _ => false,
        };
        Transformed::new_transformed(part, changed)
    }

    fn in_order(&self, order: &mut [Sort]) -> bool {
        order
            .iter_mut()
            .fold(false, |changed, key| self.give(&mut key.expr) | changed)
    }

    fn in_all(&self, values: &mut [Expr]) -> bool {
        values
            .iter_mut()
            .fold(false, |changed, value| self.give(value) | changed)
    }

    /// Whether the value is a float; then it has one zero now.
    fn give(&self, value: &mut Expr) -> bool {
        self.give_if(value, DataType::is_floating)
    }

    /// The same for lists of floats too.
    fn give_within(&self, value: &mut Expr) -> bool {
        self.give_if(value, has_floats)
    }

    fn give_if(&self, value: &mut Expr, wanted: fn(&DataType) -> bool) -> bool {
        let is_given = matches!(value, Expr::ScalarFunction(f) if f.func.name() == ZERO_FUNCTION);
        if is_given || !value.get_type(self.schema).is_ok_and(|of| wanted(&of)) {
            return false;
        }
        let args = vec![std::mem::take(value)];
        let func = Arc::clone(self.function);
        *value = Expr::ScalarFunction(ScalarFunction { func, args });
        true
    }
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(
        op,
        Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom
    )
}

fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => has_floats(item.data_type()),
        other => other.is_floating(),
    }
}
