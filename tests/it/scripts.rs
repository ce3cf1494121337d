//! Scripts that the program runs: what goes on when something fails, what waits for what, and what Ctrl-C stops.

use crate::cli::{ended_within, interrupt, spawn, stderr, stdout, waterwheel};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use waterwheel::{Engine, Outcome};

/// A folder with `bad.csv`, whose second record is bad, and `many.csv`, of whose 20,000 records each 100th is.
fn inputs() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("a file");
    write("bad.csv", "a,b\n1,2\nx,3\n".to_string());
    let record = |n: i32| match n % 100 {
        0 => format!("x,{n}\n"),
        _ => format!("{n},{n}\n"),
    };
    let records: String = (1..=20_000).map(record).collect();
    write("many.csv", format!("a,b\n{records}"));
    folder
}

fn table(name: &str, folder: &TempDir, options: &str) -> String {
    let path = folder.path().join(format!("{name}.csv"));
    format!(
        "CREATE TABLE {name} (a INT, b INT) WITH (connector = 'file', path = '{}'{options});\n",
        path.display()
    )
}

fn sink(name: &str, path: &Path) -> String {
    format!(
        "CREATE SINK {name} WITH (connector = 'file', path = '{}');\n",
        path.display()
    )
}

const BIDS: &str = "CREATE SOURCE bid WITH (connector = 'nexmark', type = 'bid');\n";

#[test]
fn a_select_that_fails_leaves_the_inserts_that_run() {
    let folder = inputs();
    let path = folder.path().join("out.csv");
    let sql = format!(
        "{}{}CREATE SOURCE made WITH (connector = 'nexmark', type = 'bid', events = 300000);
         INSERT INTO s SELECT auction FROM made; SELECT * FROM bad; SELECT 7 AS seven",
        table("bad", &folder, ""),
        sink("s", &path)
    );
    let out = waterwheel(&["-c", &sql], "");
    assert_eq!(out.status.code(), Some(3), "{}", stderr(&out));
    assert_eq!(stdout(&out), "{\"a\":1,\"b\":2}\n", "the next SELECT is not begun");
    let rows = std::fs::read_to_string(&path)
        .expect("the INSERT has ended")
        .lines()
        .count();
    assert_eq!(rows, 276_001);
}

#[test]
fn a_select_that_fails_stops_the_inserts_that_have_no_end() {
    let folder = inputs();
    let sql = format!(
        "{BIDS}{}CREATE SINK s WITH (connector = 'blackhole');
         INSERT INTO s SELECT auction FROM bid; SELECT * FROM bad",
        table("bad", &folder, "")
    );
    let out = waterwheel(&["-c", &sql], "");
    assert_eq!(out.status.code(), Some(3), "{}", stderr(&out));
    let told = "stopping `s`, which does not end by itself";
    assert!(stderr(&out).contains(told), "{}", stderr(&out));
}

#[test]
fn a_table_that_statements_behind_a_failure_would_fill_ends() {
    let folder = inputs();
    let path = folder.path().join("out.csv");
    let sql = format!(
        "CREATE TABLE m (a INT); {}{}INSERT INTO s SELECT a FROM m; INSERT INTO m VALUES (1);
         SELECT * FROM bad; INSERT INTO m VALUES (2)",
        table("bad", &folder, ""),
        sink("s", &path)
    );
    let out = waterwheel(&["-c", &sql], "");
    assert_eq!(out.status.code(), Some(3), "{}", stderr(&out));
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), "a\n1\n");
}

#[test]
fn each_query_that_fails_is_named() {
    let folder = inputs();
    let sql = format!(
        "{}CREATE SINK s1 WITH (connector = 'blackhole'); CREATE SINK s2 WITH (connector = 'blackhole');
         INSERT INTO s1 SELECT a FROM bad; INSERT INTO s2 SELECT b FROM bad;",
        table("bad", &folder, "")
    );
    let out = waterwheel(&["-c", &sql], "");
    assert_eq!(out.status.code(), Some(3));
    for name in ["s1", "s2"] {
        let told = stderr(&out).matches(&format!("`{name}` has failed: ")).count();
        assert_eq!(told, 1, "{}", stderr(&out));
    }
}

