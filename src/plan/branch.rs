//! Stateless chains: one per source, with the interval's input as leaf, and hidden columns carried to the top.

use crate::dstream::nodes::{InputNode, ROW, StaticNode, WM, WindowNode};
use crate::dstream::table::TableSpec;
use crate::dstream::window::WindowSpec;
use crate::plan::facts::{Class, facts};
use crate::plan::session::{TableScanned, place_fields};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, internal_err};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, TableScan, col};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which physical columns of each table the queries of a program use.
#[derive(Debug, Default)]
pub struct UsedColumns {
    pub columns: BTreeMap<String, BTreeSet<usize>>,
    /// Tables of which the places of rows are asked for.
    pub placed: BTreeSet<String>,
}

impl UsedColumns {
    /// Adds the columns that the scans of a plan ask for, and those that their computed columns are made from.
    pub fn add(&mut self, plan: &LogicalPlan) -> Result<()> {
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Some(table) = scan.source.downcast_ref::<TableScanned>()
            {
                let columns: Vec<usize> = match &scan.projection {
                    Some(projection) => projection.clone(),
                    None => (0..table.spec.columns.len()).collect(),
                };
                if table.placed {
                    self.placed.insert(table.spec.name.clone());
                }
                let used = self.columns.entry(table.spec.name.clone()).or_default();
                for column in columns {
                    used.extend(physical_columns(table, column));
                }
            }
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        })?;
        Ok(())
    }
}

/// The physical columns (indices into the physical schema) behind a declared column.
pub fn physical_columns(table: &TableScanned, column: usize) -> Vec<usize> {
    let schema = table.spec.physical_schema();
    let Some(declared) = table.spec.columns.get(column) else {
        // The place of the row.
        return Vec::new();
    };
    match &declared.computed {
        None => schema.index_of(&declared.name).into_iter().collect(),
        Some(expr) => {
            let names = expr
                .column_refs()
                .into_iter()
                .map(|c| c.name.clone())
                .collect::<Vec<_>>();
            names.iter().filter_map(|name| schema.index_of(name).ok()).collect()
        }
    }
}

/// The scan of a stream as a projection over the interval's input; `used` are the source's columns, ascending.
pub fn source_input(scan: &TableScan, table: &TableScanned, used: &[usize], slot: usize) -> Result<LogicalPlan> {
    let physical = table.spec.physical_schema();
    let place = if table.placed {
        place_fields().to_vec()
    } else {
        Vec::new()
    };
    let fields: Vec<_> = used
        .iter()
        .map(|i| physical.field(*i).clone())
        .chain(place)
        .map(|field| (None, Arc::new(field)))
        .collect();
    let width = fields.len();
    let schema = DFSchema::new_with_metadata(fields, Default::default())?;
    let leaf = InputNode::plan(slot, (0..width).collect(), Arc::new(schema));
    let columns: Vec<usize> = match &scan.projection {
        Some(projection) => projection.clone(),
        None => (0..scan.projected_schema.fields().len()).collect(),
    };
    let exprs = columns
        .iter()
        .zip(scan.projected_schema.iter())
        .map(|(index, (qualifier, field))| {
            let declared = table.spec.columns.get(*index);
            let computed = declared.and_then(|c| c.computed.clone());
            let name = declared.map_or(field.name(), |c| &c.name);
            let expr = computed.unwrap_or_else(|| col(Column::new_unqualified(name)));
            expr.alias_qualified(qualifier.cloned(), field.name())
        });
    projected(exprs.collect(), leaf, &scan.projected_schema)
}

/// A static table's scan as a node of its own.
pub fn static_input(scan: &TableScan, table: &TableScanned) -> LogicalPlan {
    let columns: Vec<usize> = match &scan.projection {
        Some(projection) => projection.clone(),
        None => (0..table.spec.columns.len()).collect(),
    };
    StaticNode::plan(Arc::clone(&table.spec), columns, Arc::clone(&scan.projected_schema))
}

/// A projection whose schema keeps the given names (nullability may be narrower).
fn projected(exprs: Vec<Expr>, input: LogicalPlan, _schema: &DFSchema) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?))
}

/// A plan over several streams as plans over one each, whose union it is: UNION ALL goes to the top. What gives rows as
/// windows close is one branch, for a window is made of the rows of all its streams.
pub fn branches(plan: &LogicalPlan) -> Result<Vec<LogicalPlan>> {
    match plan.exists(|node| Ok(matches!(node, LogicalPlan::Union(_))))? {
        true => split(plan),
        false => Ok(vec![plan.clone()]),
    }
}

