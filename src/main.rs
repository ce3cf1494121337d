//! The program `waterwheel`: its command line and its shell.
//!
//! Owns: arguments, exit codes, what is shown and how. Guarantees: results go to stdout, everything else to stderr.
//! Does **not** guarantee anything about answers: those are the library's. Depends on the library only through its
//! public face, formats and diagnostics. Start reading at [`cli::main`].

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod repl;

use std::process::ExitCode;

fn main() -> ExitCode {
    // A panic in a task is caught and told as an error in words; its trace is for whoever asked for logs.
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a task broke off")));
    cli::main()
}
