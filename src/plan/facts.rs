//! What is known of a relation: how it can run, which columns are time, which belong to a window.

use crate::dstream::nodes::WindowNode;
use crate::dstream::window::WindowSpec;
use crate::plan::chance::is_arrival;
use crate::plan::session::TableScanned;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::utils::{enumerate_grouping_sets, grouping_set_to_exprlist};
use datafusion::logical_expr::{Aggregate, Distinct, Expr, Join, LogicalPlan};

/// What a column is, as far as time is concerned. Only a column passed on unchanged keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    Plain,
    EventTime,
    /// The time at which the row arrived: the recorded clock of its interval.
    Arrival,
    WindowStart(WindowSpec, TimeUnit),
    WindowEnd(WindowSpec, TimeUnit),
    WindowTime,
    /// The k-th key of a session window: rows that are equal in all of them share sessions.
    SessionKey(usize),
}

/// How a relation can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Does not change.
    Static,
    /// Row by row: stateless over one or more sources.
    Stream,
    /// Window by window, as windows close.
    Closed,
    /// Not before the input has ended; the reason is a noun: "GROUP BY without a window".
    Batch(String),
}

#[derive(Debug, Clone)]
pub struct Facts {
    pub class: Class,
    /// One per column.
    pub tags: Vec<Tag>,
    /// Windows were assigned and not aggregated yet: the rows can be kept until their window closes.
    pub assigned: bool,
}

/// Derives the facts of a plan, bottom up.
pub fn facts(plan: &LogicalPlan) -> Facts {
    let width = plan.schema().fields().len();
    let plain = |class: Class| Facts {
        class,
        tags: vec![Tag::Plain; width],
        assigned: false,
    };
    match plan {
        LogicalPlan::TableScan(scan) => scan_facts(scan),
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => plain(Class::Static),
        LogicalPlan::SubqueryAlias(alias) => facts(&alias.input),
        LogicalPlan::Projection(projection) => {
            let input = facts(&projection.input);
            let tags = projection
                .expr
                .iter()
                .map(|e| tag_of(e, &projection.input, &input.tags))
                .collect();
            with_subqueries(plan, Facts { tags, ..input })
        }
        LogicalPlan::Filter(filter) => with_subqueries(plan, facts(&filter.input)),
        LogicalPlan::Unnest(unnest) => {
            let input = facts(&unnest.input);
            let at = |i: &usize| input.tags.get(*i).copied().unwrap_or(Tag::Plain);
            let tags = match unnest.dependency_indices.len() == width {
                true => unnest.dependency_indices.iter().map(at).collect(),
                false => vec![Tag::Plain; width],
            };
            Facts { tags, ..input }
        }
        LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<WindowNode>() {
            Some(window) => window_facts(window),
            None => plain(Class::Batch("this operator".into())),
        },
        LogicalPlan::Union(union) => union_facts(&union.inputs.iter().map(|p| facts(p)).collect::<Vec<_>>(), width),
        LogicalPlan::Aggregate(aggregate) => {
            let input = facts(&aggregate.input);
            let mut tags: Vec<Tag> = aggregate
                .group_expr
                .iter()
                .map(|e| tag_of(e, &aggregate.input, &input.tags))
                .collect();
            let sets = aggregate.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_)));
            if sets {
                tags = tags_of_sets(aggregate, &input.tags);
            }
            tags.resize(width, Tag::Plain);
            // The optimiser has made DISTINCT a GROUP BY of all columns by now.
            let what = match (
                &aggregate.group_expr[..],
                &aggregate.aggr_expr[..],
                aggregate.input.as_ref(),
            ) {
                ([], _, _) => "an aggregate",
                (_, [], LogicalPlan::Union(_)) => "UNION (without ALL)",
                (_, [], _) => "DISTINCT (or GROUP BY)",
                _ => "GROUP BY",
            };
            keyed(input, tags, true, what)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let input = facts(input);
            let tags = input.tags.clone();
            keyed(input, tags, true, "DISTINCT")
        }
        LogicalPlan::Distinct(_) => plain(batch_over(plan, "DISTINCT ON")),
        LogicalPlan::Window(window) => over_facts(window, width),
        LogicalPlan::Join(join) => join_facts(join, width),
        LogicalPlan::Sort(sort) => {
            let input = facts(&sort.input);
            let first = sort.expr.first().map(|s| tag_of(&s.expr, &sort.input, &input.tags));
            let by_window = first.is_some_and(|t| names_window(&t)) && sort.expr.first().is_some_and(|s| s.asc);
            let tags = input.tags.clone();
            let what = if sort.fetch.is_some() {
                "ORDER BY … LIMIT"
            } else {
                "ORDER BY"
            };
            keyed(input, tags, by_window && sort.fetch.is_none(), what)
        }
        LogicalPlan::Limit(limit) => Facts {
            tags: facts(&limit.input).tags,
            ..plain(batch_over(plan, "LIMIT inside a query"))
        },
        LogicalPlan::Subquery(_) => plain(Class::Batch(SUBQUERY.into())),
        LogicalPlan::RecursiveQuery(_) => plain(Class::Batch("WITH RECURSIVE".into())),
        _ => plain(Class::Batch("this statement".into())),
    }
}