fn split(plan: &LogicalPlan) -> Result<Vec<LogicalPlan>> {
    if let LogicalPlan::Union(union) = plan {
        let mut all = Vec::new();
        for input in &union.inputs {
            for branch in branches(input)? {
                let columns = branch.schema().columns();
                let renamed = columns
                    .into_iter()
                    .zip(union.schema.iter())
                    .map(|(column, (qualifier, field))| {
                        Expr::Column(column).alias_qualified(qualifier.cloned(), field.name())
                    });
                all.push(projected(renamed.collect(), branch.clone(), &union.schema)?);
            }
        }
        return Ok(all);
    }
    if facts(plan).class == Class::Closed || shown_by_session(plan) {
        return Ok(vec![plan.clone()]);
    }
    let inputs = plan.inputs();
    let Some(at) = inputs.iter().position(|input| reads_stream(input)) else {
        return Ok(vec![plan.clone()]);
    };
    let parts = split(inputs[at])?;
    if let [_] = &parts[..] {
        return Ok(vec![plan.clone()]);
    }
    let rebuild = |branch: LogicalPlan| {
        let mut inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
        inputs[at] = branch;
        plan.with_new_exprs(plan.expressions(), inputs)
    };
    parts.into_iter().map(rebuild).collect()
}

/// Rows that are shown with their session: not before it has ended, for no one knows its end earlier.
pub fn shown_by_session(plan: &LogicalPlan) -> bool {
    find_window(plan).is_some_and(|w| matches!(w.window, WindowSpec::Session { .. }))
}

fn reads_stream(plan: &LogicalPlan) -> bool {
    !stream_tables(plan).is_empty()
}

/// The tables that a plan scans, subqueries included, and whether each ends by itself.
fn scanned(plan: &LogicalPlan) -> Vec<(Arc<TableSpec>, bool)> {
    let mut found = Vec::new();
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = scan.source.downcast_ref::<TableScanned>()
        {
            found.push((Arc::clone(&table.spec), table.bounded));
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    });
    debug_assert!(walked.is_ok(), "the visitor never fails");
    found
}

/// All tables that a plan reads.
pub fn tables(plan: &LogicalPlan) -> Vec<Arc<TableSpec>> {
    scanned(plan).into_iter().map(|(spec, _)| spec).collect()
}

/// The streams that a plan reads, and whether each ends by itself.
pub fn stream_tables(plan: &LogicalPlan) -> Vec<(String, bool)> {
    let streams = scanned(plan).into_iter().filter(|(spec, _)| !spec.is_static);
    streams.map(|(spec, bounded)| (spec.name.clone(), bounded)).collect()
}

/// The plan with the tables that are endless by now as such.
pub fn without_end(plan: LogicalPlan, is_endless: &dyn Fn(&str) -> bool) -> Result<LogicalPlan> {
    let replaced = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(mut scan) = node else {
            return Ok(Transformed::no(node));
        };
        match scan.source.downcast_ref::<TableScanned>() {
            Some(table) if table.bounded && is_endless(&table.spec.name) => {
                scan.source = Arc::new(TableScanned {
                    spec: Arc::clone(&table.spec),
                    bounded: false,
                    ..*table
                });
                Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
            }
            _ => Ok(Transformed::no(LogicalPlan::TableScan(scan))),
        }
    });
    replaced.map(|replaced| replaced.data)
}

/// The static tables that a plan reads.
pub fn static_tables(plan: &LogicalPlan) -> Vec<Arc<TableSpec>> {
    let mut found = tables(plan);
    found.retain(|spec| spec.is_static);
    found
}

/// The event time of a stream that a plan scans, if it declares one.
pub fn event_time_column(plan: &LogicalPlan, stream: &str) -> Option<String> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = scan.source.downcast_ref::<TableScanned>()
            && table.spec.name == stream
            && let Some(watermark) = table.spec.watermark
        {
            found = table.spec.columns.get(watermark.column).map(|c| c.name.clone());
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    });
    debug_assert!(walked.is_ok(), "the visitor never fails");
    found
}

