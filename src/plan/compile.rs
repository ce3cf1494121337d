//! Optimised logical plans to one operator graph.
//!
//! A query is one of three things ([`Class`]): a stream (stateless stages), windows that close (panes, then a batch over
//! what has closed), or a batch that runs once its bounded input has ended. Everything else is refused here.

use crate::dstream::graph::*;
use crate::dstream::nodes::InputNode;
use crate::dstream::table::TableSpec;
use crate::dstream::window::WindowSpec;
use crate::plan::Refusal;
use crate::plan::beside::{Part, parts};
use crate::plan::branch::*;
use crate::plan::clock::{cut_off, shows_clock, with_clock};
use crate::plan::facts::{Class, Facts, Tag, facts, names_window};
use crate::plan::inverse::with_inverse;
use crate::plan::limit::{with_sorts_held, without_limit};
use crate::plan::no_stream::refuse;
use crate::plan::panes::{PaneForm, pane_form, rows_below};
use crate::plan::prune::predicates;
use crate::plan::risks::Risk;
use crate::plan::rules::{operators_of, rules};
use crate::plan::session::TableScanned;
use crate::plan::unseen_order::is_ordered;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Union, col};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A planned query with the name of its output.
#[derive(Debug, Clone)]
pub struct QueryPlan {
    pub name: String,
    pub plan: LogicalPlan,
    /// Per column, what to call it instead of the planner's name; empty when nothing is known.
    pub titles: Vec<Option<String>>,
    /// `IDLE TIMEOUT`, in nanoseconds; `None` leaves it to the setting.
    pub idle_timeout_ns: Option<i64>,
    /// What of its text may fail on some row.
    pub risks: Vec<Risk>,
}

impl QueryPlan {
    pub fn new(name: String, plan: LogicalPlan) -> Self {
        QueryPlan {
            name,
            plan,
            titles: Vec::new(),
            idle_timeout_ns: None,
            risks: Vec::new(),
        }
    }

    /// The columns of the result as its reader sees them.
    pub fn schema(&self) -> SchemaRef {
        let planned = self.plan.schema().fields();
        let titled = planned.len() == self.titles.len();
        let mut names: Vec<String> = Vec::with_capacity(planned.len());
        let mut fields = Vec::with_capacity(planned.len());
        for (at, field) in planned.iter().enumerate() {
            let title = self.titles.get(at).filter(|_| titled).and_then(Option::as_ref);
            let title = title.unwrap_or(field.name());
            // Two tables of a join may have a column of one name.
            let again = (1..).map(|n| format!("{title}_{n}"));
            let mut free = std::iter::once(title.clone()).chain(again);
            let name = free.find(|name| !names.contains(name)).unwrap_or_default();
            fields.push(field.as_ref().clone().with_name(&name));
            names.push(name);
        }
        Arc::new(Schema::new(fields))
    }
}

/// Compiles the queries of one program, which share the scans of their sources.
///
/// Errors: a [`Refusal`] for what has no streaming form over unbounded input.
pub fn compile(queries: &[QueryPlan]) -> Result<Graph> {
    let mut used = UsedColumns::default();
    let mut timed = false;
    for query in queries {
        used.add(&query.plan)?;
        timed |= has_windows(&query.plan, |window| !window.arrival);
    }
    let mut builder = Builder {
        graph: Graph {
            nodes: Vec::new(),
            sources: Vec::new(),
            outputs: Vec::new(),
        },
        predicates: predicates(queries)?,
        used,
        timed,
        source_ids: BTreeMap::new(),
        windows: Vec::new(),
    };
    for query in queries {
        builder.query(query)?;
    }
    Ok(builder.graph)
}

struct Builder {
    graph: Graph,
    used: UsedColumns,
    predicates: BTreeMap<String, Expr>,
    /// Some operator of the program uses time.
    timed: bool,
    source_ids: BTreeMap<String, NodeId>,
    /// Window aggregates of the query that is compiled: one that stands in it twice runs once.
    windows: Vec<(Aggregate, NodeId)>,
}

