//! What a shell does with what was typed.

use super::meta::{self, Meta};
use crate::cli::print::{Format, Printer, Style};
use crate::cli::report::{Reporter, failed};
use crate::cli::stdin;
use crate::cli::text::Text;
use datafusion::arrow::array::{Array, RecordBatch, StringArray};
use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use waterwheel::error::{Error, Kind, Result};
use waterwheel::sql::grammar;
use waterwheel::{Engine, Outcome, Query};

/// How long a query may take to stop before its user is told what to do.
const PATIENCE: Duration = Duration::from_millis(500);

/// The engine with what the user has set and started.
pub struct Session {
    engine: Engine,
    reporter: Reporter,
    printer: Printer,
    /// The format before `\x`.
    plain: Format,
    background: Vec<Query>,
    interrupts: Signal,
}

impl Session {
    /// Errors: Ctrl-C cannot be listened to.
    pub fn new(engine: Engine, style: Style, reporter: Reporter) -> Result<Session> {
        let interrupts =
            signal(SignalKind::interrupt()).map_err(|e| Error::internal("Ctrl-C cannot be listened to").because(e))?;
        Ok(Session {
            engine,
            reporter,
            plain: style.format,
            printer: Printer::stdout(style),
            background: Vec::new(),
            interrupts,
        })
    }

    /// Runs statements, unless one of them has a mistake.
    pub async fn sql(&mut self, sql: String) {
        self.run(Text::named("<input>", sql)).await;
    }

    async fn run(&mut self, text: Text) {
        // A Ctrl-C from before is not for these statements.
        while self.interrupts.recv().now_or_never().is_some() {}
        if let Err(error) = self.statements(&text).await {
            self.printer.flush();
            match error.query.clone() {
                Some(query) => self.tell_failed(&query, &error),
                None => self.reporter.error(&error, &text),
            }
        }
    }

    /// A query has failed, which may run in the background: that is told once.
    fn tell_failed(&mut self, name: &str, error: &Error) {
        let told = |query: &Query| query.name() == name && query.wait().now_or_never().is_some();
        match self.background.iter().position(told) {
            Some(place) => {
                let query = self.background.remove(place);
                self.tell(&failed(query.name(), error));
            }
            None => self.tell(error),
        }
    }

    async fn statements(&mut self, text: &Text) -> Result<()> {
        let mut script = stdin::planned(|sql| self.engine.script(sql), text, stdin::Taker::Shell)?;
        self.reporter.diagnostics(Kind::Sql, &script.warnings, text);
        loop {
            let outcome = tokio::select! {
                outcome = script.next() => outcome,
                _ = self.interrupts.recv() => {
                    self.reporter.note("stopped");
                    return Ok(());
                }
            };
            match outcome.transpose()? {
                None => return Ok(()),
                Some(Outcome::Done(what)) => self.reporter.note(&what),
                Some(Outcome::Rows(batch)) => self.printer.small(&batch)?,
                Some(Outcome::Query(query)) => {
                    if !self.rows(&query).await? {
                        return Ok(());
                    }
                }
                Some(Outcome::Started(query)) => {
                    self.reporter
                        .note(&format!("`{}` runs in the background", query.name()));
                    self.background.push(query);
                }
            }
        }
    }

    /// Shows rows as they come; false when Ctrl-C stopped them.
    async fn rows(&mut self, query: &Query) -> Result<bool> {
        if let Err(error) = self.printer.begin(query) {
            query.cancel();
            return Err(error);
        }
        let mut updates = query.stream();
        let mut stopped = false;
        loop {
            let update = tokio::select! {
                update = updates.next() => update,
                _ = self.interrupts.recv() => {
                    stopped = true;
                    break;
                }
            };
            let Some(Ok(update)) = update else { break };
            self.printer.update(&update)?;
            if self.printer.is_full() || self.printer.is_closed() {
                break;
            }
        }
        // This stops the query, if it has not ended.
        drop(updates);
        let ended = tokio::select! {
            ended = query.wait() => ended.map(drop),
            _ = patience(stopped) => {
                self.reporter.note("stopping after the interval that runs; Ctrl-C again does not wait for it");
                tokio::select! {
                    ended = query.wait() => ended.map(drop),
                    _ = self.interrupts.recv() => Ok(()),
                }
            }
            _ = self.interrupts.recv() => {
                stopped = true;
                Ok(())
            }
        };
        ended?;
        match stopped {
            true => {
                self.printer.stop();
                self.reporter.note("stopped");
            }
            false => self.printer.end(),
        }
        Ok(!stopped)
    }

