//! The program `waterwheel`: its command line and its shell.
//!
//! Owns: arguments, exit codes, what is shown and how. Guarantees: results go to stdout, everything else to stderr.
//! Does **not** guarantee anything about answers: those are the library's. Depends on the library only through its
//! public face, formats and diagnostics. Start reading at [`cli::main`].

mod cli;
mod repl;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
