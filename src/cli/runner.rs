//! Runs a text to its end: each statement in order, rows to stdout, everything else to stderr.

use super::Exit;
use super::interrupt::Interrupts;
use super::print::{Printer, Style};
use super::report::{Reporter, failed, say};
use super::stdin;
use super::summary;
use super::text::Text;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use waterwheel::error::{Error, Kind};
use waterwheel::metrics::Stopwatch;
use waterwheel::{Engine, Outcome, Query, Script};

/// How a script is run.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub keep_going: bool,
    pub quiet: bool,
}

/// One run of one text.
pub struct Runner {
    engine: Engine,
    text: Text,
    reporter: Reporter,
    printer: Printer,
    manner: Manner,
    interrupts: Interrupts,
    watch: Stopwatch,
    /// What has run, for the summary.
    queries: Vec<Query>,
    worst: Exit,
    /// Queries that have failed, and why, as statements that waited for them have told.
    told: Vec<(String, String)>,
}

impl Runner {
    pub fn new(
        engine: Engine,
        text: Text,
        reporter: Reporter,
        style: Style,
        manner: Manner,
        interrupts: Interrupts,
    ) -> Runner {
        Runner {
            engine,
            text,
            reporter,
            printer: Printer::stdout(style),
            manner,
            interrupts,
            watch: Stopwatch::start(),
            queries: Vec::new(),
            worst: Exit::Done,
            told: Vec::new(),
        }
    }

    /// Nothing starts while the text has mistakes, unless it is to be kept going.
    pub async fn run(mut self) -> Exit {
        let Some(mut script) = self.planned().await else {
            return self.worst;
        };
        self.interrupts.begin();
        let mut background = Vec::new();
        while let Some(outcome) = script.next().await {
            match outcome {
                Ok(Outcome::Started(query)) => background.push(query),
                Ok(Outcome::Query(query)) => self.rows(query).await,
                Ok(Outcome::Rows(batch)) => {
                    if let Err(error) = self.printer.small(&batch) {
                        self.failed(&error, Exit::Failed);
                    }
                }
                Ok(Outcome::Done(_)) => {}
                Err(error) => self.tell(error),
            }
            if self.is_over() {
                background.extend(script.leave());
                break;
            }
        }
        if !self.queries.is_empty() {
            script.stop_unread().await;
        }
        self.end(background).await
    }

    async fn planned(&mut self) -> Option<Script> {
        match stdin::plan(&self.engine, &self.text).await {
            Ok(script) => {
                self.reporter.diagnostics(Kind::Sql, &script.warnings, &self.text);
                Some(script)
            }
            Err(error) => {
                self.failed(&error, Exit::Failed);
                let runs = self.manner.keep_going && !self.interrupts.happened();
                let script = || Script::unchecked(&self.engine, &self.text.sql).without(&error.diagnostics);
                runs.then(|| script().whole())
            }
        }
    }

    /// Whether the statements that are left are not to be run.
    fn is_over(&self) -> bool {
        let failed = self.worst != Exit::Done && !self.manner.keep_going;
        failed || self.printer.is_closed() || self.interrupts.happened()
    }

    /// Tells why a statement was not run: its own mistake, or that of a query that fills what it reads.
    fn tell(&mut self, error: Error) {
        let Some(query) = error.query.clone() else {
            return self.failed(&error, Exit::Failed);
        };
        self.failed(&failed(&query, &error), Exit::Broke);
        self.told.push((query, error.message));
    }

    /// Shows the rows of a SELECT as they come.
    async fn rows(&mut self, query: Query) {
        if let Err(error) = self.printer.begin(&query) {
            query.cancel();
            self.failed(&error, Exit::Failed);
            return;
        }
        let mut updates = query.stream();
        if self.interrupts.happened() {
            query.cancel();
        }
        while let Some(Ok(update)) = updates.next().await {
            if let Err(error) = self.printer.update(&update) {
                self.failed(&error, Exit::Broke);
                break;
            }
            if self.printer.is_full() || self.printer.is_gone() {
                break;
            }
        }
        drop(updates);
        if self.printer.is_closed() {
            return;
        }
        match query.wait().await {
            Ok(_) if query.stopped() && !self.printer.is_full() => self.printer.stop(),
            Ok(_) => self.printer.end(),
            Err(error) => {
                self.printer.flush();
                self.failed(&error, Exit::Broke);
            }
        }
        self.queries.push(query);
    }

    /// Waits for what runs in the background, and says how it went.
    async fn end(mut self, background: Vec<Query>) -> Exit {
        if self.printer.is_closed() || self.interrupts.happened() {
            self.engine.shutdown().await;
        } else if self.is_over() {
            self.stop_endless(&background);
        }
        self.wait_for(&background).await;
        if self.printer.is_closed() {
            return Exit::Done;
        }
        if let Some(error) = self.printer.failure() {
            self.failed(&error, Exit::Broke);
        }
        self.queries.extend(background);
        if !self.manner.quiet && !self.queries.is_empty() {
            say(&summary::lines(&self.queries, self.watch));
        }
        match self.interrupts.happened() {
            true => Exit::Interrupted,
            false => self.worst,
        }
    }

    /// A script that has failed ends when the INSERTs have that end by themselves.
    fn stop_endless(&self, background: &[Query]) {
        let runs = |query: &&Query| !query.bounded() && query.wait().now_or_never().is_none();
        for query in background.iter().filter(runs) {
            query.cancel();
            let name = query.name();
            self.reporter
                .note(&format!("stopping `{name}`, which does not end by itself"));
        }
    }

    /// Tells of each query that fails, when it does.
    async fn wait_for(&mut self, background: &[Query]) {
        let waits = background
            .iter()
            .map(|query| async move { (query, query.wait().await) });
        let mut waits: FuturesUnordered<_> = waits.collect();
        while let Some((query, result)) = waits.next().await {
            let Err(error) = result else { continue };
            let is_told = |(name, message): &(String, String)| name == query.name() && *message == error.message;
            if let Some(place) = self.told.iter().position(is_told) {
                self.told.remove(place);
                continue;
            }
            match background.len() {
                1 => self.failed(&error, Exit::Broke),
                _ => self.failed(&failed(query.name(), &error), Exit::Broke),
            }
        }
    }

    fn failed(&mut self, error: &Error, exit: Exit) {
        self.worst = self.worst.max(exit);
        if error.diagnostics.is_empty() {
            self.reporter.plain(error);
            return;
        }
        self.reporter.diagnostics(error.kind, &error.diagnostics, &self.text);
    }
}
