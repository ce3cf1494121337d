//! Why a query over a stream without end cannot run, and what to write instead.

use crate::plan::Refusal;
use crate::plan::branch::event_time_column;
use crate::plan::facts::{Tag, facts, names_window, tag_of};
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::LogicalPlan;
use std::collections::BTreeSet;

/// The refusal of a plan for which `reason` stands; `tables` are those that it reads, and whether they end.
pub fn refuse(reason: &str, plan: &LogicalPlan, tables: &[(String, bool)]) -> Refusal {
    let mut unbounded: Vec<&str> = tables
        .iter()
        .filter(|(_, bounded)| !bounded)
        .map(|(name, _)| name.as_str())
        .collect();
    let other = unbounded.get(1).copied();
    let mut seen = BTreeSet::new();
    unbounded.retain(|name| seen.insert(*name));
    let sources = unbounded
        .iter()
        .map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ");
    // It is told at the first name that it quotes.
    let quoted = match reason.strip_prefix("LIMIT") {
        Some(rest) => format!("`LIMIT`{rest}"),
        None => reason.to_string(),
    };
    let message = format!("{quoted} over the unbounded {sources} has no streaming form yet");
    let table = unbounded.first().unwrap_or(&"t");
    let time = event_time_column(plan, table).unwrap_or_else(|| "ts".to_string());
    let example = format!("FROM TUMBLE({table}, {time}, INTERVAL '10' SECOND) GROUP BY window_start, window_end, …");
    let refusal = Refusal::new("no_streaming_form", message);
    match other {
        Some(other) if reason.starts_with("a join") => refusal.help(format!(
            "join windows of both:  FROM TUMBLE({table}, …) a JOIN TUMBLE({other}, …) b \
             ON a.window_start = b.window_start AND a.window_end = b.window_end AND …"
        )),
        _ if reason.starts_with("LIMIT") => refusal
            .help("put LIMIT at the end of the whole query, which it ends")
            .help(format!("or take the first rows of every window:  {example}")),
        _ if reason.starts_with("a subquery") => {
            refusal.help("compare with a table that does not change (CREATE EXTERNAL TABLE), or join windows")
        }
        _ if reason.starts_with("an outer join") => {
            refusal.help("put the stream on the side that is kept:  FROM stream LEFT JOIN table ON …")
        }
        _ if reason.contains("UNION ALL") => refusal
            .help("UNION ALL of them can be a whole query, with a projection and a condition at most")
            .help("or INSERT them into one table by two queries, and read that table"),
        _ if begins_alone(plan) => {
            refusal.help("add window_end to GROUP BY: windows of CUMULATE and SESSION that begin together end apart")
        }
        _ => refusal.help(format!("group it by windows:  {example}")),
    }
}

/// Whether something is grouped by the beginning of a window that does not tell its end.
fn begins_alone(plan: &LogicalPlan) -> bool {
    plan.exists(|node| {
        let LogicalPlan::Aggregate(aggregate) = node else {
            return Ok(false);
        };
        let tags = facts(&aggregate.input).tags;
        let keys: Vec<Tag> = aggregate
            .group_expr
            .iter()
            .map(|key| tag_of(key, &aggregate.input, &tags))
            .collect();
        Ok(keys.iter().any(|tag| matches!(tag, Tag::WindowStart(..))) && !keys.iter().any(names_window))
    })
    .unwrap_or(false)
}