#[test]
fn an_error_after_the_start_is_3_wherever_it_shows() {
    let folder = inputs();
    let failing = [
        "CREATE TABLE m (a INT); INSERT INTO m SELECT a FROM bad; SELECT count(*) FROM m",
        "CREATE TABLE m (a INT); INSERT INTO m SELECT 1 / (a - 1) FROM (VALUES (1)) AS v (a); SELECT 2",
        "CREATE TABLE m AS SELECT a FROM bad; SELECT count(*) FROM m",
        "SELECT a FROM bad",
    ];
    for sql in failing {
        let sql = format!("{}{sql}", table("bad", &folder, ""));
        let out = waterwheel(&["-c", &sql], "");
        assert_eq!(out.status.code(), Some(3), "{sql}\n{}", stderr(&out));
        assert_eq!(stderr(&out).matches("error").count(), 1, "told once: {}", stderr(&out));
    }
}

#[test]
fn a_table_made_of_a_stream_can_be_read() {
    let folder = inputs();
    let sql = format!(
        "{}CREATE TABLE m AS SELECT a FROM many; SELECT count(*) AS n FROM m",
        table("many", &folder, ", on_error = 'skip'")
    );
    let out = waterwheel(&["-c", &sql], "");
    assert_eq!(stdout(&out), "{\"n\":19800}\n", "{}", stderr(&out));
}

#[test]
fn late_rows_and_dead_letters_wait_for_what_leaves_them() {
    let folder = inputs();
    let dead = format!(
        "{}CREATE SINK s WITH (connector = 'blackhole');
         INSERT INTO s SELECT a FROM many; INSERT INTO s SELECT b FROM many;
         INSERT INTO stdout SELECT count(*) AS inserted FROM dead_letters('many');
         SELECT count(*) AS selected FROM dead_letters('many')",
        table("many", &folder, ", on_error = 'dead_letter'")
    );
    let out = waterwheel(&["-c", &dead], "");
    let mut shown: Vec<String> = stdout(&out).lines().map(str::to_string).collect();
    shown.sort();
    assert_eq!(shown, ["{\"inserted\":200}", "{\"selected\":200}"], "{}", stderr(&out));

    let late = "CREATE SOURCE made (auction BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time AS date_time)
         WITH (connector = 'nexmark', type = 'bid', events = 50000, out_of_order = 3);
         CREATE SINK s WITH (connector = 'blackhole');
         INSERT INTO s SELECT window_end, count(*) FROM TUMBLE(made, date_time, INTERVAL '10' MILLISECOND)
             GROUP BY window_start, window_end;
         SELECT count(*) AS n FROM late_rows('s')";
    let out = waterwheel(&["-c", late], "");
    let told = stderr(&out);
    let counted = told.split(" late=").nth(1).and_then(|rest| rest.split(' ').next());
    let counted: usize = counted.expect("a summary").parse().expect("a number");
    assert!((1..10_000).contains(&counted), "{told}");
    assert_eq!(stdout(&out), format!("{{\"n\":{counted}}}\n"));
}

#[test]
fn a_select_without_end_must_be_the_last() {
    let out = waterwheel(&["-c", &format!("{BIDS}SELECT auction FROM bid;\nSELECT 1")], "");
    assert_eq!((out.status.code(), stdout(&out).as_str()), (Some(1), ""));
    assert!(
        stderr(&out).starts_with("<command>:2:1: error[no_end]: this SELECT does not end"),
        "{}",
        stderr(&out)
    );
    let kept = format!("{BIDS}SELECT auction FROM bid; SELECT 1 AS one");
    let out = waterwheel(&["--keep-going", "-c", &kept], "");
    assert_eq!((out.status.code(), stdout(&out).as_str()), (Some(1), "{\"one\":1}\n"));
    assert_eq!(stderr(&out).matches("error[no_end]").count(), 1, "{}", stderr(&out));
}