impl Builder {
    fn query(&mut self, query: &QueryPlan) -> Result<()> {
        let output = self.graph.outputs.len();
        self.windows.clear();
        let (plan, skip, fetch) = without_limit(&query.plan)?;
        let plan = with_sorts_held(plan)?;
        let Facts { class, tags, .. } = facts(&plan);
        let tables = stream_tables(&plan);
        let bounded = tables.iter().all(|(_, bounded)| *bounded);
        let mut notes = Vec::new();
        if has_windows(&plan, |window| window.arrival) {
            notes.push(
                "windows of arrival time: another run cuts the stream at other moments, and has another answer".into(),
            );
        }
        // Above what is shown later than its rows are read, `now()` is a stage of its own.
        let at_once = class == Class::Stream && !shown_by_session(&plan);
        let (shown, below) = match !at_once && shows_clock(&plan) {
            true => cut_off(&plan).map(|(top, below)| (Some(top), below))?,
            false => (None, plan.clone()),
        };
        let nodes = match class {
            Class::Stream if at_once => self.stages(&plan)?,
            Class::Stream => vec![self.window_rows(&below, output)?],
            Class::Closed => vec![self.closed(&below, output)?],
            Class::Static if bounded => vec![self.batch(&below, output)?],
            // Nothing but a subquery reads the stream.
            Class::Static => return Err(refuse("a subquery as a value", &plan, &tables).into()),
            Class::Batch(reason) => match parts(&below)? {
                Some(parts) => self.beside(&parts, output)?,
                None if bounded => {
                    notes.push(format!(
                        "runs once, as a batch, when its input has ended: {reason} has no streaming form yet"
                    ));
                    vec![self.batch(&below, output)?]
                }
                None => return Err(refuse(&reason, &plan, &tables).into()),
            },
        };
        let nodes = match &shown {
            Some(top) => self.stages_over(&nodes, top, &plan)?,
            None => nodes,
        };
        let order_by = tags.iter().position(|t| matches!(t, Tag::WindowEnd(..)));
        let order_by = order_by.or(tags.iter().position(names_window));
        let sorted = is_ordered(&below);
        self.graph.outputs.push(Output {
            name: query.name.clone(),
            nodes,
            schema: query.schema(),
            skip,
            fetch,
            order_by: order_by.filter(|_| class_is_closed(&plan) && !sorted),
            bounded: bounded || fetch.is_some(),
            idle_timeout_ns: query.idle_timeout_ns,
            notes,
        });
        Ok(())
    }

    fn add(&mut self, label: String, inputs: Vec<NodeId>, op: Op, schema: &LogicalPlan) -> NodeId {
        let schema = Arc::new(schema.schema().as_arrow().clone());
        let id = self.graph.nodes.len();
        let (lineage, watermark, state) = rules(&op);
        self.graph.nodes.push(Node {
            id,
            label,
            inputs,
            op,
            schema,
            lineage,
            watermark,
            state,
        });
        id
    }

    /// The source node of a scan; one for all queries.
    fn source(&mut self, table: &TableScanned) -> Result<NodeId> {
        if let Some(id) = self.source_ids.get(&table.spec.name) {
            return Ok(*id);
        }
        let event_time = if self.reads_time(table) {
            event_time(&table.spec)
        } else {
            None
        };
        let columns = self.used_columns(table);
        let id = self.graph.nodes.len();
        let physical = table.spec.physical_schema();
        let schema = Arc::new(physical.project(&columns)?);
        let op = Op::Source(SourceNode {
            table: Arc::clone(&table.spec),
            columns,
            event_time,
            bounded: table.bounded,
            placed: self.used.placed.contains(&table.spec.name),
            predicate: self.predicates.get(&table.spec.name).cloned(),
        });
        let (lineage, watermark, state) = rules(&op);
        let label = format!("Source {}", table.spec.name);
        self.graph.nodes.push(Node {
            id,
            label,
            inputs: Vec::new(),
            op,
            schema,
            lineage,
            watermark,
            state,
        });
        self.graph.sources.push(id);
        self.source_ids.insert(table.spec.name.clone(), id);
        Ok(id)
    }