/// A one-source plan with `__wm` and `__row` carried from its input to its last columns; `None` when something on the
/// way cannot carry them.
pub fn with_hidden(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let carried = plan.clone().transform_up(carry);
    match carried {
        Ok(plan) if has_hidden(&plan.data) => Ok(Some(hidden_last(plan.data)?)),
        Ok(_) => Ok(None),
        Err(DataFusionError::NotImplemented(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn has_hidden(plan: &LogicalPlan) -> bool {
    hidden_column(plan, WM).is_some() && hidden_column(plan, ROW).is_some()
}

/// A column by its bare name, whatever it is qualified with.
pub fn hidden_column(plan: &LogicalPlan, name: &str) -> Option<Column> {
    let schema = plan.schema();
    let index = schema.fields().iter().position(|f| f.name() == name)?;
    Some(Column::from(schema.qualified_field(index)))
}

fn hidden_last(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    let (hidden, shown): (Vec<Column>, Vec<Column>) = columns.into_iter().partition(|c| c.name == WM || c.name == ROW);
    let exprs = shown.into_iter().chain(hidden).map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}

fn carry(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match &node {
        LogicalPlan::Extension(extension) => {
            let any = extension.node.as_any();
            if let Some(input) = any.downcast_ref::<InputNode>() {
                return Ok(Transformed::yes(input_with_hidden(input)?));
            }
            if any.is::<StaticNode>() {
                return Ok(Transformed::no(node));
            }
            rebuilt(node)
        }
        LogicalPlan::Projection(projection) => {
            let mut exprs = projection.expr.clone();
            for name in [WM, ROW] {
                let Some(column) = hidden_column(&projection.input, name) else {
                    return Ok(Transformed::no(node));
                };
                exprs.push(Expr::Column(column));
            }
            let plan = Projection::try_new(exprs, Arc::clone(&projection.input))?;
            Ok(Transformed::yes(LogicalPlan::Projection(plan)))
        }
        _ => rebuilt(node),
    }
}

/// A node over inputs that have grown by hidden columns.
pub(super) fn rebuilt(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Unnest(unnest) = &node {
        let plan = LogicalPlanBuilder::from(unnest.input.as_ref().clone())
            .unnest_columns_with_options(unnest.exec_columns.clone(), unnest.options.clone())?;
        return Ok(Transformed::yes(plan.build()?));
    }
    let inputs: Vec<LogicalPlan> = node.inputs().into_iter().cloned().collect();
    if inputs.is_empty() {
        return Ok(Transformed::no(node));
    }
    Ok(Transformed::yes(node.with_new_exprs(node.expressions(), inputs)?))
}

fn input_with_hidden(input: &InputNode) -> Result<LogicalPlan> {
    let width = input.columns.len();
    let mut columns = input.columns.clone();
    columns.extend([width, width + 1]);
    let hidden = [WM, ROW].map(|name| (None, Arc::new(Field::new(name, DataType::Int64, false))));
    let fields = input
        .schema
        .iter()
        .map(|(q, f)| (q.cloned(), Arc::clone(f)))
        .chain(hidden)
        .collect();
    let schema = DFSchema::new_with_metadata(fields, Default::default())?;
    Ok(InputNode::plan(input.slot, columns, Arc::new(schema)))
}

/// The first window function over the stream of a one-source plan; those over tables that do not change are none of it.
pub fn find_window(plan: &LogicalPlan) -> Option<&WindowNode> {
    if !reads_stream(plan) {
        return None;
    }
    if let LogicalPlan::Extension(extension) = plan
        && let Some(window) = extension.node.as_any().downcast_ref::<WindowNode>()
    {
        return Some(window);
    }
    plan.inputs().into_iter().find_map(find_window)
}

/// Whether a plan has such a window function.
pub fn has_windows(plan: &LogicalPlan, is_it: fn(&WindowNode) -> bool) -> bool {
    let own = match plan {
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref::<WindowNode>(),
        _ => None,
    };
    own.is_some_and(is_it) || plan.inputs().into_iter().any(|input| has_windows(input, is_it))
}

/// The plan with the window function that [`find_window`] finds in it replaced.
pub fn replace_window(plan: &LogicalPlan, with: &LogicalPlan) -> Result<LogicalPlan> {
    let is_window = |p: &LogicalPlan| match p {
        LogicalPlan::Extension(e) => e.node.as_any().is::<WindowNode>() && reads_stream(p),
        _ => false,
    };
    let replaced = plan.clone().transform_down(|node| match is_window(&node) {
        true => Ok(Transformed::new(
            with.clone(),
            true,
            datafusion::common::tree_node::TreeNodeRecursion::Jump,
        )),
        false => Ok(Transformed::no(node)),
    })?;
    match replaced.transformed {
        true => Ok(replaced.data),
        false => internal_err!("a windowed plan without a window function"),
    }
}
