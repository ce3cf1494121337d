//! Subqueries in expressions that DataFusion 55 answers wrongly: rewritten, or refused.

use crate::plan::Refusal;
use crate::plan::lateral_values::joined;
use crate::plan::rewrite::with_names;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, JoinType, Result, ScalarValue};
use datafusion::functions_aggregate::count::count;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use datafusion::logical_expr::{Operator, Subquery, binary_expr, lit, not, when};
use std::sync::Arc;

/// The plan with subqueries that are answered as SQL says.
///
/// Errors: a subquery that has no such form.
pub fn mended(plan: LogicalPlan) -> Result<LogicalPlan> {
    let (mut changed, mut number) = (false, 0);
    let mended = plan.transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Filter(mut filter) => {
                filter.predicate = memberships(filter.predicate, filter.input.schema(), true)?;
                LogicalPlan::Filter(filter)
            }
            LogicalPlan::Join(mut join) => {
                join.filter = join.filter.map(|on| memberships(on, &join.schema, false)).transpose()?;
                LogicalPlan::Join(join)
            }
            other => other,
        };
        let is_condition = matches!(node, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
        let schema = merge_schema(&node.inputs());
        let node = with_names(node, &mut |expr| {
            expr.transform_up(|part| match part {
                Expr::Exists(Exists { subquery, negated }) if gives_one_row(&subquery.subquery) => {
                    Ok(Transformed::yes(lit(!negated)))
                }
                Expr::Exists(Exists { subquery, negated }) if !is_condition => {
                    let found = found(&subquery)?;
                    Ok(Transformed::yes(if negated { not(found) } else { found }))
                }
                Expr::InSubquery(tested) if !is_condition => member(tested, &schema).map(Transformed::yes),
                Expr::ScalarSubquery(subquery) if needs_null(&subquery) => {
                    or_null(subquery).map(Expr::ScalarSubquery).map(Transformed::yes)
                }
                other => Ok(Transformed::no(other)),
            })
        })?;
        let node = node.transform_data(|node| joined(node, &mut number))?;
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
    let never_null = || plan.schema().fields().first().is_some_and(|f| !f.is_nullable());
    // A constant is no longer nullable once it is computed.
    let alone = subquery.outer_ref_columns.is_empty();
    !gives_one_row(plan) && (never_null() || alone && holds_constant(plan))
}

fn holds_constant(plan: &LogicalPlan) -> bool {
    let constant = |expr: &Expr| expr.column_refs().is_empty();
    let found = plan.exists(|node| Ok(matches!(node, LogicalPlan::Projection(p) if p.expr.iter().any(constant))));
    found.unwrap_or(true)
}

/// Whether a query has rows, as a value: DataFusion knows that in conditions only.
fn found(subquery: &Subquery) -> Result<Expr> {
    Ok(counted(subquery, lit(1_i64))?.gt(lit(0_i64)))
}

/// IN of a query as a value.
fn member(tested: InSubquery, schema: &DFSchema) -> Result<Expr> {
    let equal = same(&tested, schema)?;
    if may_be_null(&tested, schema) {
        return null_aware(tested, found(&equal)?);
    }
    let found = found(&equal)?;
    Ok(if tested.negated { not(found) } else { found })
}

