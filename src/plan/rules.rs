//! What is said of each node of a graph: its lineage rule, its watermark rule, its state, and its name for people.

use crate::dstream::graph::{Closes, LineageRule, Op, WatermarkRule, Windowing};
use crate::dstream::nodes::StaticNode;
use crate::dstream::window::WindowSpec;
use crate::plan::widths::size_in_words;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;

/// How a lost batch of a node is made again, what watermark it passes on, and what it keeps, in words.
pub fn rules(op: &Op) -> (LineageRule, WatermarkRule, String) {
    let (lineage, watermark, state) = own_rules(op);
    let plan = match op {
        Op::Stage(stage) => &stage.plan,
        Op::Panes(panes) => &panes.rows,
        Op::Closed(closed) => &closed.plan,
        Op::Source(_) | Op::Windows(_) | Op::WindowRows(_) => return (lineage, watermark, state),
    };
    let read = match tables_of(plan) {
        tables if tables.is_empty() => return (lineage, watermark, state),
        tables => format!("{}, read once", tables.join(", ")),
    };
    let state = match state == NO_STATE {
        true => read,
        false => format!("{state}; {read}"),
    };
    (lineage, watermark, state)
}

/// The tables that do not change, by name.
fn tables_of(plan: &LogicalPlan) -> Vec<String> {
    let mut names = Vec::new();
    // Looking at nodes does not fail.
    let _ = plan.apply(|node| {
        if let LogicalPlan::Extension(extension) = node
            && let Some(table) = extension.node.as_any().downcast_ref::<StaticNode>()
        {
            let name = format!("`{}`", table.table.name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    names
}

const NO_STATE: &str = "none";

fn own_rules(op: &Op) -> (LineageRule, WatermarkRule, String) {
    let none = || NO_STATE.to_string();
    match op {
        Op::Source(_) => (
            LineageRule::Ranges,
            WatermarkRule::Splits,
            "the position and watermark of each split".into(),
        ),
        Op::Panes(panes) if panes.window.arrival => (LineageRule::SamePartition, WatermarkRule::Clock, none()),
        Op::Stage(_) | Op::Panes(_) => (LineageRule::SamePartition, WatermarkRule::Inputs, none()),
        Op::Windows(w) if w.window.spec == WindowSpec::Forever => (
            LineageRule::Fold,
            WatermarkRule::AtEnd,
            "one group per key, until the end of the input".into(),
        ),
        Op::Windows(w) => (
            LineageRule::Fold,
            WatermarkRule::Inputs,
            bounded_by_watermark(
                match w.window.spec {
                    WindowSpec::Session { .. } => "open sessions",
                    _ => "open panes",
                },
                w.window,
            ),
        ),
        Op::WindowRows(w) => (
            LineageRule::Fold,
            WatermarkRule::Inputs,
            bounded_by_watermark("the rows of open panes", w.window),
        ),
        Op::Closed(c) if c.closes == Closes::AtEnd => (
            LineageRule::Fold,
            WatermarkRule::AtEnd,
            "every row, until the end of the input".into(),
        ),
        Op::Closed(_) => (
            LineageRule::Fold,
            WatermarkRule::Inputs,
            "windows closed on some inputs; bounded by the slowest".into(),
        ),
    }
}

fn bounded_by_watermark(what: &str, window: Windowing) -> String {
    let width = size_in_words(window.spec, window.unit);
    let by = if window.arrival { "clock" } else { "watermark" };
    format!("{what}; bounded by the {by} (a window of {width})")
}

/// The operators of a stateless chain from the bottom up, for people.
pub fn operators_of(plan: &LogicalPlan) -> String {
    let mut names = Vec::new();
    let walked = plan.apply(|node| {
        let name = match node {
            LogicalPlan::Projection(_) => "project",
            LogicalPlan::Filter(_) => "filter",
            LogicalPlan::Unnest(_) => "unnest",
            LogicalPlan::Join(_) => "join",
            LogicalPlan::Aggregate(_) => "aggregate",
            LogicalPlan::Window(_) => "over",
            LogicalPlan::Sort(_) => "sort",
            LogicalPlan::Distinct(_) => "distinct",
            LogicalPlan::Union(_) => "union",
            LogicalPlan::Limit(_) => "limit",
            LogicalPlan::Extension(e) if e.node.name() == "Window" => "window",
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        names.push(name);
        Ok(TreeNodeRecursion::Continue)
    });
    names.reverse();
    names.dedup();
    match walked {
        Ok(_) if !names.is_empty() => names.join(", "),
        _ => "pass".to_string(),
    }
}
