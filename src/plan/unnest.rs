//! `UNNEST(…)` in FROM: a list to rows, beside the rows that it came with.
//!
//! Owns: what UNNEST gives (names, numbers of WITH ORDINALITY, lists side by side), and the joins with it. DataFusion
//! plans `docs CROSS JOIN UNNEST(docs.tags)` as a join with a correlated subquery and cannot run it; [`joined`] makes
//! `LogicalPlan::Unnest` over the rows of the left side from it, which keeps the columns of time as they are.
//! Does **not** own: `SELECT unnest(…)`, which DataFusion plans by itself.

use crate::error::wording::sql_types;
use crate::plan::Refusal;
use crate::sql::dialect::call;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{
    Column, DFSchema, DataFusionError, NullHandling, Result, ScalarValue, SchemaError, UnnestOptions,
};
use datafusion::functions::core::expr_fn::{coalesce, get_field, greatest};
use datafusion::functions_nested::expr_fn::{array_length, map_entries, range};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, ExprSchemable, Join, JoinType, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::sql::sqlparser::ast::{self, AccessExpr, Ident, Spanned, TableAlias, TableFactor};
use std::ops::ControlFlow;

/// Plans UNNEST as a relation, over one row: the joins with it are made by [`joined`].
#[derive(Debug)]
pub struct Unnests;

impl RelationPlanner for Unnests {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let span = relation.span();
        let TableFactor::UNNEST {
            alias,
            array_exprs,
            with_offset,
            with_ordinality,
            ..
        } = relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        if with_offset {
            let refusal = Refusal::new("unsupported", "UNNEST has no WITH OFFSET").at(span);
            return Err(refusal.help("write WITH ORDINALITY: it counts from 1").into());
        }
        let lists = array_exprs.iter().map(|expr| list(expr, context));
        let lists = lists.collect::<Result<Vec<_>>>()?;
        let plan = unnested(lists, with_ordinality, alias.as_ref(), context)?;
        // The columns are named already.
        let alias = alias.map(|alias| TableAlias {
            columns: Vec::new(),
            ..alias
        });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// A list to unnest; a map gives the list of its entries.
struct List {
    expr: Expr,
    /// The fields of its elements, when those are structs.
    fields: Vec<FieldRef>,
    is_map: bool,
}

fn list(written: &ast::Expr, context: &mut dyn RelationPlannerContext) -> Result<List> {
    let expr = value(written, context)?;
    let data_type = expr.get_type(&DFSchema::empty())?;
    let (expr, is_map) = match data_type {
        DataType::Map(..) => (map_entries(expr), true),
        _ => (expr, false),
    };
    match expr.get_type(&DFSchema::empty())? {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let fields = match item.data_type() {
                DataType::Struct(fields) => fields.iter().cloned().collect(),
                _ => Vec::new(),
            };
            Ok(List { expr, fields, is_map })
        }
        other => {
            let given = sql_types(&other.to_string());
            let message = format!("UNNEST takes a list, and `{written}` is {}", type_word(&other, &given));
            let refusal = Refusal::new("not_a_list", message).at(written.span());
            Err(refusal
                .help("declare the column as a list (tags VARCHAR[]), or split a text: string_to_array(text, ',')")
                .into())
        }
    }
}

/// What a type is called in a message: a struct without all its fields.
fn type_word<'a>(data_type: &DataType, named: &'a str) -> &'a str {
    match data_type {
        DataType::Struct(_) => "a STRUCT",
        DataType::Null => "NULL",
        _ => named,
    }
}

/// An expression over the tables to the left, in a spelling that DataFusion plans over them.
fn value(written: &ast::Expr, context: &mut dyn RelationPlannerContext) -> Result<Expr> {
    let mut planned = written.clone();
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut planned, |part| {
        let other = match part {
            // As a call: DataFusion looks for the names in a literal among no columns at all.
            ast::Expr::Array(array) if !array.elem.is_empty() => {
                Some(call(Ident::new("make_array"), std::mem::take(&mut array.elem)))
            }
            ast::Expr::CompoundIdentifier(names) => field(names, context),
            _ => None,
        };
        if let Some(other) = other {
            *part = other;
        }
        ControlFlow::Continue(())
    });
    context
        .sql_expr_to_logical_expr(planned, &DFSchema::empty())
        .map_err(|error| unknown_here(error, written))
}