    /// Some operator uses time, or rows of the future are to be found.
    fn reads_time(&self, table: &TableScanned) -> bool {
        self.timed || table.spec.options.contains_key("max_future_skew")
    }

    /// Used physical columns of a table; with time in the program, those of its event time as well.
    fn used_columns(&self, table: &TableScanned) -> Vec<usize> {
        if self.timed && !table.replayable {
            // Rows that turn out late are shown whole, and cannot be read again.
            return (0..table.spec.physical_schema().fields().len()).collect();
        }
        let mut used = self.used.columns.get(&table.spec.name).cloned().unwrap_or_default();
        used.extend(table.spec.judged_by());
        if self.reads_time(table)
            && let Some(watermark) = table.spec.watermark
        {
            used.extend(physical_columns(table, watermark.column));
        }
        used.into_iter().collect()
    }

    /// A chain over one stream: its scan replaced by the interval's input, static tables by their rows.
    fn chain(&mut self, branch: &LogicalPlan) -> Result<(LogicalPlan, NodeId)> {
        let mut source = None;
        let replaced = branch.clone().transform_up(|node| {
            let LogicalPlan::TableScan(scan) = &node else {
                return Ok(Transformed::no(node));
            };
            let Some(table) = scan.source.downcast_ref::<TableScanned>() else {
                return Ok(Transformed::no(node));
            };
            if table.spec.is_static {
                return Ok(Transformed::yes(static_input(scan, table)));
            }
            source = Some(self.source(table)?);
            let used = self.used_columns(table);
            Ok(Transformed::yes(source_input(scan, table, &used, 0)?))
        })?;
        match source {
            Some(source) => Ok((replaced.data, source)),
            None => internal_err!("a stream without a source"),
        }
    }

    /// One stage per branch of a stateless plan.
    fn stages(&mut self, plan: &LogicalPlan) -> Result<Vec<NodeId>> {
        let mut ids = Vec::new();
        for branch in branches(plan)? {
            let (chain, source) = self.chain(&branch)?;
            let chain = with_clock(chain)?;
            let label = format!("Stage {}", operators_of(&branch));
            ids.push(self.add(label, vec![source], Op::Stage(StageNode { plan: chain }), &branch));
        }
        Ok(ids)
    }

    /// What gives the parts of a UNION ALL.
    fn beside(&mut self, parts: &[Part], output: usize) -> Result<Vec<NodeId>> {
        let mut ids = Vec::new();
        for part in parts {
            match part {
                Part::Rows(plan) => ids.extend(self.stages(plan)?),
                Part::WindowRows(plan) => ids.push(self.window_rows(plan, output)?),
                Part::Closed(plan) => ids.push(self.closed(plan, output)?),
                Part::Fixed(plan) => ids.push(self.batch(plan, output)?),
            }
        }
        Ok(ids)
    }

    /// A stage over each of some nodes: `top` is its chain, `plan` what it gives.
    fn stages_over(&mut self, nodes: &[NodeId], top: &LogicalPlan, plan: &LogicalPlan) -> Result<Vec<NodeId>> {
        let chain = with_clock(top.clone())?;
        let label = format!("Stage {}", operators_of(top));
        let op = Op::Stage(StageNode { plan: chain });
        let over = |id: &NodeId| self.add(label.clone(), vec![*id], op.clone(), plan);
        Ok(nodes.iter().map(over).collect())
    }

