//! What holds for texts that the program runs by itself, without a host around the engine: nobody pushes rows, and a
//! script that does not end keeps the statements behind it from being run.

use super::planning::{Planned, Planning};
use crate::dstream::graph::Graph;
use crate::error::Diagnostic;
use crate::sql::statement::CreateTable;
use std::ops::Range;

/// The mistake of a SELECT that other statements follow, if its rows have no end.
pub fn endless(graph: &Graph, span: &Range<usize>) -> Option<Diagnostic> {
    let endless = graph.outputs.iter().any(|output| !output.bounded);
    endless.then(|| {
        let message = "this SELECT does not end, so the statements behind it would never be run";
        let wrong = Diagnostic::error("no_end", message).at(span.clone());
        wrong.help("move it to the end of the script, write it INTO a sink, or end it: … LIMIT 10")
    })
}

impl Planning<'_> {
    /// A source that only a host can feed is refused where there is none.
    pub(super) fn refuse_push(&self, create: &CreateTable) -> Planned<()> {
        if !self.state.standalone {
            return Ok(());
        }
        let mut options = create.options.iter();
        let Some(push) = options.find(|o| o.key.value == "connector" && o.value == "push") else {
            return Ok(());
        };
        let message = format!(
            "`{}` is fed by a program that embeds the engine, and here is none: it would wait for ever",
            create.name.value
        );
        let refused = Diagnostic::error("no_host", message).at(push.value_span.clone());
        Err(vec![
            refused.help("read a file, a socket, or standard input: connector = 'stdin'"),
        ])
    }
}
