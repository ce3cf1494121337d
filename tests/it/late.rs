//! What `late_rows` gives of the rows that came too late.

use crate::cli::{stderr, stdout, waterwheel};
use std::fs;

#[test]
fn late_rows_have_the_columns_that_their_table_computes() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("a.jsonl");
    let rows = "{\"t\":\"2024-01-01T00:01:00\",\"g\":\"x\",\"n\":\"1\"}\n{\"t\":\"2024-01-01T00:00:05\",\"g\":\"y\",\"n\":\"no number\"}\n";
    fs::write(&file, rows).expect("a file");
    // Nobody reads `n2`, so it fails nobody.
    let sql = format!(
        "CREATE TABLE d (t STRING, g STRING, up STRING AS upper(g), n STRING, n2 INT AS CAST(n AS INT),
             ts AS CAST(t AS TIMESTAMP(3)), WATERMARK FOR ts AS ts) WITH (connector = 'file', path = '{}');
         SELECT window_end, up, count(*) AS n FROM TUMBLE(d, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end, up;
         SELECT g, up, n, n2, ts, late_window_end FROM late_rows('q1')",
        file.display()
    );
    let out = waterwheel(&["-c", &sql], "");
    let late = stdout(&out).lines().nth(1).map(str::to_string);
    let wanted = "{\"g\":\"y\",\"up\":\"Y\",\"n\":\"no number\",\"n2\":null,\"ts\":\"2024-01-01T00:00:05Z\",\
                  \"late_window_end\":\"2024-01-01T00:00:10Z\"}";
    assert_eq!(late.as_deref(), Some(wanted), "{}", stderr(&out));
}

/// Rows that come several times below their window, and below several windows.
#[test]
fn what_is_said_of_a_row_is_said_once() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("a.jsonl");
    let row = |ts: &str| format!("{{\"ts\":{ts},\"xs\":[1,2,3]}}\n");
    let at = |second: &str| row(&format!("\"2024-01-01T00:00:{second}\""));
    // The last is late for the first of its windows, and those without time come with and without late ones.
    let rows = [
        row("null"),
        at("05"),
        at("12"),
        row("null"),
        at("25"),
        at("16"),
        row("null"),
    ]
    .concat();
    fs::write(&file, rows).expect("a file");
    let table = format!(
        "CREATE TABLE d (ts TIMESTAMP(3), xs INT[], WATERMARK FOR ts AS ts) WITH (connector = 'file', path = '{}');",
        file.display()
    );
    let window = |from: &str| {
        format!(
            "SELECT window_end, count(*) AS n FROM HOP({from}, ts, INTERVAL '10' SECOND, INTERVAL '20' SECOND) \
             GROUP BY window_start, window_end"
        )
    };
    let copies = window("(SELECT d.*, x FROM d CROSS JOIN UNNEST(xs) AS u(x))");
    let several = window("d");
    let twice = format!(
        "SELECT a.n FROM ({several}) AS a JOIN ({several} HAVING count(*) > 0) AS b ON a.window_end = b.window_end"
    );
    let in_time = "SET max_rows_per_interval = 1;";
    for (settings, sql) in [("", &several), ("", &copies), (in_time, &copies), ("", &twice)] {
        let out = waterwheel(&["-c", &format!("{settings} {table} {sql}")], "");
        let said = stderr(&out);
        assert!(
            said.contains(" late=0 late_partial=1 bad=0 null_time=3 "),
            "{sql}: {said}"
        );
    }
}

#[test]
fn late_rows_of_sources_that_differ_are_refused() {
    let sql = "CREATE TABLE s (a STRING, b STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
         CREATE TABLE t (b STRING, a STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
         SELECT window_end, count(*) AS c FROM TUMBLE((SELECT ts, a FROM s UNION ALL SELECT ts, a FROM t), ts,
             INTERVAL '10' SECOND) GROUP BY window_start, window_end;
         SELECT a FROM late_rows('q1')";
    let out = waterwheel(&["-c", sql], "");
    assert_eq!(out.status.code(), Some(1));
    let wanted = "<command>:5:35: error[late_columns]: the windows of `q1` read sources with different columns";
    assert!(stderr(&out).starts_with(wanted), "{}", stderr(&out));
}

#[test]
fn a_select_waits_for_the_late_rows_of_a_copy() {
    let folder = tempfile::tempdir().expect("a directory");
    let source = "CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, \
         WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH (connector = 'file', path = 'tests/cases/clicks.jsonl');";
    let counts = "SELECT window_start, count(*) AS n FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) \
         GROUP BY window_start, window_end";
    let path = folder.path().join("out.csv");
    let copy = format!("COPY ({counts} LATE ROWS INTO missed) TO '{}'", path.display());
    let create = format!("CREATE TABLE kept AS {counts} LATE ROWS INTO missed");
    for statement in [copy, create] {
        let out = waterwheel(&["-c", &format!("{source} {statement}; SELECT usr FROM missed")], "");
        assert_eq!(stdout(&out), "{\"usr\":\"cat\"}\n", "{statement}: {}", stderr(&out));
    }
}

/// A delay of a century is no advice.
#[test]
fn a_time_far_in_the_future_is_told_of_and_not_the_rows_that_it_made_late() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("a.jsonl");
    let row = |time: &str| format!("{{\"ts\":\"{time}\"}}\n");
    let rows = row("2024-01-01T00:00:00") + &row("2124-01-01T00:00:00") + &row("2024-01-01T00:00:01").repeat(120);
    fs::write(&file, rows).expect("a file");
    let sql = format!(
        "CREATE TABLE d (ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (connector = 'file', path = '{}'); \
         SELECT count(*) AS n FROM TUMBLE(d, ts, INTERVAL '1' SECOND) GROUP BY window_start, window_end;",
        file.display()
    );
    let out = waterwheel(&["-c", &sql], "");
    let told = stderr(&out);
    assert!(told.contains("late=120"), "{told}");
    assert!(told.contains("days ahead of the clock"), "{told}");
    assert!(!told.contains("would have taken them in"), "{told}");
}

#[test]
fn explain_tells_how_long_a_query_waits_for_what_is_quiet() {
    let source = "CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, WATERMARK FOR ts AS ts)
         WITH (connector = 'file', path = 'tests/cases/clicks.jsonl');";
    let counts = "SELECT count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end";
    let note = |settings: &str, clause: &str| {
        let out = waterwheel(&["-c", &format!("{source} {settings} EXPLAIN {counts} {clause}")], "");
        let noted = stdout(&out)
            .lines()
            .find_map(|line| line.split_once("note: ").map(|(_, note)| note.to_string()));
        noted.unwrap_or_default().trim_end_matches("\"}").to_string()
    };
    assert_eq!(note("", ""), "");
    let waits = "does not wait for what has been quiet for 30 s";
    assert_eq!(note("", "IDLE TIMEOUT INTERVAL '30' SECOND"), waits);
    assert_eq!(note("SET idle_timeout = '30s';", ""), waits);
    let for_ever = "waits for quiet sources for ever";
    assert_eq!(
        note("SET idle_timeout = '30s';", "IDLE TIMEOUT INTERVAL '0' SECOND"),
        for_ever
    );
}
