//! The shell: reads statements on a terminal and runs them, one after the other.
//!
//! Owns: line editing, history, meta commands. Guarantees: a mistake, a failure or Ctrl-C never ends the shell.
//! Does **not** guarantee: a shell off a terminal (that is a script). Depends on `cli` for messages and rows.
//! Start reading at [`main`].

mod editor;
mod history;
mod meta;
mod session;

use crate::cli::print::Style;
use crate::cli::report::Reporter;
use crate::cli::{Exit, on_runtime};
use editor::Assistant;
use meta::Meta;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use session::Session;
use waterwheel::Engine;
use waterwheel::error::{Error, Result};

/// The first line of a statement; the lines after it have [`editor::CONTINUED`].
const PROMPT: &str = "waterwheel> ";

type Lines = Editor<Assistant, FileHistory>;

/// Runs the shell until its user leaves.
///
/// Errors: the terminal, or Ctrl-C, cannot be listened to.
pub fn main(engine: Engine, style: Style, reporter: Reporter) -> Result<Exit> {
    on_runtime(async {
        let mut session = Session::new(engine, style, reporter)?;
        let mut lines = lines()?;
        let history = history::file();
        if let Some(file) = &history {
            // There is none the first time.
            let _ = lines.load_history(file);
        }
        let version = env!("CARGO_PKG_VERSION");
        reporter.note(&format!(
            "Waterwheel {version}: SQL over streams. \\? for help, \\q to leave."
        ));
        loop {
            session.tell_of_background().await;
            if let Some(assistant) = lines.helper_mut() {
                assistant.names = session.names().await;
            }
            match lines.readline(PROMPT) {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => {
                    remember(&mut lines, &line, history.as_deref());
                    if !run(&mut session, line).await {
                        break;
                    }
                }
                // Ctrl-C throws the line away.
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(unreadable(error)),
            }
        }
        session.leave().await;
        Ok(Exit::Done)
    })
}

fn lines() -> Result<Lines> {
    let config = Config::builder()
        .history_ignore_space(true)
        .auto_add_history(false)
        .completion_type(rustyline::CompletionType::List)
        .build();
    let mut lines = Lines::with_config(config).map_err(unreadable)?;
    lines.set_helper(Some(Assistant::default()));
    Ok(lines)
}

fn remember(lines: &mut Lines, line: &str, file: Option<&std::path::Path>) {
    // Without a history the shell works all the same.
    let added = lines.add_history_entry(line).unwrap_or(false);
    if let (true, Some(file)) = (added, file) {
        let _ = lines.append_history(file);
    }
}

/// False when the user leaves.
async fn run(session: &mut Session, line: String) -> bool {
    match meta::parse(&line) {
        None => session.sql(line).await,
        Some(Ok(Meta::Quit)) => return false,
        Some(Ok(command)) => session.meta(command).await,
        Some(Err(error)) => session.tell(&error),
    }
    !session.is_closed()
}

fn unreadable(error: ReadlineError) -> Error {
    Error::connector(format!("the terminal cannot be read: {error}")).because(error)
}