/// A field of a struct of the tables to the left (`o.order.items`), into which DataFusion does not look: the longest
/// beginning that is a column, and the rest as names of fields. `None` if the whole is a column, or nothing of it.
fn field(names: &[Ident], context: &mut dyn RelationPlannerContext) -> Option<ast::Expr> {
    let mut is_column = |column: &ast::Expr| {
        let planned = context.sql_expr_to_logical_expr(column.clone(), &DFSchema::empty());
        planned.is_ok()
    };
    let column = |known: usize| match &names[..known] {
        [one] => ast::Expr::Identifier(one.clone()),
        several => ast::Expr::CompoundIdentifier(several.to_vec()),
    };
    let known = (1..=names.len()).rev().find(|known| is_column(&column(*known)))?;
    let fields = &names[known..];
    let named = fields.iter().map(|name| {
        let text = ast::Value::SingleQuotedString(context.normalize_ident(name.clone()));
        AccessExpr::Dot(ast::Expr::Value(text.with_span(name.span)))
    });
    (!fields.is_empty()).then(|| ast::Expr::CompoundFieldAccess {
        root: Box::new(column(known)),
        access_chain: named.collect(),
    })
}

/// DataFusion looks for a column among those of UNNEST itself, of which there are none.
fn unknown_here(error: DataFusionError, written: &ast::Expr) -> DataFusionError {
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, .. } => {
                let name = field.quoted_flat_name().replace('"', "");
                let message = format!("`{name}` is no column of the tables before UNNEST");
                Refusal::new("unknown_column", message).at(written.span()).into()
            }
            _ => error,
        },
        _ => error,
    }
}

/// The lists side by side as rows: named columns over `Unnest` over one row of lists.
fn unnested(
    lists: Vec<List>,
    numbered: bool,
    alias: Option<&TableAlias>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let numbers = numbered.then(|| numbers_of(&lists));
    let place = |index: usize| format!("__unnest_{index}");
    let exprs = lists.iter().map(|list| list.expr.clone()).chain(numbers);
    let placed: Vec<Expr> = exprs.enumerate().map(|(i, e)| e.alias(place(i))).collect();
    let columns = (0..placed.len()).map(|i| Column::new_unqualified(place(i)));
    let options = UnnestOptions::new().with_null_handling(NullHandling::Drop);
    let rows = LogicalPlanBuilder::empty(true)
        .project(placed)?
        .unnest_columns_with_options(columns.collect(), options)?;

    let named: Vec<String> = alias.map_or(Vec::new(), |alias| {
        let names = alias.columns.iter().map(|column| column.name.clone());
        names.map(|name| context.normalize_ident(name)).collect()
    });
    let outputs = outputs(&lists, numbered, named.len());
    let defaults = outputs.iter().map(|(default, _)| default.clone());
    let names: Vec<String> = match (&named[..], alias) {
        // As in PostgreSQL, `UNNEST(tags) AS tag` names the one column as well.
        ([], Some(alias)) if lists.len() == 1 && !lists[0].is_map => {
            let first = std::iter::once(context.normalize_ident(alias.name.clone()));
            first.chain(defaults.skip(1)).collect()
        }
        ([], _) => defaults.collect(),
        _ if named.len() == outputs.len() => named,
        _ => {
            let mut refusal = wrong_count(&lists, numbered, &defaults.collect::<Vec<_>>(), named.len());
            refusal.span = alias.map(|alias| alias.name.span);
            return Err(refusal.into());
        }
    };
    let exprs = outputs.into_iter().zip(names).map(|((_, expr), name)| expr.alias(name));
    rows.project(exprs.collect::<Vec<_>>())?.build()
}

/// What to say when so many names were given.
fn wrong_count(lists: &[List], numbered: bool, defaults: &[String], named: usize) -> Refusal {
    let fields = match lists {
        [one] => one.fields.iter().map(|field| field.name().as_str()).collect(),
        _ => Vec::new(),
    };
    let (gives, help) = match defaults {
        _ if fields.len() > 1 => {
            let (number, ordinality) = if numbered {
                (" and its number", ", ordinality")
            } else {
                ("", "")
            };
            (
                format!("one column, or one for each of {} fields,{number}", fields.len()),
                format!(
                    "name the struct{ordinality}; or each of: {}{ordinality}",
                    fields.join(", ")
                ),
            )
        }
        [_] => (
            "one column".to_string(),
            "WITH ORDINALITY adds one that counts from 1".to_string(),
        ),
        _ => (
            format!("{} columns", defaults.len()),
            format!("name each of: {}", defaults.join(", ")),
        ),
    };
    Refusal::new("column_count", format!("UNNEST gives {gives} here, not {named}")).help(help)
}

