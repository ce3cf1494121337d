//! Scripts that read standard input as a table.

use super::text::Text;
use waterwheel::error::{Diagnostic, Error, Kind, Result};
use waterwheel::sql::parse_script;
use waterwheel::sql::statement::Statement;
use waterwheel::{Engine, Script};

/// Plans a text; a table `stdin` that nobody declared is declared from what standard input begins with.
///
/// Errors: the mistakes of the text.
pub async fn plan(engine: &Engine, text: &Text) -> Result<Script> {
    if text.is_from_stdin() {
        let declared = declarations(text);
        if !declared.is_empty() {
            return Err(Error::from_diagnostics(Kind::Refused, declared));
        }
    }
    match engine.whole_script(&text.sql) {
        Err(mut error) if names_stdin(&error, text) => {
            if text.is_from_stdin() {
                error.diagnostics.retain(|d| is_stdin(d, text));
                error
                    .diagnostics
                    .iter_mut()
                    .for_each(|d| *d = taken().maybe_at(d.span.clone()));
                return Err(error);
            }
            engine.declare_stdin().await?;
            engine.whole_script(&text.sql)
        }
        planned => planned,
    }
}

fn names_stdin(error: &Error, text: &Text) -> bool {
    error.diagnostics.iter().any(|d| is_stdin(d, text))
}

fn is_stdin(diagnostic: &Diagnostic, text: &Text) -> bool {
    let named = diagnostic.span.clone().and_then(|span| text.sql.get(span));
    // With an alias the place is that of both.
    let table = named.and_then(|text| text.split_whitespace().next());
    diagnostic.code == "unknown_table" && table.is_some_and(|n| n.eq_ignore_ascii_case("stdin"))
}

/// The statements that declare standard input as a table.
fn declarations(text: &Text) -> Vec<Diagnostic> {
    let (statements, _) = parse_script(&text.sql);
    let reads_stdin = |statement: &Statement| match statement {
        Statement::CreateTable(create) => create
            .options
            .iter()
            .find(|o| o.key.value == "connector" && o.value == "stdin")
            .map(|o| o.value_span.clone()),
        _ => None,
    };
    let spans = statements.iter().filter_map(|s| reads_stdin(&s.statement));
    spans.map(|span| taken().at(span)).collect()
}

fn taken() -> Diagnostic {
    Diagnostic::error(
        "stdin_taken",
        "the SQL itself comes from standard input, so no table can be read from it",
    )
    .help("put the SQL into a file and write: waterwheel run FILE, or give it with -c")
}