/// The tags of the keys of grouping sets: those of a column that is in every set, since it is NULL for the others.
fn tags_of_sets(aggregate: &Aggregate, tags: &[Tag]) -> Vec<Tag> {
    let Ok(keys) = grouping_set_to_exprlist(&aggregate.group_expr) else {
        return Vec::new();
    };
    let sets = enumerate_grouping_sets(aggregate.group_expr.clone()).unwrap_or_default();
    let everywhere = |key: &Expr| match &sets[..] {
        [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => sets.iter().all(|set| set.contains(key)),
        _ => false,
    };
    let tag = |key: &&Expr| match everywhere(key) {
        true => tag_of(key, &aggregate.input, tags),
        false => Tag::Plain,
    };
    keys.iter().map(tag).collect()
}

fn scan_facts(scan: &datafusion::logical_expr::TableScan) -> Facts {
    let width = scan.projected_schema.fields().len();
    let Some(table) = scan.source.downcast_ref::<TableScanned>() else {
        return Facts {
            class: Class::Batch("this table".into()),
            tags: vec![Tag::Plain; width],
            assigned: false,
        };
    };
    let class = if table.spec.is_static {
        Class::Static
    } else {
        Class::Stream
    };
    let column = |i: usize| scan.projection.as_ref().map_or(i, |p| p[i]);
    let time = table.spec.watermark.map(|w| w.column);
    let computed = |i| table.spec.columns.get(column(i)).and_then(|c| c.computed.as_ref());
    let tag = |i| match computed(i) {
        _ if time == Some(column(i)) => Tag::EventTime,
        Some(expr) if is_arrival(expr) => Tag::Arrival,
        _ => Tag::Plain,
    };
    Facts {
        class,
        tags: (0..width).map(tag).collect(),
        assigned: false,
    }
}

fn window_facts(window: &WindowNode) -> Facts {
    let input = facts(&window.input);
    let over_windows = input.assigned || input.class == Class::Closed;
    // Rows above windows come as their windows close, and `window_time` is their event time. The columns of windows below
    // are plain values from here on.
    let plain = |t: Tag| match over_windows || matches!(t, Tag::EventTime | Tag::Arrival) {
        true => Tag::Plain,
        false => t,
    };
    let mut tags: Vec<Tag> = input.tags.into_iter().map(plain).collect();
    for (number, key) in window.partition.iter().enumerate() {
        if let Expr::Column(column) = key
            && let Some(index) = window.input.schema().maybe_index_of_column(column)
        {
            tags[index] = Tag::SessionKey(number);
        }
    }
    tags.push(Tag::WindowStart(window.window, window.unit));
    tags.push(Tag::WindowEnd(window.window, window.unit));
    tags.push(Tag::WindowTime);
    let class = match input.class {
        Class::Stream if !input.assigned => Class::Stream,
        Class::Stream | Class::Closed => Class::Closed,
        other => other,
    };
    Facts {
        class,
        tags,
        assigned: true,
    }
}

/// An operator that runs per window when one of its keys names the window.
fn keyed(input: Facts, tags: Vec<Tag>, can: bool, what: &str) -> Facts {
    let windowed = input.class == Class::Closed || (input.class == Class::Stream && input.assigned);
    let class = match input.class {
        Class::Static => Class::Static,
        Class::Batch(reason) => Class::Batch(reason),
        _ if windowed && can && tags.iter().any(names_window) => Class::Closed,
        _ => Class::Batch(format!("{what} without a window")),
    };
    Facts {
        class,
        tags,
        assigned: false,
    }
}

fn over_facts(window: &datafusion::logical_expr::Window, width: usize) -> Facts {
    let input = facts(&window.input);
    let mut tags = input.tags.clone();
    tags.resize(width, Tag::Plain);
    let per_window = |e: &Expr| match e.clone().unalias() {
        Expr::WindowFunction(function) => {
            let keys = &function.params.partition_by;
            keys.iter()
                .any(|k| names_window(&tag_of(k, &window.input, &input.tags)))
        }
        _ => false,
    };
    let all = window.window_expr.iter().all(per_window);
    let tags_kept = if all { tags } else { vec![Tag::Plain; width] };
    keyed(input, tags_kept, all, "OVER")
}

fn join_facts(join: &Join, width: usize) -> Facts {
    let (left, right) = (facts(&join.left), facts(&join.right));
    let (left, right) = (beside(left.clone(), &right), beside(right, &left));
    let tags = match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti => left.tags.clone(),
        JoinType::RightSemi | JoinType::RightAnti => right.tags.clone(),
        _ => [left.tags.clone(), right.tags.clone()].concat(),
    };
    let tags = if tags.len() == width {
        tags
    } else {
        vec![Tag::Plain; width]
    };
    let assigned = left.assigned || right.assigned;
    let class = match (left.class.clone(), right.class.clone()) {
        (Class::Static, Class::Static) => Class::Static,
        (Class::Batch(reason), _) | (_, Class::Batch(reason)) => Class::Batch(reason),
        (Class::Static, _) if reads_query(&join.left) => Class::Batch(SUBQUERY.into()),
        (_, Class::Static) if reads_query(&join.right) => Class::Batch(SUBQUERY.into()),
        (stream, Class::Static) if keeps_left(join.join_type) => stream,
        (Class::Static, stream) if keeps_right(join.join_type) => stream,
        (Class::Static, _) | (_, Class::Static) => Class::Batch("an outer join that keeps the static table".into()),
        _ if windowed(&left) && windowed(&right) && equal_windows(join, &left, &right) => Class::Closed,
        _ => Class::Batch("a join of two streams without equal windows".into()),
    };
    let assigned = assigned && class == Class::Stream;
    Facts { class, tags, assigned }
}