#[test]
fn what_planning_finds_wrong_is_not_run_when_the_script_is_kept_going() {
    let sql = "CREATE TABLE a (x INT); CREATE TABLE b (x INT); INSERT INTO a VALUES (1);
         INSERT INTO b SELECT x FROM a; INSERT INTO a SELECT x + 1 FROM b; SELECT count(*) AS n FROM b";
    let out = waterwheel(&["--keep-going", "-c", sql], "");
    assert_eq!((out.status.code(), stdout(&out).as_str()), (Some(1), "{\"n\":1}\n"));
    assert_eq!(stderr(&out).matches("error[circle]").count(), 1, "{}", stderr(&out));
}

#[test]
fn what_nobody_has_cast_fails_with_its_place() {
    let sql = "CREATE TABLE t (s STRING, at TIMESTAMP(3)); INSERT INTO t VALUES ('x', '2024-03-31 02:30:00');\n";
    for (query, told) in [
        (
            "SELECT s FROM t WHERE s = 5",
            ":2:23: error[not_computable]: 'x' is no BIGINT",
        ),
        (
            "SELECT at AT TIME ZONE 'Europe/Berlin' FROM t",
            ":2:8: error[not_computable]: there is no such local time in its time zone",
        ),
    ] {
        let out = waterwheel(&["-c", &format!("{sql}{query}")], "");
        assert_eq!(out.status.code(), Some(3), "{}", stderr(&out));
        assert!(stderr(&out).contains(told), "{}", stderr(&out));
    }
}

#[test]
fn a_limit_is_an_end() {
    let folder = inputs();
    let path = folder.path().join("five.csv");
    let sql = format!(
        "{BIDS}{}SELECT 1 AS n FROM bid LIMIT 2; INSERT INTO five SELECT auction FROM bid LIMIT 5; SELECT 2 AS n",
        sink("five", &path)
    );
    let out = waterwheel(&["-c", &sql], "");
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert_eq!(stdout(&out), "{\"n\":1}\n{\"n\":1}\n{\"n\":2}\n");
    assert_eq!(std::fs::read_to_string(&path).expect("a file").lines().count(), 6);
    let sql = format!("{BIDS}SELECT 1 AS n FROM bid LIMIT 2");
    let out = waterwheel(&["--format", "json", "-c", &sql], "");
    assert_eq!(stdout(&out), "[\n{\"n\":1},\n{\"n\":1}\n]\n", "{}", stderr(&out));
}

#[test]
fn a_push_source_is_refused_where_nobody_feeds_it() {
    let sql = "CREATE SOURCE p (a INT) WITH (connector = 'push');\nSELECT * FROM p";
    let out = waterwheel(&["-c", sql], "");
    assert_eq!(out.status.code(), Some(1));
    let told = stderr(&out);
    assert!(
        told.starts_with("<command>:1:43: error[no_host]: `p` is fed by a program"),
        "{told}"
    );
    assert_eq!(
        told.matches("error").count(),
        1,
        "that it is not there is no mistake: {told}"
    );
    // A program that embeds the engine may have its texts checked.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.sql");
    std::fs::write(&path, sql).expect("a file");
    let out = waterwheel(&["check", &path.display().to_string()], "");
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
}

/// A join that gives more rows than can be counted in a day.
fn endless_join(folder: &TempDir) -> String {
    let many = table("many", folder, ", on_error = 'skip'");
    format!("{many}SELECT count(*) FROM many AS a, many AS b, many AS c")
}

#[test]
fn ctrl_c_stops_a_long_batch() {
    let folder = inputs();
    let mut child = spawn(&["-c", &endless_join(&folder)], Stdio::null());
    std::thread::sleep(Duration::from_millis(1500));
    interrupt(&child);
    assert_eq!(ended_within(&mut child, 60), Some(130));
}

