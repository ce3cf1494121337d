//! COPY … TO and CREATE TABLE … WITH (…) AS: what is in the files afterwards.

use std::path::Path;
use waterwheel::error::Error;
use waterwheel::{Engine, Outcome};

const CLICKS: &str = "CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT) \
     WITH (connector = 'file', path = 'tests/cases/clicks.jsonl');";

/// Runs a script to its end in a small engine, and gives the lines of what it showed.
async fn run(sql: &str) -> Result<usize, Error> {
    let engine = Engine::in_memory();
    let mut script = engine.script(sql)?;
    let mut shown = 0;
    while let Some(outcome) = script.next().await {
        match outcome? {
            Outcome::Done(_) => {}
            Outcome::Rows(batch) => shown += batch.num_rows(),
            Outcome::Query(query) => shown += query.collect().await?.iter().map(|b| b.num_rows()).sum::<usize>(),
            Outcome::Started(query) => drop(query.wait().await?),
        }
    }
    Ok(shown)
}

fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(future)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the file is there")
}

#[test]
fn a_plain_aggregate_is_copied_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out.csv");
    let copy = format!(
        "{CLICKS} SET max_rows_per_interval = 1; \
         COPY (SELECT usr, count(*) AS n FROM clicks GROUP BY usr ORDER BY usr) TO '{}' (HEADER false);",
        path.display()
    );
    block(run(&copy)).expect("it runs");
    assert_eq!(text(&path), "ann,3\nbob,3\ncat,2\n");
}

#[test]
fn a_limit_ends_a_copy() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out.csv");
    let copy = format!(
        "CREATE TABLE endless (n BIGINT) WITH (connector = 'datagen', fields.n.kind = 'sequence'); \
         COPY (SELECT n + 1 AS n FROM endless LIMIT 3) TO '{}' (HEADER false);",
        path.display()
    );
    block(run(&copy)).expect("it runs");
    assert_eq!(text(&path), "1\n2\n3\n");
}

#[test]
fn a_table_that_is_filled_is_copied_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out.jsonl");
    let copy = format!(
        "{CLICKS} CREATE TABLE fast (usr STRING); INSERT INTO fast SELECT usr FROM clicks WHERE page = 'pay'; \
         COPY fast TO '{0}' WITH (format = 'json');",
        path.display()
    );
    block(run(&copy)).expect("it runs");
    let mut lines: Vec<String> = text(&path).lines().map(str::to_string).collect();
    lines.sort();
    assert_eq!(lines, [r#"{"usr":"ann"}"#, r#"{"usr":"bob"}"#]);
}

#[test]
fn an_answer_without_rows_is_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out.parquet");
    let copy = format!(
        "{CLICKS} COPY (SELECT usr FROM clicks WHERE ms < 0) TO '{}';",
        path.display()
    );
    block(run(&copy)).expect("it runs");
    assert_eq!(
        block(run(&format!("SELECT * FROM '{}';", path.display()))).expect("it reads"),
        0
    );
}

#[test]
fn output_that_is_there_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out.csv");
    std::fs::write(&path, "mine\n").expect("a file");
    let copy = |options: &str| format!("COPY (VALUES (1)) TO '{}' {options};", path.display());
    let refused = block(run(&copy(""))).expect_err("the file is there");
    assert!(refused.message.contains("overwrite = true"), "{}", refused.message);
    assert_eq!(text(&path), "mine\n");
    block(run(&copy("WITH (overwrite = true)"))).expect("it is replaced");
    assert_eq!(text(&path), "column1\n1\n");
}

#[test]
fn a_table_made_from_a_query_writes_to_its_connector() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out.jsonl");
    let script = format!(
        "{CLICKS} CREATE TABLE pay WITH (connector = 'file', path = '{}') AS \
         SELECT usr, sum(ms) AS total FROM clicks WHERE page = 'pay' GROUP BY usr; SELECT * FROM pay WHERE total > 0;",
        path.display()
    );
    assert_eq!(block(run(&script)).expect("it runs"), 2);
    assert_eq!(text(&path).lines().count(), 2);
}
