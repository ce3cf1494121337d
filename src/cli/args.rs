//! What can be written on the command line.

use super::configuration::{Misconfigured, configured};
use super::print::{Format, Style};
use super::report::Errors;
use super::runner::Manner;
use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::sync::LazyLock;
use waterwheel::Engine;
use waterwheel::config::Origin;
use waterwheel::error::Error;

static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} (DataFusion {}, Arrow {})",
        env!("CARGO_PKG_VERSION"),
        datafusion::DATAFUSION_VERSION,
        datafusion::arrow::ARROW_VERSION
    )
});

const EXAMPLES: &str = "\
SQL over streams.

Examples:
  waterwheel                                       a shell
  waterwheel run queries/nexmark/q5.sql            run a program
  waterwheel -c \"SELECT 1 + 1\"                     run a line
  tail -f access.log | waterwheel -c \"SELECT line FROM stdin WHERE line LIKE '%ERROR%'\"
  waterwheel check query.sql                       find mistakes, run nothing";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "waterwheel",
    version = VERSION.as_str(),
    before_help = EXAMPLES,
    disable_help_subcommand = false,
    help_template = "{before-help}Usage: {usage}\n\n{all-args}{after-help}"
)]
pub struct Args {
    /// Run this SQL
    #[arg(short = 'c', value_name = "SQL", allow_hyphen_values = true)]
    pub sql: Option<String>,
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run programs, one after the other as if they were one file (`-` is standard input)
    Run {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
    },
    /// Find the mistakes of a program and run nothing
    Check {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
    },
    /// Show what would run: the graph with lineage, watermark and state of each node
    Explain {
        #[arg(required = true, num_args = 1..=2, value_names = ["[DSTREAM]", "FILE"])]
        kind_and_file: Vec<String>,
    },
}

/// Flags of every command.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How often an interval is closed, e.g. 10ms
    #[arg(long, global = true, value_name = "TIME", help_heading = "Engine")]
    interval: Option<String>,
    /// Tasks at once (default: the cores)
    #[arg(long, global = true, value_name = "N", help_heading = "Engine")]
    parallelism: Option<String>,
    /// Any setting of SHOW ALL (else WATERWHEEL_NAME, else waterwheel.toml here or in ~/.config/waterwheel)
    #[arg(long, global = true, value_name = "NAME=VALUE", help_heading = "Engine")]
    set: Vec<String>,
    /// How rows are written (default: table on a terminal, else ndjson)
    #[arg(long, global = true, value_enum, help_heading = "Output")]
    format: Option<Format>,
    /// What stands for NULL
    #[arg(long, global = true, value_name = "TEXT", help_heading = "Output")]
    null: Option<String>,
    /// Leave out the names of the columns
    #[arg(long, global = true, help_heading = "Output")]
    no_header: bool,
    /// Stop a SELECT after so many rows
    #[arg(long, global = true, value_name = "N", help_heading = "Output")]
    maxrows: Option<usize>,
    /// Put the interval of each row first
    #[arg(long, global = true, help_heading = "Output")]
    with_interval: bool,
    /// How mistakes are written
    #[arg(long, global = true, value_enum, default_value = "text", help_heading = "Output")]
    pub errors: Errors,
    /// No summary at the end
    #[arg(long, short = 'q', global = true, help_heading = "Output")]
    quiet: bool,
    /// Go on after a statement that fails
    #[arg(long, global = true, help_heading = "Engine")]
    keep_going: bool,
}

impl Options {
    /// An engine with the settings of files, environment and flags. `runs`: what is planned runs here, without a host that
    /// could push rows.
    ///
    /// Errors: a setting that does not exist, or a value that it cannot have.
    pub fn engine(&self, runs: bool) -> Result<Engine, Misconfigured> {
        let mut engine = configured(match runs {
            true => Engine::builder().standalone(),
            false => Engine::builder(),
        })?;
        let flags = [("interval", &self.interval), ("parallelism", &self.parallelism)];
        for (name, value) in flags {
            if let Some(value) = value {
                engine = engine.configure(name, value, Origin::Flag)?;
            }
        }
        if self.maxrows.is_some() {
            engine = engine.selects_end();
        }
        for pair in &self.set {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Error::refused(format!("--set takes NAME=VALUE, not `{pair}`")))?;
            engine = engine.configure(name.trim(), value, Origin::Flag)?;
        }
        Ok(engine.build())
    }

    pub fn style(&self) -> Style {
        let terminal = std::io::stdout().is_terminal();
        let default = if terminal { Format::Table } else { Format::Ndjson };
        Style {
            format: self.format.unwrap_or(default),
            null: self.null.clone(),
            header: !self.no_header,
            rows_max: self.maxrows,
            with_interval: self.with_interval,
            terminal,
        }
    }

    pub fn manner(&self) -> Manner {
        Manner {
            keep_going: self.keep_going,
            quiet: self.quiet,
        }
    }
}
