//! Scripts that read standard input as a table.

use super::text::Text;
use waterwheel::error::{Diagnostic, Error, Kind, Result};
use waterwheel::sql::parse_script;
use waterwheel::sql::statement::Statement;
use waterwheel::{Engine, Script};

/// Who reads standard input already, where it holds SQL.
#[derive(Debug, Clone, Copy)]
pub enum Taker {
    /// A text that is read whole.
    Script,
    /// A person who types.
    Shell,
}

/// Plans a text; a table `stdin` that nobody declared is declared from what standard input begins with.
///
/// Errors: the mistakes of the text.
pub async fn plan(engine: &Engine, text: &Text) -> Result<Script> {
    if text.is_from_stdin() {
        return planned(|sql| engine.whole_script(sql), text, Taker::Script);
    }
    match engine.whole_script(&text.sql) {
        Err(error) if names_stdin(&error, text) => {
            engine.declare_stdin().await?;
            engine.whole_script(&text.sql)
        }
        planned => planned,
    }
}

/// Plans a text of which no table may be read from standard input, as that holds SQL.
///
/// Errors: it reads such a table, declared or not; else its other mistakes.
pub fn planned(plan: impl FnOnce(&str) -> Result<Script>, text: &Text, by: Taker) -> Result<Script> {
    let declared = declarations(text, by);
    if !declared.is_empty() {
        return Err(Error::from_diagnostics(Kind::Refused, declared));
    }
    plan(&text.sql).map_err(|error| {
        let of_stdin = error.diagnostics.iter().filter(|d| is_stdin(d, text));
        let refused: Vec<Diagnostic> = of_stdin.map(|d| taken(by).maybe_at(d.span.clone())).collect();
        match refused.is_empty() {
            true => error,
            false => Error::from_diagnostics(Kind::Refused, refused),
        }
    })
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
fn declarations(text: &Text, by: Taker) -> Vec<Diagnostic> {
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
    spans.map(|span| taken(by).at(span)).collect()
}

fn taken(by: Taker) -> Diagnostic {
    let message = match by {
        Taker::Script => "the SQL itself comes from standard input, so no table can be read from it",
        Taker::Shell => "what is typed here is standard input, so no table can be read from it",
    };
    Diagnostic::error("stdin_taken", message)
        .help("put the SQL into a file and write: waterwheel run FILE, or give it with -c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_no_table_from_what_is_typed() {
        let engine = Engine::in_memory();
        for sql in [
            "SELECT line FROM stdin",
            "CREATE SOURCE s (line VARCHAR) WITH (connector = 'stdin', format = 'text')",
        ] {
            let text = Text::named("<input>", sql.to_string());
            let error = planned(|sql| engine.script(sql), &text, Taker::Shell)
                .err()
                .expect("it is refused");
            let codes: Vec<&str> = error.diagnostics.iter().map(|d| d.code).collect();
            assert_eq!(codes, ["stdin_taken"], "{sql}");
            assert!(error.message.starts_with("what is typed here"), "{}", error.message);
        }
    }
}