/// The rows of the query behind IN that have the value that is looked for.
fn same(tested: &InSubquery, schema: &DFSchema) -> Result<Subquery> {
    let mut outer = tested.subquery.outer_ref_columns.clone();
    let sought = tested.expr.as_ref().clone().transform_up(|part| match part {
        Expr::Column(column) => {
            let field = schema.qualified_field_from_column(&column)?.1;
            let around = Expr::OuterReferenceColumn(Arc::clone(field), column);
            outer.push(around.clone());
            Ok(Transformed::yes(around))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let plan = tested.subquery.subquery.as_ref().clone();
    let column = plan.schema().columns().into_iter().next();
    let value = column.map_or_else(|| lit(ScalarValue::Null), Expr::Column);
    let equal = LogicalPlanBuilder::from(plan).filter(value.eq(sought.data))?.build()?;
    Ok(Subquery {
        subquery: Arc::new(equal),
        outer_ref_columns: outer,
        spans: tested.subquery.spans.clone(),
    })
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

/// IN and NOT IN of a query where it matters whether they are NULL or false: the joins that they become know it of NOT IN
/// as a condition of its own alone. `conjunct`: the expression is one, and not part of another.
fn memberships(expr: Expr, schema: &DFSchema, conjunct: bool) -> Result<Expr> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if matches!(op, Operator::And | Operator::Or) => {
            let conjunct = conjunct && op == Operator::And;
            let (left, right) = (
                memberships(*left, schema, conjunct)?,
                memberships(*right, schema, conjunct)?,
            );
            binary_expr(left, op, right)
        }
        Expr::Not(inner) => match *inner {
            Expr::Not(inner) => memberships(*inner, schema, conjunct)?,
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if matches!(op, Operator::And | Operator::Or) => {
                let op = if op == Operator::And {
                    Operator::Or
                } else {
                    Operator::And
                };
                memberships(binary_expr(not(*left), op, not(*right)), schema, conjunct)?
            }
            Expr::InSubquery(tested) => {
                let negated = !tested.negated;
                membership(InSubquery { negated, ..tested }, schema, conjunct)?
            }
            other => not(memberships_within(other, schema)?),
        },
        Expr::InSubquery(tested) => membership(tested, schema, conjunct)?,
        Expr::IsTrue(inner) => memberships(*inner, schema, false)?.is_true(),
        Expr::Case(mut case) if case.expr.is_none() => {
            let cases = case.when_then_expr.iter_mut();
            let parts = cases.flat_map(|(when, then)| [when, then]).chain(&mut case.else_expr);
            for part in parts {
                **part = memberships(std::mem::take(part.as_mut()), schema, false)?;
            }
            Expr::Case(case)
        }
        other => memberships_within(other, schema)?,
    })
}

/// One in a condition, where NULL is taken for false.
fn membership(tested: InSubquery, schema: &DFSchema, conjunct: bool) -> Result<Expr> {
    let known = conjunct && !tested.expr.column_refs().is_empty() && tested.subquery.outer_ref_columns.is_empty();
    match tested.negated && !known && may_be_null(&tested, schema) {
        true => as_condition(tested),
        false => Ok(Expr::InSubquery(tested)),
    }
}

/// Those of which something else is made.
fn memberships_within(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let replaced = expr.transform_up(|part| match part {
        Expr::InSubquery(tested) if may_be_null(&tested, schema) => as_condition(tested).map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

fn may_be_null(tested: &InSubquery, schema: &DFSchema) -> bool {
    Expr::InSubquery(tested.clone()).nullable(schema).unwrap_or(true)
}

fn as_condition(tested: InSubquery) -> Result<Expr> {
    let found = Expr::InSubquery(InSubquery {
        negated: false,
        ..tested.clone()
    });
    null_aware(tested, found)
}

/// NULL where no value is the same and one is NULL, or where NULL itself is looked for among any.
fn null_aware(tested: InSubquery, found: Expr) -> Result<Expr> {
    let column = tested.subquery.subquery.schema().columns().into_iter().next();
    let value = column.map_or_else(|| lit(ScalarValue::Null), Expr::Column);
    let rows = counted(&tested.subquery, lit(1_i64))?;
    let some_null = counted(&tested.subquery, value)?.lt(rows.clone());
    let sought = tested.expr.as_ref().clone().is_null();
    when(found, lit(!tested.negated))
        .when(
            some_null.or(sought.and(rows.gt(lit(0_i64)))),
            lit(ScalarValue::Boolean(None)),
        )
        .otherwise(lit(tested.negated))
}

/// How many rows of a query have a value.
fn counted(subquery: &Subquery, value: Expr) -> Result<Expr> {
    let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
    let plan = plan.aggregate(Vec::<Expr>::new(), [count(value)])?.build()?;
    Ok(Expr::ScalarSubquery(Subquery {
        subquery: Arc::new(plan),
        ..subquery.clone()
    }))
}