    /// A plan over windows: what has closed goes through a stage, or through a batch per closed window; rows that are
    /// shown as they are come as their windows close.
    fn closed(&mut self, plan: &LogicalPlan, output: usize) -> Result<NodeId> {
        if facts(plan).assigned {
            return self.window_rows(plan, output);
        }
        if let Some(aggregate) = aggregate_below(plan)
            && let Some(form) = windowed_form(aggregate)?
        {
            let windows = self.window_aggregate(aggregate, form, output)?;
            let LogicalPlan::Aggregate(_) = plan else {
                let chain = replace_leaf(plan, aggregate)?;
                let label = format!("Stage {}", operators_of(&chain));
                return Ok(self.add(label, vec![windows], Op::Stage(StageNode { plan: chain }), plan));
            };
            return Ok(windows);
        }
        let mut leaves = Leaves {
            builder: self,
            output,
            inputs: Vec::new(),
            keys: Vec::new(),
            at_end: false,
        };
        let batch = leaves.replace(plan)?;
        let (inputs, keys) = (leaves.inputs, leaves.keys);
        let label = format!("Closed windows {}", operators_of(&batch));
        let op = Op::Closed(ClosedNode {
            ordered: is_ordered(&batch),
            plan: batch,
            closes: Closes::PerWindow(keys),
        });
        Ok(self.add(label, inputs, op, plan))
    }

    /// A plan that runs once, when its inputs have ended.
    fn batch(&mut self, plan: &LogicalPlan, output: usize) -> Result<NodeId> {
        let mut leaves = Leaves {
            builder: self,
            output,
            inputs: Vec::new(),
            keys: Vec::new(),
            at_end: true,
        };
        let batch = leaves.replace(plan)?;
        let inputs = leaves.inputs;
        if let (LogicalPlan::Extension(leaf), [input]) = (&batch, &inputs[..])
            && leaf.node.as_any().is::<InputNode>()
        {
            return Ok(*input);
        }
        let label = format!("Batch {}", operators_of(&batch));
        Ok(self.add(
            label,
            inputs,
            Op::Closed(ClosedNode {
                ordered: is_ordered(&batch),
                plan: batch,
                closes: Closes::AtEnd,
            }),
            plan,
        ))
    }

    /// Panes (one node per branch) and the windows over them.
    fn window_aggregate(&mut self, aggregate: &Aggregate, form: PaneForm, output: usize) -> Result<NodeId> {
        if let Some((_, id)) = self.windows.iter().find(|(known, _)| known == aggregate) {
            return Ok(*id);
        }
        let (window, name) = windowing(&aggregate.input)?;
        let aggregation = match find_window(&aggregate.input) {
            Some(node) if node.inverse => with_inverse(form.aggregation)?,
            _ => form.aggregation,
        };
        let aggregation = Arc::new(aggregation);
        let mut inputs = Vec::new();
        for branch in branches(&form.rows)? {
            inputs.push(self.panes(&branch, window, Some(Arc::clone(&aggregation)), output)?);
        }
        let plan = LogicalPlan::Aggregate(aggregate.clone());
        let id = self.add(name, inputs, Op::Windows(WindowsNode { window, aggregation }), &plan);
        self.windows.push((aggregate.clone(), id));
        Ok(id)
    }

    fn panes(
        &mut self,
        branch: &LogicalPlan,
        window: Windowing,
        aggregation: Option<Arc<Aggregation>>,
        output: usize,
    ) -> Result<NodeId> {
        let below = facts(branch);
        if below.class == Class::Closed || below.assigned {
            return self.panes_over_windows(branch, window, aggregation, output);
        }
        let (rows, source) = self.chain(branch)?;
        let judged = match window.spec {
            WindowSpec::Forever => None,
            _ if window.arrival => None,
            _ => match with_hidden(&rows)? {
                Some(judged) => Some(with_clock(judged)?),
                None => return Err(Refusal::new("not_yet", "this operator below a window is not built yet").into()),
            },
        };
        let what = if aggregation.is_some() {
            "partial aggregation, exchange by key"
        } else {
            "rows"
        };
        let label = format!("Panes {what}");
        let rows = with_clock(rows)?;
        let op = Op::Panes(PanesNode {
            rows,
            judged,
            window,
            aggregation,
            source,
            output,
        });
        Ok(self.add(label, vec![source], op, branch))
    }

