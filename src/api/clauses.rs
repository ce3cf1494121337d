//! The clauses after a query that say how it runs.

use super::late::LateInto;
use super::planning::{Planned, Planning};
use crate::catalog::Relation;
use crate::dstream::graph::Graph;
use crate::error::Diagnostic;
use crate::plan::compile::QueryPlan;
use crate::plan::diagnose::word_in;
use crate::plan::risks::{Risk, risks};
use crate::plan::widths::{human, interval_ns};
use crate::sql::statement::{Clause, ClauseKind, StreamQuery};
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast;
use std::ops::Range;

/// A view has no clauses: they belong to the statement that reads it.
pub fn refuse_in_view(query: &StreamQuery) -> Planned<()> {
    let misplaced = query.clauses.iter().filter_map(|clause| {
        let what = match &clause.kind {
            ClauseKind::LateRowsInto(_) => "LATE ROWS INTO",
            ClauseKind::IdleTimeout(_) => "IDLE TIMEOUT",
            _ => return None,
        };
        let message = format!("{what} belongs to a query that runs, not to a view");
        let wrong = Diagnostic::error("misplaced", message).at(clause.span.clone());
        Some(wrong.help("write it after the SELECT or INSERT that reads the view"))
    });
    let misplaced: Vec<Diagnostic> = misplaced.collect();
    if misplaced.is_empty() { Ok(()) } else { Err(misplaced) }
}

/// Clauses that parse and cannot be run yet.
pub fn refuse_unbuilt(query: &StreamQuery) -> Planned<()> {
    let unbuilt: Vec<Diagnostic> = query.clauses.iter().filter_map(not_yet).collect();
    if unbuilt.is_empty() { Ok(()) } else { Err(unbuilt) }
}

fn not_yet(clause: &Clause) -> Option<Diagnostic> {
    let name = match &clause.kind {
        ClauseKind::AllowedLateness(_) => "ALLOWED LATENESS",
        ClauseKind::EmitChanges => "EMIT CHANGES",
        ClauseKind::EmitEveryRows(_) | ClauseKind::EmitEvery(_) => "EMIT EVERY",
        ClauseKind::EmitOnWindowClose | ClauseKind::LateRowsInto(_) | ClauseKind::IdleTimeout(_) => return None,
    };
    let unbuilt = Diagnostic::error("not_yet", format!("{name} is not built yet")).at(clause.span.clone());
    Some(unbuilt.help("leave it out: windows are shown once, when they close"))
}

impl Planning<'_> {
    /// Puts the clauses of a query into its plan, and what of its text may fail; gives where its late rows go.
    pub(super) fn clauses(
        &mut self,
        query: &StreamQuery,
        plan: &mut QueryPlan,
        span: &Range<usize>,
    ) -> Planned<Option<LateInto>> {
        for clause in &query.clauses {
            if let ClauseKind::IdleTimeout(timeout) = &clause.kind {
                plan.idle_timeout_ns = Some(self.duration(timeout, clause)?);
            }
        }
        plan.risks = self.risks(query, span);
        self.late_into(query, plan, span)
    }

    /// Its divisions and casts. A view that the statement names has others: then nothing is known.
    fn risks(&self, query: &StreamQuery, span: &Range<usize>) -> Vec<Risk> {
        let mut views = self
            .state
            .catalog
            .relations()
            .filter(|r| matches!(r, Relation::View(_)));
        match views.any(|view| word_in(view.name(), self.text, span).is_some()) {
            true => Vec::new(),
            false => risks(&query.query, &self.lines, self.text),
        }
    }

    /// Notes for how long the windows of each query wait for what is quiet, where somebody has said it.
    pub(super) fn note_timeouts(&self, graph: &mut Graph) {
        let timed = graph.timed_outputs();
        let timed = graph.outputs.iter_mut().zip(timed).filter(|(_, timed)| *timed);
        for (output, _) in timed {
            let timeout_ns = output.idle_timeout_ns.or(self.state.settings.idle_timeout_ns);
            output.notes.extend(timeout_ns.map(|ns| match ns {
                0 => "waits for quiet sources for ever".to_string(),
                ns => format!("does not wait for what has been quiet for {}", human(ns)),
            }));
        }
    }

    /// The nanoseconds of an interval; 0 is allowed.
    fn duration(&self, interval: &ast::Expr, clause: &Clause) -> Planned<i64> {
        let names = self.names();
        let planner = SqlToRel::new(&names);
        let planned = planner.sql_to_expr(interval.clone(), &DFSchema::empty(), &mut PlannerContext::new());
        let ns = match planned {
            Ok(Expr::Literal(value, _)) => interval_ns(&value).filter(|ns| *ns >= 0),
            _ => None,
        };
        ns.ok_or_else(|| {
            let message = "IDLE TIMEOUT takes a duration of fixed length that is not negative";
            let wrong = Diagnostic::error("idle_timeout", message).at(clause.span.clone());
            vec![wrong.help("write: IDLE TIMEOUT INTERVAL '10' SECOND; with INTERVAL '0' SECOND nobody is left out")]
        })
    }
}