/// One side of a join: times and windows of a table that does not change are none of the stream's beside it.
fn beside(side: Facts, other: &Facts) -> Facts {
    match (&side.class, &other.class) {
        (Class::Static, Class::Static) => side,
        (Class::Static, _) => Facts {
            class: Class::Static,
            tags: vec![Tag::Plain; side.tags.len()],
            assigned: false,
        },
        _ => side,
    }
}

fn keeps_left(kind: JoinType) -> bool {
    matches!(
        kind,
        JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti
    )
}

fn keeps_right(kind: JoinType) -> bool {
    matches!(
        kind,
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
    )
}

fn windowed(facts: &Facts) -> bool {
    facts.class == Class::Closed || facts.assigned
}

/// `window_end = window_end`, or `window_start = window_start` for windows of one size.
fn equal_windows(join: &Join, left: &Facts, right: &Facts) -> bool {
    let equal = |(l, r): &(Expr, Expr)| {
        let pair = (tag_of(l, &join.left, &left.tags), tag_of(r, &join.right, &right.tags));
        match pair {
            (Tag::WindowEnd(_, a), Tag::WindowEnd(_, b)) => a == b,
            (Tag::WindowStart(a, u), Tag::WindowStart(b, v)) => u == v && a == b && a.start_tells(),
            _ => false,
        }
    };
    join.on.iter().any(equal)
}