    /// Panes of what other windows have given: rows that are never late.
    fn panes_over_windows(
        &mut self,
        branch: &LogicalPlan,
        window: Windowing,
        aggregation: Option<Arc<Aggregation>>,
        output: usize,
    ) -> Result<NodeId> {
        let inner = self.closed(branch, output)?;
        let columns = (0..branch.schema().fields().len()).collect();
        let op = Op::Panes(PanesNode {
            rows: InputNode::plan(0, columns, Arc::clone(branch.schema())),
            judged: None,
            window,
            aggregation,
            source: inner,
            output,
        });
        Ok(self.add("Panes over windows".to_string(), vec![inner], op, branch))
    }

    /// Windows whose rows are kept: `plan` is a stateless chain over one window function.
    fn window_rows(&mut self, plan: &LogicalPlan, output: usize) -> Result<NodeId> {
        let Some(node) = find_window(plan) else {
            return internal_err!("a windowed relation without a window function");
        };
        let (window, name) = windowing(plan)?;
        let mut inputs = Vec::new();
        for branch in branches(&rows_below(node)?)? {
            inputs.push(self.panes(&branch, window, None, output)?);
        }
        let width = node.schema.fields().len();
        let leaf = InputNode::plan(0, (0..width).collect(), Arc::clone(&node.schema));
        let finish = with_static(replace_window(plan, &leaf)?)?;
        let time_type = node.schema.field(width - 1).data_type().clone();
        let index = |key: &Expr| match key {
            Expr::Column(column) => node.input.schema().maybe_index_of_column(column),
            _ => None,
        };
        let partition = node.partition.iter().filter_map(index).collect();
        Ok(self.add(
            format!("{name}, rows"),
            inputs,
            Op::WindowRows(WindowRowsNode {
                window,
                partition,
                finish,
                time_type,
            }),
            plan,
        ))
    }
}

/// Replaces the largest parts of a plan that can run by themselves with inputs of the batch above them.
struct Leaves<'a> {
    builder: &'a mut Builder,
    output: usize,
    inputs: Vec<NodeId>,
    keys: Vec<WindowKey>,
    at_end: bool,
}

impl Leaves<'_> {
    fn replace(&mut self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        let replaced = plan
            .clone()
            .transform_down_with_subqueries(|node| match self.leaf(&node)? {
                Some(leaf) => Ok(Transformed::new(leaf, true, TreeNodeRecursion::Jump)),
                None => Ok(Transformed::no(node)),
            })?;
        with_static(replaced.data)
    }

    fn leaf(&mut self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        let facts = facts(plan);
        let ids = match (&facts.class, plan) {
            (Class::Stream, _) if self.at_end && !shown_by_session(plan) => self.builder.stages(plan)?,
            (Class::Stream, _) if facts.assigned => vec![self.builder.window_rows(plan, self.output)?],
            (Class::Closed, _) if self.at_end => vec![self.builder.closed(plan, self.output)?],
            (Class::Closed, LogicalPlan::Aggregate(aggregate)) => match windowed_form(aggregate)? {
                Some(form) => vec![self.builder.window_aggregate(aggregate, form, self.output)?],
                None => return Ok(None),
            },
            (Class::Closed, _) if facts.assigned => vec![self.builder.window_rows(plan, self.output)?],
            (Class::Batch(_), LogicalPlan::Aggregate(aggregate)) if self.at_end => {
                match crate::plan::facts::facts(&aggregate.input).class {
                    Class::Stream if find_window(&aggregate.input).is_none() => match pane_form(aggregate)? {
                        Some(form) => vec![self.builder.window_aggregate(aggregate, form, self.output)?],
                        None => return Ok(None),
                    },
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        let width = plan.schema().fields().len();
        let mut inputs = Vec::new();
        for id in ids {
            if !self.at_end {
                self.keys.push(window_key(&facts.tags)?);
            }
            let leaf = InputNode::plan(self.inputs.len(), (0..width).collect(), Arc::clone(plan.schema()));
            inputs.push(Arc::new(leaf));
            self.inputs.push(id);
        }
        Ok(Some(match inputs.len() {
            1 => inputs.remove(0).as_ref().clone(),
            _ => LogicalPlan::Union(Union {
                inputs,
                schema: Arc::clone(plan.schema()),
            }),
        }))
    }
}

fn class_is_closed(plan: &LogicalPlan) -> bool {
    facts(plan).class == Class::Closed
}

/// The aggregate right below filters and projections, if nothing else lies between.
fn aggregate_below(plan: &LogicalPlan) -> Option<&Aggregate> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => Some(aggregate),
        LogicalPlan::Projection(p) => aggregate_below(&p.input),
        LogicalPlan::Filter(f) => aggregate_below(&f.input),
        LogicalPlan::SubqueryAlias(s) => aggregate_below(&s.input),
        _ => None,
    }
}