#[test]
fn ctrl_c_stops_a_join_whose_condition_is_never_true() {
    let made = |name: &str| format!("CREATE TABLE {name} AS SELECT n FROM range(0, 1000000) r(n);");
    let sql = format!(
        "{}{}SELECT count(*) FROM x, y WHERE x.n + y.n < 0",
        made("x"),
        made("y")
    );
    let mut child = spawn(&["-c", &sql], Stdio::null());
    // By then the tables are there, and the first of many batches is compared with a million rows.
    std::thread::sleep(Duration::from_secs(10));
    interrupt(&child);
    assert_eq!(ended_within(&mut child, 20), Some(130));
}

#[tokio::test]
async fn a_long_batch_can_be_cancelled() {
    let folder = inputs();
    let engine = Engine::in_memory();
    let mut script = engine.script(&endless_join(&folder)).expect("no mistakes");
    let query = loop {
        match script.next().await.expect("a SELECT").expect("no failure") {
            Outcome::Query(query) => break query,
            _ => continue,
        }
    };
    // By then all input is read, and the batch runs.
    tokio::time::sleep(Duration::from_millis(1000)).await;
    query.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(60), query.wait()).await;
    let ended = ended.expect("it does not run on for days");
    ended.expect("to be stopped is no failure");
    assert!(query.stopped());
}

/// What the statements of a text say that they did.
async fn done(engine: &Engine, text: &str) -> Vec<String> {
    let mut script = engine.script(text).expect("no mistakes");
    let mut said = Vec::new();
    while let Some(outcome) = script.next().await {
        match outcome.expect("no failure") {
            Outcome::Done(what) => said.push(what),
            Outcome::Started(query) => said.push(format!("started {}", query.name())),
            Outcome::Rows(_) | Outcome::Query(_) => said.push("rows".to_string()),
        }
    }
    said
}

#[tokio::test]
async fn to_drop_a_target_stops_what_fills_it() {
    let engine = Engine::in_memory();
    let start = "CREATE SOURCE bid WITH (connector = 'nexmark', type = 'bid');
         CREATE SINK s WITH (connector = 'blackhole'); CREATE TABLE m (price BIGINT);
         INSERT INTO s SELECT auction FROM bid; INSERT INTO m SELECT price FROM bid WHERE price < 0";
    let mut script = engine.script(start).expect("no mistakes");
    let mut running = Vec::new();
    while let Some(outcome) = script.next().await {
        if let Outcome::Started(query) = outcome.expect("no failure") {
            running.push(query);
        }
    }
    let mut refused = engine
        .script("DROP SOURCE bid")
        .expect("that it is read shows when it is run");
    let error = refused.next().await.expect("an answer").err().expect("it is read");
    assert_eq!(
        error.diagnostics[0].message,
        "`bid` is read by `m`, `s`, which still run"
    );

    assert_eq!(done(&engine, "DROP SINK s").await, ["stopped `s`, dropped s"]);
    assert!(running[0].stopped() && !running[1].stopped(), "the other goes on");
    assert_eq!(done(&engine, "DROP TABLE m").await, ["stopped `m`, dropped m"]);
    running[1].wait().await.expect("to be stopped is no failure");
    assert!(running[1].stopped());
    assert_eq!(done(&engine, "DROP SOURCE bid").await, ["dropped bid"]);
}

#[test]
fn a_sink_to_stdout_has_one_header() {
    let sink = "CREATE SINK s WITH (connector = 'stdout', format = 'csv');";
    let run = |sql: &str| {
        let out = waterwheel(&["-c", &format!("{sink}{sql}")], "");
        assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
        stdout(&out)
    };
    let twice = "INSERT INTO s SELECT 1 AS a; INSERT INTO s SELECT 2 AS a";
    assert_eq!(run(twice), "a\n1\n2\n");
    assert_eq!(
        run("INSERT INTO s SELECT 1 AS a WHERE false; INSERT INTO s SELECT 2 AS a"),
        "a\n2\n"
    );
    assert_eq!(
        run("INSERT INTO s SELECT 1 AS a; SELECT 5 AS five; INSERT INTO s SELECT 2 AS a")
            .matches("a\n")
            .count(),
        1
    );
    assert_eq!(run("INSERT INTO s SELECT 1 AS a WHERE false"), "a\n");
    assert_eq!(
        run("INSERT INTO s SELECT 1 AS a; INSERT INTO s SELECT 2 AS b"),
        "a\n1\nb\n2\n"
    );
}