    pub async fn meta(&mut self, command: Meta) {
        match command {
            Meta::Quit => {}
            Meta::Help => self.printer.text(&meta::help()),
            Meta::Syntax(words) => self.syntax(&words),
            Meta::Describe(None) => self.sql("SHOW TABLES".to_string()).await,
            Meta::Describe(Some(name)) => self.sql(format!("DESCRIBE {name}")).await,
            Meta::Include(file) => match Text::of_files(&[file]) {
                Ok(text) => self.run(text).await,
                Err(error) => self.tell(&error),
            },
            Meta::Timing => {
                self.printer.timing = !self.printer.timing;
                let state = if self.printer.timing { "on" } else { "off" };
                self.reporter.note(&format!("timing is {state}"));
            }
            Meta::Expanded => {
                let is_on = self.printer.style.format == Format::Vertical;
                self.mode(if is_on { self.plain } else { Format::Vertical });
            }
            Meta::Mode(None) => self.tell_mode(),
            Meta::Mode(Some(format)) => self.mode(format),
        }
    }

    fn mode(&mut self, format: Format) {
        let before = std::mem::replace(&mut self.printer.style.format, format);
        if before != Format::Vertical {
            self.plain = before;
        } else if self.plain == Format::Vertical {
            self.plain = Format::Table;
        }
        self.tell_mode();
    }

    fn tell_mode(&self) {
        let name = meta::format_name(&self.printer.style.format);
        self.reporter.note(&format!("rows are shown as {name}"));
    }

    fn syntax(&mut self, words: &str) {
        if words.is_empty() {
            let all = grammar::statements().join("\n  ");
            self.printer.text(&format!("\\h with one of:\n  {all}\n"));
            return;
        }
        match grammar::statement_help(words) {
            Some(help) => self.printer.text(&format!("{help}\n")),
            None => self.tell(&Error::refused(format!(
                "there is no statement `{words}`: \\h shows them"
            ))),
        }
    }

    pub fn tell(&self, error: &Error) {
        self.reporter.plain(error);
    }

    pub fn is_closed(&self) -> bool {
        self.printer.is_closed()
    }

    /// Says which background queries have ended, and how.
    pub async fn tell_of_background(&mut self) {
        let mut running = Vec::new();
        for query in std::mem::take(&mut self.background) {
            match query.wait().now_or_never() {
                None => running.push(query),
                // Whoever stopped it was told.
                Some(Ok(_)) if query.stopped() => {}
                Some(Ok(_)) => self.reporter.note(&format!("`{}` is done", query.name())),
                Some(Err(error)) => self.tell(&failed(query.name(), &error)),
            }
        }
        self.background = running;
    }

    /// The names that Tab completes: relations and their columns.
    pub async fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for table in self.first_column("SHOW TABLES").await {
            let quoted = table.replace('"', "\"\"");
            names.extend(self.first_column(&format!("DESCRIBE \"{quoted}\"")).await);
            names.push(table);
        }
        names.sort();
        names.dedup();
        names
    }

    /// The first column of a small answer; nothing when there is none.
    async fn first_column(&self, sql: &str) -> Vec<String> {
        let Ok(mut script) = self.engine.script(sql) else {
            return Vec::new();
        };
        match script.next().await {
            Some(Ok(Outcome::Rows(batch))) => texts(&batch),
            _ => Vec::new(),
        }
    }

    /// Stops what still runs, so that what it has written stands. Only that is waited for: a SELECT that was stopped may
    /// still be busy, and nobody wants it. Ctrl-C ends the waiting.
    pub async fn leave(mut self) {
        let mut running = Vec::new();
        for query in &self.background {
            if query.wait().now_or_never().is_none() {
                query.cancel();
                running.push(query);
            }
        }
        if !running.is_empty() {
            self.reporter.note("stopping what runs in the background");
        }
        // What it comes to is told by nobody any more.
        let ended = join_all(running.into_iter().map(Query::wait));
        tokio::select! {
            _ = ended => {}
            _ = self.interrupts.recv() => {}
        }
    }
}

/// Passes when a query that was to stop takes longer than people expect.
async fn patience(stopped: bool) {
    match stopped {
        true => tokio::time::sleep(PATIENCE).await,
        false => std::future::pending().await,
    }
}

fn texts(batch: &RecordBatch) -> Vec<String> {
    let column = batch
        .columns()
        .first()
        .and_then(|c| c.as_any().downcast_ref::<StringArray>());
    column.map_or(Vec::new(), |c| c.iter().flatten().map(str::to_string).collect())
}