/// The pane form of an aggregate over windowed (not yet aggregated) rows.
fn windowed_form(aggregate: &Aggregate) -> Result<Option<PaneForm>> {
    let input = facts(&aggregate.input);
    match matches!(input.class, Class::Stream | Class::Closed) && input.assigned {
        true => pane_form(aggregate),
        false => Ok(None),
    }
}

fn replace_leaf(plan: &LogicalPlan, aggregate: &Aggregate) -> Result<LogicalPlan> {
    let width = aggregate.schema.fields().len();
    let leaf = InputNode::plan(0, (0..width).collect(), Arc::clone(&aggregate.schema));
    let replaced = plan.clone().transform_down(|node| match node {
        LogicalPlan::Aggregate(_) => Ok(Transformed::new(leaf.clone(), true, TreeNodeRecursion::Jump)),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

fn with_static(plan: LogicalPlan) -> Result<LogicalPlan> {
    let replaced = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = &node else {
            return Ok(Transformed::no(node));
        };
        match scan.source.downcast_ref::<TableScanned>() {
            Some(table) if table.spec.is_static => Ok(Transformed::yes(static_input(scan, table))),
            _ => Ok(Transformed::no(node)),
        }
    })?;
    Ok(replaced.data)
}

/// The window function of a plan and its name; a plain GROUP BY has the window over everything.
fn windowing(plan: &LogicalPlan) -> Result<(Windowing, String)> {
    Ok(match find_window(plan) {
        Some(node) => {
            let window = Windowing {
                spec: node.window,
                unit: node.unit,
                lateness_ns: 0,
                arrival: node.arrival,
            };
            (window, format!("Window {}", node.label))
        }
        None => {
            let window = Windowing {
                spec: WindowSpec::Forever,
                unit: TimeUnit::Nanosecond,
                lateness_ns: 0,
                arrival: false,
            };
            (window, "Aggregate until the end of the input".to_string())
        }
    })
}

fn window_key(tags: &[Tag]) -> Result<WindowKey> {
    let end = tags.iter().enumerate().find_map(|(column, tag)| match tag {
        Tag::WindowEnd(_, unit) => Some(WindowKey {
            column,
            from_start: None,
            unit: *unit,
        }),
        _ => None,
    });
    let start = || {
        tags.iter().enumerate().find_map(|(column, tag)| match tag {
            Tag::WindowStart(spec, unit) if spec.start_tells() => Some(WindowKey {
                column,
                from_start: Some(*spec),
                unit: *unit,
            }),
            _ => None,
        })
    };
    match end.or_else(start) {
        Some(key) => Ok(key),
        None => internal_err!("a windowed relation without a window column"),
    }
}

/// The event time of a table as an expression over its physical columns.
fn event_time(table: &TableSpec) -> Option<EventTime> {
    let watermark = table.watermark?;
    let column = &table.columns[watermark.column];
    let DataType::Timestamp(unit, _) = column.data_type else {
        return None;
    };
    let expr = column
        .computed
        .clone()
        .unwrap_or_else(|| col(datafusion::common::Column::new_unqualified(&column.name)));
    Some(EventTime {
        column: column.name.clone(),
        expr,
        unit,
        delay_ns: watermark.delay_ns,
    })
}