#[test]
fn a_select_waits_for_a_limit_that_ends_an_insert() {
    let folder = inputs();
    let path = folder.path().join("limited.csv");
    for with in [
        String::new(),
        format!("WITH (connector = 'file', path = '{}')", path.display()),
    ] {
        let sql = format!(
            "CREATE SOURCE slow (a INT) WITH (connector = 'datagen', rate = 100);
             CREATE TABLE l {with} AS SELECT a FROM slow LIMIT 3; SELECT count(*) AS n FROM l"
        );
        let out = waterwheel(&["-c", &sql], "");
        assert_eq!(stdout(&out), "{\"n\":3}\n", "{}", stderr(&out));
    }
}

#[test]
fn a_select_waits_for_its_insert_beside_one_without_end() {
    let folder = inputs();
    let path = folder.path().join("limited.csv").display().to_string();
    let sql = format!(
        "{}CREATE SOURCE slow (a INT) WITH (connector = 'datagen', rate = 100);
         CREATE TABLE m (a INT); CREATE SINK s WITH (connector = 'blackhole');
         CREATE SINK l WITH (connector = 'file', path = '{path}') AS SELECT a FROM slow LIMIT 3;
         CREATE TABLE r (a INT) WITH (connector = 'file', path = '{path}');
         INSERT INTO m SELECT a FROM many; INSERT INTO s SELECT a FROM slow;
         SELECT count(*) AS n FROM r UNION ALL SELECT count(*) FROM m ORDER BY n",
        table("many", &folder, ", on_error = 'skip'")
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let engine = Engine::in_memory();
        let query = engine.query(&sql).await.expect("it is planned");
        let rows = query.one().await.expect("it ends");
        let shown = datafusion::arrow::util::pretty::pretty_format_batches(&[rows]).expect("text");
        let lines: Vec<String> = shown.to_string().lines().map(str::to_string).collect();
        assert_eq!(lines[3..5], ["| 3     |", "| 19800 |"], "{shown}");
        engine.shutdown().await;
    });
}

/// Each reads what the statement before it writes, under whatever name.
#[test]
fn a_file_is_read_when_it_has_been_written() {
    let folder = inputs();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let written = [
        format!(
            "CREATE TABLE d (a INT) WITH (connector = 'file', path = '{}'); INSERT INTO d SELECT a FROM many;
             CREATE TABLE r (a INT) WITH (connector = 'file', path = '{}/./d.csv');",
            at("d.csv"),
            folder.path().display()
        ),
        format!(
            "CREATE SINK d WITH (connector = 'file', path = '{}', format = 'csv') AS SELECT a FROM many;
             CREATE TABLE r (a INT) WITH (connector = 'file', path = '{}/part-*.csv');",
            at("d"),
            at("d")
        ),
        format!(
            "COPY (SELECT a FROM many) TO '{}'; CREATE EXTERNAL TABLE r (a INT) WITH (path = '{}');",
            at("c.csv"),
            at("c.csv")
        ),
    ];
    for (at, written) in written.into_iter().enumerate() {
        let out = folder.path().join(format!("out{at}.csv"));
        let sql = format!(
            "{}{written}{}INSERT INTO k SELECT a FROM r; SELECT count(*) AS n FROM r",
            table("many", &folder, ", on_error = 'skip'"),
            sink("k", &out)
        );
        let ran = waterwheel(&["-c", &sql], "");
        assert_eq!(stdout(&ran), "{\"n\":19800}\n", "{sql}: {}", stderr(&ran));
        let rows = std::fs::read_to_string(&out).expect("the INSERT has ended");
        assert_eq!(rows.lines().count(), 19_801, "{sql}");
    }
}

