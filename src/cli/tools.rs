//! `check` and `explain`: what can be said of a text without running it.

use super::print::{Printer, Style};
use super::report::Reporter;
use super::text::Text;
use super::{Exit, stdin};
use waterwheel::Engine;
use waterwheel::error::Kind;
use waterwheel::sql::split;

/// Tells all mistakes and warnings.
pub async fn check(engine: &Engine, text: &Text, reporter: &Reporter) -> Exit {
    match stdin::plan(engine, text).await {
        Ok(script) => {
            reporter.diagnostics(Kind::Sql, &script.warnings, text);
            let count = split(&text.sql).len();
            reporter.note(&format!(
                "ok: {count} statement{}, no mistakes",
                if count == 1 { "" } else { "s" }
            ));
            Exit::Done
        }
        Err(error) => {
            reporter.error(&error, text);
            Exit::Failed
        }
    }
}

/// Shows the graph of every query of a text, of which nothing is run.
pub async fn explain(engine: &Engine, text: &Text, reporter: &Reporter, style: Style) -> Exit {
    let planned = stdin::plan(engine, text).await;
    match planned.and_then(|_| engine.explain(&text.sql)) {
        Ok(graphs) => {
            let mut printer = Printer::stdout(style);
            graphs.iter().for_each(|graph| printer.lines(graph));
            printer.flush();
            Exit::Done
        }
        Err(error) => {
            reporter.error(&error, text);
            Exit::Failed
        }
    }
}
