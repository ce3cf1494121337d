//! Tables without connector that never end, since an INSERT without end fills them.
//!
//! To a text that is run to its end they are streams like any other: windows close as the rows say, LIMIT ends a query,
//! and what needs the end of its input is refused. Elsewhere (the shell, a host) a SELECT reads what is there now.

use super::filling::Filling;
use super::planning::{Planned, Planning, Routed};
use super::query::Query;
use super::script::Script;
use crate::catalog::Relation;
use crate::dstream::graph::Graph;
use crate::error::Diagnostic;
use crate::plan::branch::without_end;
use crate::plan::compile::{QueryPlan, compile};
use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;
use futures::FutureExt;
use futures::future::select_all;
use std::ops::Range;

impl Planning<'_> {
    /// The graph of queries that start together. The tables that they fill without end are known as such from here on.
    pub(super) fn compiled(&mut self, queries: &[Routed], span: &Range<usize>) -> Planned<Graph> {
        loop {
            let with_ends = |routed: &Routed| {
                let plan = self.with_ends(routed.plan.plan.clone())?;
                Ok(QueryPlan {
                    plan,
                    ..routed.plan.clone()
                })
            };
            let plans: Result<Vec<QueryPlan>> = queries.iter().map(with_ends).collect();
            let graph = plans.and_then(|plans| compile(&plans));
            let graph = graph.map_err(|e| vec![self.diagnosed(&e, span)])?;
            // One of them may read what another fills.
            if !self.note_endless(queries, &graph, span)? {
                return Ok(graph);
            }
        }
    }

    /// A plan with what is known by now of its tables: it may be older than the INSERT that takes their end away.
    pub(super) fn with_ends(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let is_endless = |table: &str| match self.state.catalog.get(table) {
            Some(Relation::Table(table)) => table.spec.connector.is_none() && !table.bounded,
            _ => false,
        };
        without_end(plan, &is_endless)
    }

    /// Whether the queries fill tables without end that had one.
    ///
    /// Errors: an INSERT has started to which such a table ends.
    fn note_endless(&mut self, queries: &[Routed], graph: &Graph, span: &Range<usize>) -> Planned<bool> {
        let endless = queries.iter().zip(&graph.outputs).filter(|(_, output)| !output.bounded);
        let filled = endless.flat_map(|(routed, _)| routed.fills()).filter(|_| self.whole);
        let mut noted = false;
        for table in filled {
            if !self.state.catalog.take_end(table) {
                continue;
            }
            noted = true;
            if let Some(reader) = self.begun.get(table) {
                return Err(vec![self.ended_before(table, *reader).at(span.clone())]);
            }
        }
        Ok(noted)
    }

    fn ended_before(&self, table: &str, reader: Option<usize>) -> Diagnostic {
        let place = reader.map_or(String::new(), |start| format!(" in line {}", self.line_of(start)));
        let message = format!(
            "this INSERT takes the end away from `{table}`, and the INSERT{place} that reads it has started by then"
        );
        Diagnostic::error("no_end", message).help("put this INSERT before that one")
    }
}

impl Script {
    /// Behind the last SELECT of a text that is run to its end: stops the queries without end that fill nothing but tables
    /// in memory which nobody reads any more. A LIMIT that another of its queries has is waited for.
    pub async fn stop_unread(&self) {
        if !self.whole {
            return;
        }
        loop {
            let running = self.running();
            let kept = self.kept(&running);
            let is_kept = |f: &Filling| kept.iter().any(|k| k.query().is(f.query()));
            let unread = self.filling.iter().filter(|f| !f.query().is_done() && !is_kept(f));
            unread.map(Filling::query).for_each(Query::cancel);
            let limited = kept.iter().filter(|f| f.query().limited);
            let limits: Vec<_> = limited.map(|f| f.query().settled().boxed()).collect();
            let may_be_left = kept.iter().any(|f| !f.query().bounded() && self.is_in_memory(f));
            if limits.is_empty() || !may_be_left {
                return;
            }
            // Whoever waits for the query is told if it has failed.
            let _ = select_all(limits).await;
        }
    }

    /// The queries that write somewhere else than into tables in memory, or end by themselves, and those that fill what one
    /// of them reads.
    fn kept<'a>(&self, running: &'a [Filling]) -> Vec<&'a Filling> {
        let running = || running.iter().filter(|filling| !filling.query().is_done());
        let mut kept: Vec<&Filling> = running()
            .filter(|f| f.query().bounded() || !self.is_in_memory(f))
            .collect();
        loop {
            let is_read = |f: &&Filling| kept.iter().any(|k| k.query().is(f.query()) || k.reads(f.target()));
            let more: Vec<&Filling> = running().filter(is_read).collect();
            if more.len() == kept.len() {
                return kept;
            }
            kept = more;
        }
    }

    fn is_in_memory(&self, filling: &Filling) -> bool {
        self.engine.lock().memory.contains_key(filling.target())
    }
}
