//! Subqueries in expressions that DataFusion 55 answers wrongly: rewritten, or refused.

use crate::plan::Refusal;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, JoinType, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use datafusion::logical_expr::{Operator, Subquery, lit, not};
use std::sync::Arc;

/// The plan with subqueries that are answered as SQL says.
///
/// Errors: a subquery that has no such form.
pub fn mended(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut changed = false;
    let mended = plan.transform_up_with_subqueries(|node| {
        match &node {
            LogicalPlan::Filter(filter) => memberships(&filter.predicate, filter.input.schema(), true)?,
            LogicalPlan::Join(join) => {
                let conditions = join.filter.iter();
                conditions
                    .into_iter()
                    .try_for_each(|on| memberships(on, &join.schema, false))?;
            }
            _ => {}
        }
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|part| match part {
                Expr::Exists(Exists { subquery, negated }) if gives_one_row(&subquery.subquery) => {
                    Ok(Transformed::yes(lit(!negated)))
                }
                Expr::ScalarSubquery(subquery) if needs_null(&subquery) => {
                    or_null(subquery).map(Expr::ScalarSubquery).map(Transformed::yes)
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(expr.update_data(|expr| name.restore(expr)))
        })?;
        changed |= node.transformed;
        match changed {
            // What is made of a value that may now be NULL may be so as well.
            true => node.map_data(LogicalPlan::recompute_schema),
            false => Ok(node),
        }
    })?;
    Ok(mended.data)
}

/// An aggregate of all rows is one row, of no rows as well.
fn gives_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => gives_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => gives_one_row(&alias.input),
        LogicalPlan::Sort(sort) => gives_one_row(&sort.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        _ => false,
    }
}

/// Whether a subquery without rows, which is NULL, is planned as a value that is never NULL.
fn needs_null(subquery: &Subquery) -> bool {
    let plan = &subquery.subquery;
    !gives_one_row(plan) && plan.schema().fields().first().is_some_and(|f| !f.is_nullable())
}

/// One row, joined with those of the subquery.
fn or_null(subquery: Subquery) -> Result<Subquery> {
    if !subquery.outer_ref_columns.is_empty() {
        let message = "a subquery that looks into the query around and may have no row is not built yet as a value";
        let refusal = Refusal::new("not_yet", message);
        return Err(refusal
            .help("join with the query instead: LEFT JOIN (SELECT …) AS s ON …")
            .into());
    }
    let plan = Arc::unwrap_or_clone(subquery.subquery);
    let columns: Vec<Expr> = plan
        .schema()
        .iter()
        .map(|field| Expr::Column(Column::from(field)))
        .collect();
    let joined = LogicalPlanBuilder::empty(true).join_on(plan, JoinType::Left, [lit(true)])?;
    Ok(Subquery {
        subquery: Arc::new(joined.project(columns)?.build()?),
        ..subquery
    })
}

/// Refuses IN and NOT IN of a query where it matters whether they are NULL or false: the joins that they become know it
/// of NOT IN as a condition of its own alone. `conjunct`: the expression is one, and not part of another.
fn memberships(expr: &Expr, schema: &DFSchema, conjunct: bool) -> Result<()> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if matches!(op, Operator::And | Operator::Or) => {
            let conjunct = conjunct && *op == Operator::And;
            memberships(left, schema, conjunct)?;
            memberships(right, schema, conjunct)
        }
        Expr::Not(inner) => match inner.as_ref() {
            Expr::Not(inner) => memberships(inner, schema, conjunct),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if matches!(op, Operator::And | Operator::Or) => {
                let conjunct = conjunct && *op == Operator::Or;
                memberships(&not(left.as_ref().clone()), schema, conjunct)?;
                memberships(&not(right.as_ref().clone()), schema, conjunct)
            }
            Expr::InSubquery(tested) => membership(tested, !tested.negated, schema, conjunct),
            other => without_membership(other, schema),
        },
        Expr::InSubquery(tested) => membership(tested, tested.negated, schema, conjunct),
        Expr::IsTrue(inner) => memberships(inner, schema, false),
        Expr::Case(case) if case.expr.is_none() => {
            let cases = case.when_then_expr.iter();
            let parts = cases.flat_map(|(when, then)| [when, then]).chain(&case.else_expr);
            parts.into_iter().try_for_each(|part| memberships(part, schema, false))
        }
        other => without_membership(other, schema),
    }
}

fn membership(tested: &InSubquery, negated: bool, schema: &DFSchema, conjunct: bool) -> Result<()> {
    let known = conjunct && !tested.expr.column_refs().is_empty() && tested.subquery.outer_ref_columns.is_empty();
    match negated && !known && may_be_null(tested, schema) {
        true => Err(unknown("NOT IN").into()),
        false => Ok(()),
    }
}

fn without_membership(expr: &Expr, schema: &DFSchema) -> Result<()> {
    let lost = |part: &Expr| Ok(matches!(part, Expr::InSubquery(tested) if may_be_null(tested, schema)));
    match expr.exists(lost)? {
        true => Err(unknown("IN").into()),
        false => Ok(()),
    }
}

fn may_be_null(tested: &InSubquery, schema: &DFSchema) -> bool {
    Expr::InSubquery(tested.clone()).nullable(schema).unwrap_or(true)
}

fn unknown(operator: &str) -> Refusal {
    let message = format!("`{operator}` of a query is not built yet in this place, where it may be NULL");
    let refusal = Refusal::new("not_yet", message);
    match operator {
        "IN" => refusal.help("write EXISTS (SELECT 1 FROM u WHERE u.b = t.a), which is never NULL"),
        _ => refusal
            .help("write NOT EXISTS (SELECT 1 FROM u WHERE u.b = t.a), which takes NULL for no match")
            .help("or make it a condition of its own, on a column: WHERE t.a NOT IN (SELECT u.b FROM u) AND …"),
    }
}
