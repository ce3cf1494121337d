//! What every reader of a source asks of its rows, in terms of the source's own columns: whoever knows that no row of a
//! block passes may leave the block out.
//!
//! A condition counts when it stands right above a scan, or above projections, aliases and windows that keep its columns
//! as they are. Sessions are not such windows: their rows make them.

use crate::dstream::nodes::WindowNode;
use crate::dstream::window::WindowSpec;
use crate::plan::compile::QueryPlan;
use crate::plan::session::TableScanned;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::utils::{conjunction, disjunction, split_conjunction};
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use std::collections::BTreeMap;

/// By table, what is true for every row that some query of the program asks for. A table whose rows are all asked for
/// is not there.
pub fn predicates(queries: &[QueryPlan]) -> Result<BTreeMap<String, Expr>> {
    let mut found: BTreeMap<String, Vec<Option<Expr>>> = BTreeMap::new();
    let mut scans: BTreeMap<String, usize> = BTreeMap::new();
    for query in queries {
        walk(&query.plan, Vec::new(), &mut found);
        query.plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                *scans.entry(name_of(scan)).or_default() += 1;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let mut predicates = BTreeMap::new();
    for (table, conditions) in found {
        // Scans that the walk has not come by, in subqueries, ask for everything.
        let all = scans.get(&table) == Some(&conditions.len());
        let conditions: Option<Vec<Expr>> = conditions.into_iter().collect();
        if let Some(predicate) = conditions.filter(|_| all).and_then(disjunction) {
            predicates.insert(table, predicate);
        }
    }
    Ok(predicates)
}

fn name_of(scan: &TableScan) -> String {
    let table = scan.source.downcast_ref::<TableScanned>();
    table.map_or_else(|| scan.table_name.to_string(), |table| table.spec.name.clone())
}

/// Goes down a plan with the conditions that hold for all rows of a node which are asked for.
fn walk(plan: &LogicalPlan, mut conditions: Vec<Expr>, found: &mut BTreeMap<String, Vec<Option<Expr>>>) {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let condition = conjunction(conditions.iter().filter_map(|c| of_source(c, scan)));
            found.entry(name_of(scan)).or_default().push(condition);
        }
        LogicalPlan::Filter(filter) => {
            conditions.extend(split_conjunction(&filter.predicate).into_iter().cloned());
            walk(&filter.input, conditions, found);
        }
        LogicalPlan::Projection(projection) => {
            let below = |at: usize| match &projection.expr[at] {
                Expr::Column(column) => Some(column.clone()),
                Expr::Alias(alias) => alias.expr.try_as_col().cloned(),
                _ => None,
            };
            walk(
                &projection.input,
                through(conditions, &projection.schema, &below),
                found,
            );
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let columns = alias.input.schema().columns();
            let below = |at: usize| columns.get(at).cloned();
            walk(&alias.input, through(conditions, &alias.schema, &below), found);
        }
        LogicalPlan::Extension(extension) if keeps_rows(extension.node.as_any().downcast_ref()) => {
            let Some(node) = extension.node.as_any().downcast_ref::<WindowNode>() else {
                return;
            };
            let columns = node.input.schema().columns();
            let below = |at: usize| {
                columns
                    .get(at)
                    .filter(|c| c.name == *node.schema.field(at).name())
                    .cloned()
            };
            walk(&node.input, through(conditions, &node.schema, &below), found);
        }
        other => other
            .inputs()
            .into_iter()
            .for_each(|input| walk(input, Vec::new(), found)),
    }
}

/// Whether a row is in its windows whatever other rows there are.
fn keeps_rows(node: Option<&WindowNode>) -> bool {
    node.is_some_and(|node| !matches!(node.window, WindowSpec::Session { .. }))
}

/// The conditions in terms of the columns below a node; those that cannot be told there are dropped.
fn through(conditions: Vec<Expr>, schema: &DFSchema, below: &dyn Fn(usize) -> Option<Column>) -> Vec<Expr> {
    let column = |column: &Column| below(schema.maybe_index_of_column(column)?);
    conditions
        .iter()
        .filter_map(|condition| renamed(condition, &column))
        .collect()
}

/// A condition over the source's own columns, if it asks for nothing else and always gives the same answer.
fn of_source(condition: &Expr, scan: &TableScan) -> Option<Expr> {
    let table = scan
        .source
        .downcast_ref::<TableScanned>()
        .filter(|table| !table.placed)?;
    let physical = |column: &Column| {
        let at = scan.projected_schema.maybe_index_of_column(column)?;
        let at = scan
            .projection
            .as_ref()
            .map_or(Some(at), |columns| columns.get(at).copied())?;
        let declared = table
            .spec
            .columns
            .get(at)
            .filter(|declared| declared.computed.is_none())?;
        Some(Column::new_unqualified(&declared.name))
    };
    renamed(condition, &physical).filter(is_constant)
}

/// No clock, no chance, no other table.
fn is_constant(condition: &Expr) -> bool {
    let mut constant = true;
    let looked = condition.apply(|expr| {
        constant &= match expr {
            Expr::ScalarFunction(call) => {
                call.func.signature().volatility == datafusion::logical_expr::Volatility::Immutable
            }
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::OuterReferenceColumn(..) => false,
            _ => true,
        };
        Ok(TreeNodeRecursion::Continue)
    });
    constant && looked.is_ok()
}

fn renamed(condition: &Expr, to: &dyn Fn(&Column) -> Option<Column>) -> Option<Expr> {
    let mut missing = false;
    let renamed = condition.clone().transform(|expr| match &expr {
        Expr::Column(column) => match to(column) {
            Some(column) => Ok(Transformed::yes(Expr::Column(column))),
            None => {
                missing = true;
                Ok(Transformed::no(expr))
            }
        },
        _ => Ok(Transformed::no(expr)),
    });
    renamed.ok().map(|renamed| renamed.data).filter(|_| !missing)
}
