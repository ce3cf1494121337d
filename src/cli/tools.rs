//! `check` and `explain`: what can be said of a text without running it.

use super::print::{Printer, Style};
use super::report::Reporter;
use super::text::Text;
use super::{Exit, stdin};
use waterwheel::error::{Error, Kind};
use waterwheel::sql::split;
use waterwheel::{Engine, Outcome};

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

/// Shows the graph of every query of a text. Definitions are made, queries are not started.
pub async fn explain(engine: &Engine, text: &Text, reporter: &Reporter, style: Style) -> Exit {
    if let Err(error) = stdin::plan(engine, text).await {
        reporter.error(&error, text);
        return Exit::Failed;
    }
    let mut printer = Printer::stdout(style);
    for span in split(&text.sql) {
        let statement = &text.sql[span];
        let explained = match is_query(statement) {
            true => format!("EXPLAIN {statement}"),
            false => statement.to_string(),
        };
        if let Err(error) = answer(engine, &explained, &mut printer).await {
            reporter.error(&error, &Text::named("<explain>", explained));
            return Exit::Failed;
        }
    }
    printer.flush();
    Exit::Done
}

async fn answer(engine: &Engine, sql: &str, printer: &mut Printer) -> Result<(), Error> {
    let mut script = engine.script(sql)?;
    while let Some(outcome) = script.next().await {
        if let Outcome::Rows(batch) = outcome? {
            printer.lines(&batch);
        }
    }
    Ok(())
}

/// Whether a statement starts something when it is run.
fn is_query(statement: &str) -> bool {
    let words: Vec<String> = statement
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|w| !w.is_empty())
        .map(str::to_ascii_uppercase)
        .collect();
    let first = words.first().map(String::as_str).unwrap_or_default();
    let is_sink = first == "CREATE" && words.iter().take(4).any(|w| w == "SINK");
    let filled = is_sink && words.iter().any(|w| w == "SELECT" || w == "FROM");
    matches!(first, "SELECT" | "WITH" | "INSERT" | "VALUES") || filled
}