/// Why the inputs of a UNION ALL do not go together as a stream.
fn union_reason(inputs: &[Facts]) -> &'static str {
    match inputs.iter().any(|f| f.class == Class::Closed || f.assigned) {
        true => "what stands above a UNION ALL of windows with something else",
        false => "what stands above a UNION ALL of a stream with rows that do not change",
    }
}

fn union_facts(inputs: &[Facts], width: usize) -> Facts {
    let column = |i: usize| {
        let first = inputs.first().map_or(Tag::Plain, |f| f.tags[i]);
        let is_time = |f: &Facts| matches!(f.tags[i], Tag::EventTime | Tag::WindowTime);
        match inputs.iter().all(|f| f.tags[i] == first) {
            true => first,
            // Rows and what windows gave are together no stream: each has its event time all the same.
            false if inputs.iter().all(is_time) => Tag::WindowTime,
            false => Tag::Plain,
        }
    };
    let tags: Vec<Tag> = (0..width).map(column).collect();
    let class = match inputs.iter().map(|f| &f.class).find(|c| matches!(c, Class::Batch(_))) {
        Some(reason) => reason.clone(),
        None if inputs.iter().all(|f| f.class == Class::Static) => Class::Static,
        None if inputs.iter().all(|f| f.class == Class::Stream && !f.assigned) => Class::Stream,
        None if inputs.iter().all(|f| f.class == Class::Closed) && tags.iter().any(names_window) => Class::Closed,
        None => Class::Batch(union_reason(inputs).into()),
    };
    Facts {
        class,
        tags,
        assigned: false,
    }
}

const SUBQUERY: &str = "a subquery as a value";

/// Whether some expression of a plan holds a query.
fn reads_query(plan: &LogicalPlan) -> bool {
    plan.exists(|node| Ok(holds_query(node))).unwrap_or(true)
}

/// A query inside an expression has no streaming form.
fn with_subqueries(plan: &LogicalPlan, facts: Facts) -> Facts {
    match holds_query(plan) {
        true if facts.class != Class::Static => Facts {
            class: Class::Batch(SUBQUERY.into()),
            ..facts
        },
        _ => facts,
    }
}

/// Whether an expression of this node holds a query.
pub fn holds_query(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let mut look = |expr: &Expr| {
        let inner = |e: &Expr| {
            found |= matches!(
                e,
                Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)
            );
            Ok(TreeNodeRecursion::Continue)
        };
        expr.apply(inner)
    };
    let walked = plan.apply_expressions(&mut look);
    found || walked.is_err()
}

fn batch_over(plan: &LogicalPlan, what: &str) -> Class {
    match plan.inputs().iter().all(|p| facts(p).class == Class::Static) {
        true => Class::Static,
        false => Class::Batch(what.to_string()),
    }
}

/// Whether a column alone tells the window of a row.
pub fn names_window(tag: &Tag) -> bool {
    match tag {
        Tag::WindowEnd(_, _) => true,
        Tag::WindowStart(spec, _) => spec.start_tells(),
        _ => false,
    }
}

/// The tag of an expression over `input`: that of the column it passes on, if it is nothing else.
pub fn tag_of(expr: &Expr, input: &LogicalPlan, tags: &[Tag]) -> Tag {
    match expr {
        Expr::Alias(alias) => tag_of(&alias.expr, input, tags),
        Expr::Column(column) => {
            let index = input.schema().maybe_index_of_column(column);
            index.and_then(|i| tags.get(i).copied()).unwrap_or(Tag::Plain)
        }
        Expr::ScalarFunction(_) if is_arrival(expr) => Tag::Arrival,
        Expr::Cast(cast) => match tag_of(&cast.expr, input, tags) {
            Tag::EventTime if loses_nothing(&cast.expr, input, cast.field.data_type()) => Tag::EventTime,
            _ => Tag::Plain,
        },
        _ => Tag::Plain,
    }
}

fn loses_nothing(expr: &Expr, input: &LogicalPlan, to: &DataType) -> bool {
    use datafusion::logical_expr::ExprSchemable;
    match (expr.get_type(input.schema()), to) {
        (Ok(DataType::Timestamp(from, a)), DataType::Timestamp(to, b)) => a == *b && *to >= from,
        _ => false,
    }
}
