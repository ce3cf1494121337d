//! Puts arithmetic that tells when a result does not fit in the place of DataFusion's, which wraps around.
//!
//! That happens when the types of both operands are known, and before anything is computed beforehand.

use crate::plan::rewrite::throughout;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// With the functions that compute `+`, `-` (of one operand too) and `*`.
#[derive(Debug)]
pub struct CheckedArithmetic(pub [(Operator, Arc<ScalarUDF>); 3]);

impl AnalyzerRule for CheckedArithmetic {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        throughout(plan, &|part, schema| self.checked(part, schema))
    }
}

impl CheckedArithmetic {
    fn checked(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let (operator, operands) = match &expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => (*op, vec![left, right]),
            Expr::Negative(only) => (Operator::Minus, vec![only]),
            _ => return Ok(Transformed::no(expr)),
        };
        let Some((_, func)) = self.0.iter().find(|(known, _)| *known == operator) else {
            return Ok(Transformed::no(expr));
        };
        for operand in &operands {
            let data_type = operand.get_type(schema)?;
            // Floats have infinities, and Arrow tells of times.
            if !data_type.is_integer() && !data_type.is_decimal() {
                return Ok(Transformed::no(expr));
            }
        }
        let args = operands.into_iter().map(|operand| operand.as_ref().clone()).collect();
        let func = Arc::clone(func);
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
    }
}
