//! Meta commands: one table, from which parsing, help and completion are made.

use crate::cli::print::Format;
use clap::ValueEnum;
use waterwheel::error::{Error, Result, nearest};

/// What the shell can be told besides SQL.
#[derive(Debug, PartialEq)]
pub enum Meta {
    Quit,
    Help,
    Syntax(String),
    /// All relations, or one.
    Describe(Option<String>),
    Include(String),
    Timing,
    Expanded,
    /// A format, or which one it is now.
    Mode(Option<Format>),
}

/// One line of the help.
struct Command {
    name: &'static str,
    argument: &'static str,
    about: &'static str,
}

const fn command(name: &'static str, argument: &'static str, about: &'static str) -> Command {
    Command { name, argument, about }
}

static COMMANDS: &[Command] = &[
    command("\\?", "", "this help"),
    command("\\h", "[STATEMENT]", "how a statement is written"),
    command("\\d", "[NAME]", "tables, sinks and views, or the columns of one"),
    command("\\i", "FILE", "run the statements of a file"),
    command("\\mode", "[FORMAT]", "how rows are shown: table, vertical, csv, …"),
    command("\\x", "", "rows as a line per value, on or off"),
    command("\\timing", "", "the time after each result, on or off"),
    command("\\q", "", "leave (also: exit, quit, Ctrl-D)"),
];

/// The names of all commands.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|c| c.name)
}

/// What `\?` prints.
pub fn help() -> String {
    let mut text = String::from("Statements end with `;` and may span lines. Ctrl-C stops what runs.\n\n");
    for c in COMMANDS {
        text.push_str(&format!("  {:<16} {}\n", format!("{} {}", c.name, c.argument), c.about));
    }
    text
}

/// Whether a line is for the shell rather than SQL.
pub fn is_meta(line: &str) -> bool {
    let line = line.trim_start();
    let word = line.trim_end().trim_end_matches(';').trim_end();
    let bare = ["exit", "quit", "help"].iter().any(|w| word.eq_ignore_ascii_case(w));
    line.starts_with('\\') || bare
}

/// The command of a line; `None` when the line is SQL.
///
/// Errors: there is no such command, or its argument is wrong.
pub fn parse(line: &str) -> Option<Result<Meta>> {
    is_meta(line).then(|| command_of(line.trim().trim_end_matches(';').trim_end()))
}

fn command_of(line: &str) -> Result<Meta> {
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    let given = (!argument.is_empty()).then(|| argument.to_string());
    match name.to_ascii_lowercase().as_str() {
        "exit" | "quit" | "\\q" => Ok(Meta::Quit),
        "help" | "\\?" => Ok(Meta::Help),
        "\\h" => Ok(Meta::Syntax(argument.to_string())),
        "\\d" => Ok(Meta::Describe(given)),
        "\\i" => given
            .map(Meta::Include)
            .ok_or_else(|| Error::refused("\\i takes the name of a file")),
        "\\timing" => Ok(Meta::Timing),
        "\\x" => Ok(Meta::Expanded),
        "\\mode" => given.map(|g| format(&g)).transpose().map(Meta::Mode),
        other => Err(Error::refused(unknown(
            "there is no command",
            other,
            names(),
            "\\? shows them",
        ))),
    }
}

fn format(name: &str) -> Result<Format> {
    let all: Vec<String> = Format::value_variants().iter().map(format_name).collect();
    let known = all.iter().map(String::as_str);
    let advice = format!("it is one of {}", all.join(", "));
    Format::from_str(name, true).map_err(|_| Error::refused(unknown("there is no format", name, known, &advice)))
}

/// A format as it is written.
pub fn format_name(format: &Format) -> String {
    let value = format.to_possible_value();
    value.map(|v| v.get_name().to_string()).unwrap_or_default()
}

fn unknown<'a>(what: &str, wrong: &str, known: impl IntoIterator<Item = &'a str>, advice: &str) -> String {
    match nearest(wrong, known).first() {
        Some(best) => format!("{what} `{wrong}`: did you mean `{best}`?"),
        None => format!("{what} `{wrong}`: {advice}"),
    }
}