/// The columns with the names that they have when none are given. One list of structs (or a map) gives one column
/// per field if as many names are given, else one column of structs.
fn outputs(lists: &[List], numbered: bool, named: usize) -> Vec<(String, Expr)> {
    let place = |index: usize| Expr::Column(Column::new_unqualified(format!("__unnest_{index}")));
    let mut outputs = Vec::new();
    match lists {
        [one] if !one.fields.is_empty() && spread(one, named, numbered) => {
            for field in &one.fields {
                outputs.push((field.name().clone(), get_field(place(0), field.name().as_str())));
            }
        }
        _ => {
            for index in 0..lists.len() {
                let name = if index == 0 {
                    "unnest".to_string()
                } else {
                    format!("unnest_{}", index + 1)
                };
                outputs.push((name, place(index)));
            }
        }
    }
    if numbered {
        outputs.push(("ordinality".to_string(), place(lists.len())));
    }
    outputs
}

/// Whether the fields of the structs become columns.
fn spread(list: &List, named: usize, numbered: bool) -> bool {
    let width = list.fields.len() + usize::from(numbered);
    match named {
        0 => list.is_map,
        _ => named == width && named > 1 + usize::from(numbered),
    }
}

/// The list 1, 2, … as long as the longest of some lists.
fn numbers_of(lists: &[List]) -> Expr {
    let length = |list: &List| coalesce(vec![cast(array_length(list.expr.clone()), DataType::Int64), lit(0_i64)]);
    let mut lengths: Vec<Expr> = lists.iter().map(length).collect();
    let longest = match (lengths.pop(), lengths.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            lengths.push(last);
            greatest(lengths)
        }
        (None, _) => lit(0_i64),
    };
    range(lit(1_i64), longest + lit(1_i64), lit(1_i64))
}

/// Every join of rows with their own lists as an `Unnest` of these rows.
pub fn joined(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Join(join) = &node else {
            return Ok(Transformed::no(node));
        };
        match join_as_unnest(join)? {
            Some(plan) => Ok(Transformed::yes(plan)),
            None => Ok(Transformed::no(node)),
        }
    })?;
    Ok(changed.data)
}

