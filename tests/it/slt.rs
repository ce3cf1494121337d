//! Runs every `tests/slt/*.slt` over the library: one engine per file, statements in order.
//!
//! A row is shown as text: NULL, `(empty)` for empty text, times as `2024-01-01T10:00:00`, floats as DataFusion casts them, lists as Arrow shows
//! them. Sort modes are those of sqllogictest.

use async_trait::async_trait;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use std::path::{Path, PathBuf};
use waterwheel::error::Error;
use waterwheel::{Engine, Outcome};

/// One engine, spoken to by sqllogictest.
struct Session(Engine);

#[async_trait]
impl AsyncDB for Session {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let mut script = self.0.script(sql)?;
        let mut shown = None;
        while let Some(outcome) = script.next().await {
            match outcome? {
                Outcome::Done(_) => {}
                Outcome::Rows(batch) => shown = Some(vec![batch]),
                Outcome::Query(query) => shown = Some(query.collect().await?),
                Outcome::Started(query) => drop(query.wait().await?),
            }
        }
        Ok(match shown {
            None => DBOutput::StatementComplete(0),
            Some(batches) => DBOutput::Rows {
                types: vec![DefaultColumnType::Any; batches.first().map_or(0, RecordBatch::num_columns)],
                rows: batches.iter().flat_map(rows).collect(),
            },
        })
    }

    async fn shutdown(&mut self) {
        self.0.shutdown().await;
    }
}

/// The rows of a batch as text.
fn rows(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayFormatter> = batch
        .columns()
        .iter()
        .map(|c| ArrayFormatter::try_new(c.as_ref(), &options).expect("every type can be shown"))
        .collect();
    let cell = |row: usize, c: usize| match batch.column(c).is_null(row) {
        true => "NULL".to_string(),
        false => match columns[c].value(row).to_string() {
            empty if empty.is_empty() => "(empty)".to_string(),
            text => text,
        },
    };
    (0..batch.num_rows())
        .map(|row| (0..columns.len()).map(|c| cell(row, c)).collect())
        .collect()
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let entries = std::fs::read_dir(folder).expect("tests/slt is there");
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("a readable folder").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "slt"));
    files.sort();
    files
}

/// All files are run, and all that fail are told.
#[test]
fn every_script_gives_what_it_says() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut wrong = Vec::new();
    for file in scripts() {
        let mut runner = Runner::new(|| async { Ok(Session(Engine::in_memory())) });
        if let Err(error) = runtime.block_on(runner.run_file_async(&file)) {
            wrong.push(format!("{}", error.display(false)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