/// What a statement reads is replaced when it has been read, one file and the parts of a directory.
#[test]
fn nothing_is_replaced_that_an_insert_before_still_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("parts")).expect("a folder");
    let rows = |count: usize| format!("a\n{}", "1\n".repeat(count));
    for place in ["one.csv", "parts"] {
        std::fs::write(at("one.csv"), rows(200_000)).expect("a file");
        for part in 0..2 {
            std::fs::write(at(&format!("parts/part-{part}.csv")), rows(100_000)).expect("a file");
        }
        let sql = format!(
            "CREATE TABLE x (a INT) WITH (connector = 'file', path = '{}', format = 'csv', overwrite = true);
             CREATE SINK y WITH (connector = 'file', path = '{}');
             INSERT INTO y SELECT a FROM x; INSERT INTO x VALUES (7)",
            at(place).display(),
            at(&format!("copy_of_{place}.csv")).display()
        );
        let out = waterwheel(&["-c", &sql], "");
        assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
        let copied = std::fs::read_to_string(at(&format!("copy_of_{place}.csv"))).expect("it is written");
        assert_eq!(copied.lines().count(), 200_001, "{place}");
        let left = waterwheel(
            &[
                "-c",
                &format!(
                    "CREATE TABLE x (a INT) WITH (connector = 'file', path = '{}', format = 'csv'); FROM x",
                    at(place).display()
                ),
            ],
            "",
        );
        assert_eq!(stdout(&left), "{\"a\":7}\n", "{}", stderr(&left));
    }
}

/// An INSERT that fails is no end of its table, whether it would have ended or not.
#[test]
fn the_windows_of_what_a_failed_insert_fills_stay_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("bad.csv");
    std::fs::write(&input, "a,ts\n1,2020-01-01 00:00:01\nx,2020-01-01 00:00:02\n").expect("a file");
    for follow in ["false", "true"] {
        let path = folder.path().join("out.csv");
        let path = if follow == "true" {
            folder.path().join("out")
        } else {
            path
        };
        let sql = format!(
            "CREATE SOURCE bad (a INT, ts TIMESTAMP, WATERMARK FOR ts AS ts)
               WITH (connector = 'file', path = '{}', follow = {follow});
             CREATE TABLE m (a INT, ts TIMESTAMP, WATERMARK FOR ts AS ts);
             CREATE SINK o WITH (connector = 'file', path = '{}', format = 'csv');
             INSERT INTO m SELECT a, ts FROM bad;
             INSERT INTO o SELECT window_end, sum(a) AS s FROM TUMBLE(m, ts, INTERVAL '10 seconds') GROUP BY window_end",
            input.display(),
            path.display()
        );
        let out = waterwheel(&["-c", &sql], "");
        assert_eq!(out.status.code(), Some(3), "{}", stderr(&out));
        let told = "`o` has failed: what fills `m` has failed, so not all rows of it are there";
        assert!(stderr(&out).contains(told), "{}", stderr(&out));
        let parts = std::fs::read_dir(&path).map_or(0, Iterator::count);
        assert!(!path.is_file() && parts == 0, "{} was written", path.display());
    }
}

/// Nobody reads what it writes, so it cannot stop in good order.
#[test]
fn a_second_ctrl_c_ends_what_is_stuck() {
    let sql = format!(
        "{BIDS}CREATE SINK o WITH (connector = 'stdout', format = 'csv'); INSERT INTO o SELECT auction FROM bid"
    );
    let mut child = spawn(&["-c", &sql], Stdio::null());
    for _ in 0..2 {
        std::thread::sleep(Duration::from_secs(2));
        interrupt(&child);
    }
    assert_eq!(ended_within(&mut child, 20), Some(130));
}
