//! The command line: from arguments to an exit code.
//!
//! Owns: which command does what, and with which exit code it ends. Guarantees: results go to stdout, everything else to
//! stderr; nothing runs while a text has mistakes, unless it is to be kept going. Does **not** guarantee anything about
//! answers. Depends on the library only. Start reading at [`main`].

mod args;
mod configuration;
pub mod interrupt;
mod memory;
pub mod print;
pub mod report;
mod runner;
pub mod stdin;
mod summary;
pub mod text;
mod tools;

use crate::repl;
use args::{Args, Command};
use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use print::Style;
use report::{Errors, Reporter, say};
use runner::Runner;
use std::future::Future;
use std::io::IsTerminal;
use std::process::ExitCode;
use text::Text;
use waterwheel::Engine;
use waterwheel::error::Error;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// A statement failed, or a text has mistakes.
    Failed = 1,
    /// The command line is wrong, or names a file that is not there.
    Usage = 2,
    /// A query failed after it had started.
    Broke = 3,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    memory::keep();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error).into(),
    };
    let reporter = Reporter::new(args.options.errors);
    match command(args, &reporter) {
        Ok(exit) => exit.into(),
        Err(error) => {
            reporter.usage(&error);
            Exit::Usage.into()
        }
    }
}

/// Errors: what makes the command line one that cannot be run.
fn command(args: Args, reporter: &Reporter) -> Result<Exit, Error> {
    if args.command.is_some() && args.sql.is_some() {
        return Err(Error::refused("`-c` stands alone: give either SQL or a command"));
    }
    let style = args.options.style();
    let only_plans = matches!(args.command, Some(Command::Check { .. } | Command::Explain { .. }));
    let engine = match args.options.engine(!only_plans) {
        Ok(engine) => engine,
        Err(mistake) => {
            mistake.tell(reporter);
            return Ok(Exit::Usage);
        }
    };
    match (args.command, args.sql) {
        (Some(Command::Check { files }), _) => {
            let text = Text::of_files(&files)?;
            on_runtime(async { Ok(tools::check(&engine, &text, reporter).await) })
        }
        (Some(Command::Explain { kind_and_file }), _) => {
            let text = Text::of_files(&[explained(kind_and_file)?])?;
            on_runtime(async { Ok(tools::explain(&engine, &text, reporter, style).await) })
        }
        (Some(Command::Run { files }), _) => {
            let text = Text::of_files(&files)?;
            run(engine, text, *reporter, style, args.options.manner())
        }
        (None, Some(sql)) => run(engine, Text::command(sql), *reporter, style, args.options.manner()),
        (None, None) if std::io::stdin().is_terminal() => repl::main(engine, style, *reporter),
        (None, None) => {
            let text = Text::of_files(&["-".to_string()])?;
            run(engine, text, *reporter, style, args.options.manner())
        }
    }
}

fn run(engine: Engine, text: Text, reporter: Reporter, style: Style, manner: runner::Manner) -> Result<Exit, Error> {
    on_runtime(async {
        let interrupts = interrupt::stop_engine(&engine)?;
        Ok(Runner::new(engine, text, reporter, style, manner, interrupts)
            .run()
            .await)
    })
}

/// One worker beside this thread: signals are heard while this thread writes.
pub fn on_runtime<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| Error::internal("the program's threads could not be started").because(e))?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

/// The file that is to be explained; the one kind that may stand before it is DSTREAM.
///
/// Errors: another kind.
fn explained(mut kind_and_file: Vec<String>) -> Result<String, Error> {
    let file = kind_and_file.pop().unwrap_or_default();
    match kind_and_file.first() {
        Some(first) if first.contains('.') => Err(Error::refused(format!(
            "`explain` takes one file: give `{first}` and `{file}` one after the other"
        ))),
        Some(kind) if !kind.eq_ignore_ascii_case("dstream") => Err(Error::refused(format!(
            "`explain {kind}` is not built yet: `explain {file}` shows the graph with lineage, watermark and state"
        ))),
        _ => Ok(file),
    }
}

/// Commands that are planned and not there.
const NOT_YET: &[&str] = &["verify", "test", "chaos", "replay", "bench", "completions", "man"];

/// Help and version are asked for; everything else is a mistake, with a word for those who leave out `run`.
fn usage(error: &clap::Error) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Whoever closed the stream does not want to read it.
        let _ = error.print();
        return Exit::Done;
    }
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let as_json = arguments.windows(2).any(|pair| pair == ["--errors", "json"]);
    if as_json || arguments.iter().any(|a| a == "--errors=json") {
        Reporter::new(Errors::Json).usage(&Error::refused(usage_message(error)));
        return Exit::Usage;
    }
    match unknown_command(error) {
        Some(command) if NOT_YET.contains(&command.as_str()) => {
            Reporter::new(Errors::Text).plain(&Error::refused(usage_message(error)));
        }
        Some(_) => {
            let _ = error.print();
            if let Some(file) = arguments.iter().find(|a| a.ends_with(".sql")) {
                say(&format!("\nhelp: to run a file, write: waterwheel run {file}\n"));
            }
        }
        None => drop(error.print()),
    }
    Exit::Usage
}

/// A mistake of the command line in one line.
fn usage_message(error: &clap::Error) -> String {
    if let Some(command) = unknown_command(error).filter(|c| NOT_YET.contains(&c.as_str())) {
        return format!("`waterwheel {command}` is not built yet: -h shows the commands that are");
    }
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_string()
}

/// The word that stands where a command should.
fn unknown_command(error: &clap::Error) -> Option<String> {
    match (error.kind(), error.get(ContextKind::InvalidSubcommand)) {
        (ErrorKind::InvalidSubcommand, Some(ContextValue::String(word))) => Some(word.clone()),
        _ => None,
    }
}
