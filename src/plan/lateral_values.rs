//! Aggregates of what looks into the query around by more than `=`: `(SELECT max(b) FROM u WHERE u.a < t.a)`. DataFusion 55
//! has no plan for them.
//!
//! The query around is joined with a table of answers: one for each combination of its values that the subquery reads.
//! Of a combination for which no row is found the answer is that of no rows.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Subquery, binary_expr,
    lit,
};
use std::sync::Arc;

/// Marks the rows of the subquery that are found.
const FOUND: &str = "__found";
/// The answer of a subquery.
const VALUE: &str = "__value";

/// A projection or filter whose subqueries of that kind are columns of its input. `number`: of the subqueries so far.
pub fn joined(node: LogicalPlan, number: &mut usize) -> Result<Transformed<LogicalPlan>> {
    let (LogicalPlan::Projection(_) | LogicalPlan::Filter(_)) = &node else {
        return Ok(Transformed::no(node));
    };
    let input = node.inputs()[0].clone();
    let mut below = input.clone();
    let before = *number;
    let names = NamePreserver::new(&node);
    let mut exprs = Vec::new();
    for expr in node.expressions() {
        let name = names.save(&expr);
        let replaced = expr.transform_down(|part| {
            let Expr::ScalarSubquery(subquery) = &part else {
                return Ok(Transformed::no(part));
            };
            let Some(answers) = Answers::of(subquery, &input, *number + 1)? else {
                return Ok(Transformed::no(part));
            };
            *number += 1;
            let left = LogicalPlanBuilder::from(std::mem::take(&mut below));
            below = left.join_on(answers.plan, JoinType::Left, [answers.on])?.build()?;
            Ok(Transformed::yes(Expr::Column(answers.value)))
        })?;
        exprs.push(name.restore(replaced.data));
    }
    if *number == before {
        return Ok(Transformed::no(node));
    }
    let below = Arc::new(below);
    Ok(Transformed::yes(match (node, exprs.pop()) {
        (LogicalPlan::Filter(_), Some(predicate)) => {
            let columns = input.schema().columns().into_iter().map(Expr::Column);
            let filter = LogicalPlan::Filter(Filter::try_new(predicate, below)?);
            LogicalPlanBuilder::from(filter).project(columns)?.build()?
        }
        (_, last) => {
            exprs.extend(last);
            LogicalPlan::Projection(Projection::try_new(exprs, below)?)
        }
    }))
}

/// The answers of a subquery, and how the query around finds its own.
struct Answers {
    plan: LogicalPlan,
    on: Expr,
    value: Column,
}

impl Answers {
    /// `None`: DataFusion has a plan for the subquery, or there is none.
    fn of(subquery: &Subquery, around: &LogicalPlan, number: usize) -> Result<Option<Answers>> {
        let mut read: Vec<Column> = Vec::new();
        for outer in &subquery.outer_ref_columns {
            match outer {
                Expr::OuterReferenceColumn(_, column) if around.schema().has_column(column) => {
                    if !read.contains(column) {
                        read.push(column.clone());
                    }
                }
                _ => return Ok(None),
            }
        }
        if read.is_empty() || is_planned(&subquery.subquery) {
            return Ok(None);
        }
        let outer = format!("__outer_{number}");
        let keys: Vec<Column> = (1..=read.len())
            .map(|n| Column::new(Some(outer.as_str()), format!("__{n}")))
            .collect();
        let named = read.iter().zip(&keys);
        let combinations = LogicalPlanBuilder::from(around.clone())
            .project(named.map(|(column, key)| Expr::Column(column.clone()).alias(&key.name)))?
            .distinct()?
            .alias(outer.as_str())?
            .build()?;
        let around = Around {
            read,
            keys,
            combinations,
        };
        let Some(answered) = around.answered(&subquery.subquery)? else {
            return Ok(None);
        };
        let name = format!("__answers_{number}");
        let answer = subquery.subquery.schema().columns().into_iter().next();
        let value = answer.map(|column| Expr::Column(column).alias(VALUE));
        let named = around.keys.iter().map(|key| Expr::Column(key.clone()).alias(&key.name));
        let plan = LogicalPlanBuilder::from(answered).project(named.chain(value))?;
        let of_answers = |column: &str| Column::new(Some(name.as_str()), column);
        let pairs = around.read.iter().zip(&around.keys).map(|(column, key)| {
            let key = Expr::Column(of_answers(&key.name));
            binary_expr(Expr::Column(column.clone()), Operator::IsNotDistinctFrom, key)
        });
        Ok(Some(Answers {
            plan: plan.alias(name.as_str())?.build()?,
            on: conjunction(pairs).unwrap_or_else(|| lit(true)),
            value: of_answers(VALUE),
        }))
    }
}

/// What a subquery reads of the query around.
struct Around {
    read: Vec<Column>,
    /// The same columns of `combinations`.
    keys: Vec<Column>,
    combinations: LogicalPlan,
}

impl Around {
    /// The plan of a subquery for all combinations at once, with them beside its columns.
    fn answered(&self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        match plan {
            LogicalPlan::Projection(projection) => {
                let Some(input) = self.answered(&projection.input)? else {
                    return Ok(None);
                };
                let exprs = projection.expr.iter().map(|expr| self.of_combination(expr.clone()));
                let exprs = exprs.collect::<Result<Vec<Expr>>>()?;
                let keys = self.keys.iter().cloned().map(Expr::Column);
                LogicalPlanBuilder::from(input)
                    .project(keys.chain(exprs))?
                    .build()
                    .map(Some)
            }
            LogicalPlan::Filter(filter) => {
                let Some(input) = self.answered(&filter.input)? else {
                    return Ok(None);
                };
                let condition = self.of_combination(filter.predicate.clone())?;
                LogicalPlanBuilder::from(input).filter(condition)?.build().map(Some)
            }
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => self.aggregated(aggregate),
            _ => Ok(None),
        }
    }