fn join_as_unnest(join: &Join) -> Result<Option<LogicalPlan>> {
    let Some(right) = correlated(&join.right, join.left.schema()) else {
        return Ok(None);
    };
    // Lists that are the same for each row, and rows of no table: as a list in each row they could take all memory.
    let is_fixed = right.lists.iter().all(|list| list.column_refs().is_empty());
    if is_fixed && !join.left.exists(|node| Ok(matches!(node, LogicalPlan::TableScan(_))))? {
        return Ok(None);
    }
    let outer = join.join_type == JoinType::Left;
    if !outer && join.join_type != JoinType::Inner {
        let refusal = Refusal::new("not_yet", "UNNEST takes part in CROSS JOIN, JOIN and LEFT JOIN only");
        return Err(refusal.into());
    }
    let always = |filter: &Expr| matches!(filter, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    let filter = join.filter.clone().filter(|filter| !always(filter));
    if outer && (filter.is_some() || !join.on.is_empty()) {
        let refusal = Refusal::new("not_yet", "`UNNEST` behind LEFT JOIN with a condition is not built yet");
        return Err(refusal
            .help("write LEFT JOIN UNNEST(…) ON TRUE, and the condition into WHERE; or JOIN UNNEST(…) ON …")
            .into());
    }
    let left: Vec<Expr> = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let handling = if outer {
        NullHandling::PreserveAndExpandEmpty
    } else {
        right.options.null_handling
    };
    let rows = LogicalPlanBuilder::from(join.left.as_ref().clone())
        .project(left.iter().cloned().chain(right.lists))?
        .unnest_columns_with_options(right.columns, right.options.with_null_handling(handling))?;
    let shown = right.outputs.into_iter().zip(join.right.schema().iter());
    let shown = shown.map(|(expr, (qualifier, field))| expr.alias_qualified(qualifier.cloned(), field.name()));
    let mut plan = rows.project(left.into_iter().chain(shown))?;
    let equal = join.on.iter().map(|(l, r)| l.clone().eq(r.clone()));
    for condition in equal.chain(filter) {
        plan = plan.filter(condition)?;
    }
    plan.build().map(Some)
}

/// The right side of such a join: lists of the left side's columns, unnested.
struct Correlated {
    lists: Vec<Expr>,
    columns: Vec<Column>,
    options: UnnestOptions,
    /// The columns of the right side, over the unnested ones.
    outputs: Vec<Expr>,
}

fn correlated(plan: &LogicalPlan, left: &DFSchema) -> Option<Correlated> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => correlated(&alias.input, left),
        LogicalPlan::Subquery(subquery) => correlated(&subquery.subquery, left),
        LogicalPlan::Projection(projection) => {
            let below = correlated(&projection.input, left)?;
            let over = |expr: &Expr| replaced(expr.clone().unalias(), projection.input.schema(), &below.outputs, left);
            let outputs = projection.expr.iter().map(over).collect::<Option<Vec<_>>>()?;
            Some(Correlated { outputs, ..below })
        }
        LogicalPlan::Unnest(unnest) => {
            let LogicalPlan::Projection(lists) = unnest.input.as_ref() else {
                return None;
            };
            let one_row = matches!(lists.input.as_ref(), LogicalPlan::EmptyRelation(empty) if empty.produce_one_row);
            if !one_row {
                return None;
            }
            let known = |expr: &Expr| replaced(expr.clone(), lists.input.schema(), &[], left);
            Some(Correlated {
                lists: lists.expr.iter().map(known).collect::<Option<Vec<_>>>()?,
                columns: unnest.exec_columns.clone(),
                options: unnest.options.clone(),
                outputs: unnest.schema.columns().into_iter().map(Expr::Column).collect(),
            })
        }
        _ => None,
    }
}

/// An expression with the columns of its input replaced by what they are, and those of the left side as columns.
/// `None`: it needs columns of something else.
fn replaced(expr: Expr, input: &DFSchema, by: &[Expr], left: &DFSchema) -> Option<Expr> {
    let mut foreign = false;
    let replaced = expr.transform_up(|expr| match &expr {
        Expr::OuterReferenceColumn(_, column) => {
            foreign |= !left.has_column(column);
            Ok(Transformed::yes(Expr::Column(column.clone())))
        }
        Expr::Column(column) => match input.maybe_index_of_column(column).and_then(|i| by.get(i)) {
            Some(known) => Ok(Transformed::yes(known.clone())),
            None => Ok(Transformed::no(expr)),
        },
        _ => Ok(Transformed::no(expr)),
    });
    replaced.ok().map(|expr| expr.data).filter(|_| !foreign)
}

/// Refuses what is left of subqueries after optimisation and cannot be run: it would fail in the middle of the stream.
pub fn refuse_left_over(plan: &LogicalPlan) -> Result<()> {
    let (mut correlated, mut value) = (false, false);
    plan.apply_with_subqueries(|node| {
        correlated |= matches!(node, LogicalPlan::Subquery(subquery) if !subquery.outer_ref_columns.is_empty());
        let nowhere_planned = matches!(node, LogicalPlan::Values(_) | LogicalPlan::Aggregate(_));
        node.apply_expressions(|expr| {
            correlated |= expr.contains_outer();
            value |= expr.exists(|e| {
                Ok(match e {
                    Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => true,
                    Expr::ScalarSubquery(_) => nowhere_planned,
                    _ => false,
                })
            })?;
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        })
    })?;
    if value && !correlated {
        let message = "a subquery is not built yet as a value in this place";
        let refusal = Refusal::new("not_yet", message);
        return Err(refusal
            .help("join with the query instead, or put the condition into WHERE")
            .into());
    }
    if !correlated {
        return Ok(());
    }
    let message = "a subquery that looks at columns of the query around it is not built yet in this form";
    let refusal = Refusal::new("not_yet", message);
    Err(refusal
        .help("join with the query instead: LEFT JOIN (SELECT key, … GROUP BY key) AS s ON s.key = t.key")
        .help("look into a list with array_has(list, value), or unnest it in FROM: CROSS JOIN UNNEST(list) AS t(x)")
        .into())
}
