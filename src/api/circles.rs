//! INSERTs that feed each other: rows that go round for ever.

use super::planning::{Planned, Planning, Routed};
use crate::error::Diagnostic;
use std::collections::BTreeSet;
use std::ops::Range;

impl Planning<'_> {
    /// Notes where an INSERT takes its rows from.
    ///
    /// Errors: they come, through other INSERTs or at once, from the table that it fills.
    pub(super) fn flow(&mut self, routed: &Routed, span: &Range<usize>) -> Planned<()> {
        let reads = routed.reads();
        for target in routed.fills() {
            if let Some(through) = self.way_round(target, &reads) {
                return Err(vec![circle(target, &through).at(span.clone())]);
            }
        }
        for target in routed.fills() {
            let flows = self.state.flows.entry(target.to_string()).or_default();
            flows.extend(reads.iter().cloned());
        }
        Ok(())
    }

    /// The table that is read, if the rows of `target` get into it.
    fn way_round(&self, target: &str, reads: &BTreeSet<String>) -> Option<String> {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for read in reads {
            let mut left = vec![read.as_str()];
            while let Some(table) = left.pop() {
                if table == target {
                    return Some(read.clone());
                }
                if seen.insert(table) {
                    left.extend(self.state.flows.get(table).into_iter().flatten().map(String::as_str));
                }
            }
        }
        None
    }
}

fn circle(target: &str, through: &str) -> Diagnostic {
    let message = match through == target {
        true => format!("this INSERT reads the table `{target}` that it fills: its rows would go round for ever"),
        false => {
            format!("`{through}` is filled from `{target}`, which this INSERT fills: rows would go round for ever")
        }
    };
    Diagnostic::error("circle", message).help(format!(
        "insert into another table: CREATE TABLE {target}_2 AS SELECT … takes the rows that are there now"
    ))
}