    fn aggregated(&self, aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
        let Some(rows) = self.marked(&aggregate.input)? else {
            return Ok(None);
        };
        let (mut computed, mut named) = (Vec::new(), Vec::new());
        for aggregate in &aggregate.aggr_expr {
            let Expr::AggregateFunction(function) = self.of_combination(aggregate.clone())? else {
                return Ok(None);
            };
            let counted = of_found(function);
            named.push(
                Expr::Column(Column::new_unqualified(counted.schema_name().to_string()))
                    .alias(aggregate.schema_name().to_string()),
            );
            computed.push(counted);
        }
        let keys: Vec<Expr> = self.keys.iter().cloned().map(Expr::Column).collect();
        let aggregated = LogicalPlanBuilder::from(rows).aggregate(keys.clone(), computed)?;
        aggregated.project(keys.into_iter().chain(named))?.build().map(Some)
    }

    /// The rows that an aggregate is of, for all combinations, each once at least: those that are found are marked.
    fn marked(&self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        if !looks_around(plan)? {
            return self.paired(plan, lit(true)).map(Some);
        }
        match plan {
            LogicalPlan::Filter(filter) if !looks_around(&filter.input)? => {
                let condition = self.of_combination(filter.predicate.clone())?;
                self.paired(&filter.input, condition).map(Some)
            }
            LogicalPlan::Filter(filter) => {
                let columns = filter.input.schema().columns().into_iter().map(Expr::Column);
                let condition = self.of_combination(filter.predicate.clone())?;
                self.remade(&filter.input, columns.collect(), mark().and(condition))
            }
            LogicalPlan::Projection(projection) => {
                let exprs = projection.expr.iter().map(|expr| self.of_combination(expr.clone()));
                self.remade(&projection.input, exprs.collect::<Result<_>>()?, mark())
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let columns = alias.input.schema().columns().into_iter().zip(alias.schema.iter());
                let columns = columns
                    .map(|(column, (table, field))| Expr::Column(column).alias_qualified(table.cloned(), field.name()));
                self.remade(&alias.input, columns.collect(), mark())
            }
            _ => Ok(None),
        }
    }

    fn paired(&self, rows: &LogicalPlan, condition: Expr) -> Result<LogicalPlan> {
        let columns = rows.schema().columns().into_iter().map(Expr::Column);
        let rows = LogicalPlanBuilder::from(rows.clone()).project(columns.chain([lit(true).alias(FOUND)]))?;
        let combinations = LogicalPlanBuilder::from(self.combinations.clone());
        combinations
            .join_on(rows.build()?, JoinType::Left, [condition])?
            .build()
    }

    /// The rows of `below` as other columns, some of them perhaps no longer found.
    fn remade(&self, below: &LogicalPlan, columns: Vec<Expr>, found: Expr) -> Result<Option<LogicalPlan>> {
        let Some(below) = self.marked(below)? else {
            return Ok(None);
        };
        let keys = self.keys.iter().cloned().map(Expr::Column);
        let columns = keys.chain(columns).chain([found.alias(FOUND)]);
        LogicalPlanBuilder::from(below).project(columns)?.build().map(Some)
    }

    /// The expression with the columns of a combination for those of the query around.
    fn of_combination(&self, expr: Expr) -> Result<Expr> {
        let replaced = expr.transform_up(|part| match &part {
            Expr::OuterReferenceColumn(_, column) => {
                let place = self.read.iter().position(|read| read == column);
                Ok(place.map_or(Transformed::no(part), |place| {
                    Transformed::yes(Expr::Column(self.keys[place].clone()))
                }))
            }
            _ => Ok(Transformed::no(part)),
        })?;
        Ok(replaced.data)
    }
}

/// An aggregate of the rows that are found.
fn of_found(mut function: AggregateFunction) -> Expr {
    let found = mark();
    let filter = function.params.filter.take();
    function.params.filter = Some(Box::new(filter.map_or(found.clone(), |filter| filter.and(found))));
    Expr::AggregateFunction(function)
}

fn mark() -> Expr {
    Expr::Column(Column::new_unqualified(FOUND))
}

/// Whether a plan looks into the query around by nothing but conditions that a value is equal to one of it.
fn is_planned(plan: &LogicalPlan) -> bool {
    let is_equality = |condition: &&Expr| match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => left.contains_outer() != right.contains_outer(),
        condition => !condition.contains_outer(),
    };
    let mut planned = true;
    let walked = plan.apply_with_subqueries(|node| {
        planned &= match node {
            LogicalPlan::Filter(filter) => split_conjunction(&filter.predicate).iter().all(is_equality),
            LogicalPlan::SubqueryAlias(alias) => !looks_around(&alias.input)?,
            other => !other.expressions().iter().any(Expr::contains_outer),
        };
        Ok(TreeNodeRecursion::Continue)
    });
    walked.is_ok() && planned
}

fn looks_around(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= node.expressions().iter().any(Expr::contains_outer);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
