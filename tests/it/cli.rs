//! Transcripts of the program: what it writes where, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const CLICKS: &str = "CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, \
     WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) \
     WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');\n";

const BIDS: &str = "CREATE SOURCE bid WITH (connector = 'nexmark', type = 'bid');\n";

/// A bid whose `price` is never this, so that no row ever comes.
const SILENCE: &str = "SELECT auction FROM bid WHERE price < 0;";

/// Runs the program with `stdin` as its input.
pub fn waterwheel(arguments: &[&str], stdin: &str) -> Output {
    let mut child = spawn(arguments, Stdio::piped());
    let mut input = child.stdin.take().expect("stdin is a pipe");
    // A program that reads nothing closes it early.
    let _ = input.write_all(stdin.as_bytes());
    drop(input);
    child.wait_with_output().expect("the program ends")
}

pub fn spawn(arguments: &[&str], stdin: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_waterwheel"))
        // Those are for the tests, not for the program.
        .env_remove("WATERWHEEL_SEED")
        .env_remove("WATERWHEEL_LONG")
        .args(arguments)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// What a run over the clicks gives on stdout.
fn clicks(flags: &[&str], query: &str) -> String {
    let sql = format!("{CLICKS}{query}");
    let out = waterwheel(&[flags, &["-c", &sql]].concat(), "");
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    stdout(&out)
}

pub fn stdout(out: &Output) -> String {
    String::from_utf8(out.stdout.clone()).expect("text")
}

pub fn stderr(out: &Output) -> String {
    String::from_utf8(out.stderr.clone()).expect("text")
}

/// Waits at most `limit_s`; a program that hangs is ended and has no exit code.
pub fn ended_within(child: &mut Child, limit_s: u64) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(limit_s) {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("a child");
    None
}

const SLOW: &str = "SELECT ts, usr, ms FROM clicks WHERE ms >= 120 AND ms <> 500";

#[test]
fn each_format_has_its_shape() {
    let expected = [
        (
            "table",
            " ts                  │ usr    │  ms\n TIMESTAMP(3)        │ STRING │ INT\n\
             ─────────────────────┼────────┼─────\n 2024-01-01 10:00:01 │ ann    │ 120\n 2024-01-01 10:00:04 │ bob    │ 300\n",
        ),
        (
            "vertical",
            "─── row 1 ───\n ts │ 2024-01-01 10:00:01\nusr │ ann\n ms │ 120\n\
             ─── row 2 ───\n ts │ 2024-01-01 10:00:04\nusr │ bob\n ms │ 300\n",
        ),
        (
            "csv",
            "ts,usr,ms\n2024-01-01T10:00:01,ann,120\n2024-01-01T10:00:04,bob,300\n",
        ),
        (
            "tsv",
            "ts\tusr\tms\n2024-01-01T10:00:01\tann\t120\n2024-01-01T10:00:04\tbob\t300\n",
        ),
        (
            "json",
            "[\n{\"ts\":\"2024-01-01T10:00:01Z\",\"usr\":\"ann\",\"ms\":120},\n\
             {\"ts\":\"2024-01-01T10:00:04Z\",\"usr\":\"bob\",\"ms\":300}\n]\n",
        ),
        (
            "ndjson",
            "{\"ts\":\"2024-01-01T10:00:01Z\",\"usr\":\"ann\",\"ms\":120}\n\
             {\"ts\":\"2024-01-01T10:00:04Z\",\"usr\":\"bob\",\"ms\":300}\n",
        ),
        (
            "markdown",
            "| ts                  | usr |  ms |\n|---------------------|-----|----:|\n\
             | 2024-01-01 10:00:01 | ann | 120 |\n| 2024-01-01 10:00:04 | bob | 300 |\n",
        ),
    ];
    for (format, rows) in expected {
        assert_eq!(clicks(&["--format", format], SLOW), rows, "{format}");
    }
    assert_eq!(clicks(&[], SLOW), expected[5].1, "off a terminal it is ndjson");
}

#[test]
fn a_union_has_the_names_of_its_first_select() {
    let out = waterwheel(&["--quiet", "-c", "SELECT 1, 1 + 1 UNION ALL (SELECT 2, 3)"], "");
    assert!(stdout(&out).starts_with("{\"1\":1,\"1 + 1\":2}\n"), "{}", stdout(&out));
}

#[test]
fn a_sink_below_a_file_is_refused_in_words() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for below in ["", "/parts", "/one.csv"] {
        let path = format!("{}{below}", file.path().display());
        let sql = format!(
            "CREATE SINK o WITH (connector = 'file', path = '{path}', format = 'csv'); INSERT INTO o VALUES (1)"
        );
        let told = stderr(&waterwheel(&["-c", &sql], ""));
        assert!(
            told.contains("is a file, and no directory to write into"),
            "{path}: {told}"
        );
    }
}

#[test]
fn results_without_rows_have_their_shape_too() {
    let none = "SELECT usr, ms FROM clicks WHERE ms < 0";
    assert_eq!(clicks(&["--format", "json"], none), "[]\n");
    assert_eq!(clicks(&["--format", "csv"], none), "usr,ms\n");
    assert_eq!(clicks(&["--format", "ndjson"], none), "");
}

#[test]
fn flags_shape_the_rows() {
    let null = "SELECT CAST(NULL AS INT) AS a, 'x' AS b";
    assert_eq!(clicks(&["--format", "csv", "--null", "-"], null), "a,b\n-,x\n");
    assert_eq!(clicks(&["--format", "csv", "--no-header"], null), ",x\n");
    assert_eq!(
        clicks(&["--format", "csv", "--maxrows", "1"], "SELECT usr FROM clicks"),
        "usr\nann\n"
    );
    let with_interval = clicks(
        &["--format", "csv", "--with-interval"],
        "SELECT usr FROM clicks LIMIT 1",
    );
    assert_eq!(with_interval, "interval,usr\n0,ann\n");
}

#[test]
fn the_summary_is_the_last_line_of_stderr() {
    let query =
        "SELECT window_start, count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end";
    let sql = format!("{CLICKS}{query}");
    let said = stderr(&waterwheel(&["-c", &sql], ""));
    let (words, numbers) = said.split_once("done: ").expect("a summary");
    assert!(words.starts_with("late: 1 row was left out"), "{said}");
    let shape: String = numbers
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let shape = shape.split("00").collect::<Vec<_>>().join("0");
    assert!(
        shape.starts_with("intervals=0 rows_in=0 rows_out=0 late=0 late_partial=0 bad=0 null_time=0 wall_s="),
        "{said}"
    );
    assert!(numbers.contains("rows_in=8 rows_out=4 late=1 late_partial=0"), "{said}");
    assert!(
        numbers
            .trim_end()
            .rsplit(' ')
            .next()
            .is_some_and(|last| last.starts_with("rows_per_s=")),
        "{said}"
    );
    assert_eq!(stderr(&waterwheel(&["--quiet", "-c", &sql], "")), "");
}

#[test]
fn a_script_can_come_from_everywhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    // Without `;` at its end, and with a comment there: the next file begins a statement of its own.
    let schema = file("schema.sql", CLICKS.trim_end().trim_end_matches(';'));
    let query = file("query.sql", "SELECT usr FROM clicks LIMIT 1 -- the first");
    let row = "{\"usr\":\"ann\"}\n";
    assert_eq!(stdout(&waterwheel(&["run", &schema, &query], "")), row);
    let all = format!("{CLICKS}SELECT usr FROM clicks LIMIT 1");
    assert_eq!(stdout(&waterwheel(&[], &all)), row);
    assert_eq!(stdout(&waterwheel(&["run", "-"], &all)), row);
    // A mistake in the second file is told with the line of that file.
    let broken = file("broken.sql", "\nSELECT usrr FROM clicks;");
    let out = waterwheel(&["run", &schema, &broken], "");
    assert_eq!(out.status.code(), Some(1));
    assert!(
        stderr(&out).starts_with(&format!("{broken}:2:8: error[unknown_column]")),
        "{}",
        stderr(&out)
    );
}

#[test]
fn an_undeclared_stdin_is_json_lines_or_text() {
    let json = "{\"a\": 1, \"b\": \"x\"}\n{\"a\": 2, \"b\": \"y\"}\n";
    let out = waterwheel(&["-c", "SELECT a + 1 AS n, b FROM stdin"], json);
    assert_eq!(stdout(&out), "{\"n\":2,\"b\":\"x\"}\n{\"n\":3,\"b\":\"y\"}\n");
    let out = waterwheel(&["-c", "SELECT upper(line) AS l FROM stdin"], "one\ntwo\n");
    assert_eq!(stdout(&out), "{\"l\":\"ONE\"}\n{\"l\":\"TWO\"}\n");
    let out = waterwheel(&[], "SELECT * FROM stdin");
    assert_eq!(out.status.code(), Some(1));
    assert!(
        stderr(&out).starts_with("<stdin>:1:15: error[stdin_taken]"),
        "{}",
        stderr(&out)
    );
}

#[test]
fn rows_appear_while_the_input_goes_on() {
    let mut child = spawn(&["-c", "SELECT line FROM stdin"], Stdio::piped());
    let mut input = child.stdin.take().expect("a pipe");
    let mut rows = BufReader::new(child.stdout.take().expect("a pipe"));
    for line in ["one", "two"] {
        writeln!(input, "{line}").expect("the program reads");
        let mut row = String::new();
        rows.read_line(&mut row).expect("a row");
        assert_eq!(row, format!("{{\"line\":\"{line}\"}}\n"));
    }
    drop(input);
    assert_eq!(ended_within(&mut child, 30), Some(0));
}

#[test]
fn exit_codes_tell_what_happened() {
    let code = |arguments: &[&str]| waterwheel(arguments, "").status.code();
    assert_eq!(code(&["-c", "SELECT 1"]), Some(0));
    assert_eq!(code(&["-c", "SELECT x"]), Some(1));
    assert_eq!(code(&["check", "tests/errors/case_41.sql"]), Some(1));
    assert_eq!(code(&["run", "tests/nosuch.sql"]), Some(2));
    assert_eq!(code(&["--no-such-flag"]), Some(2));
    assert_eq!(code(&["--set", "intervall=5ms", "-c", "SELECT 1"]), Some(2));
    assert_eq!(code(&["verify", "x.sql"]), Some(2));
    assert_eq!(code(&["--version"]), Some(0));
    let broken = format!("{CLICKS}SELECT 1 / (ms - 300) FROM clicks");
    let out = waterwheel(&["-c", &broken], "");
    assert_eq!(out.status.code(), Some(3), "{}", stderr(&out));
    assert!(stderr(&out).contains("error"), "{}", stderr(&out));
}

#[test]
fn nothing_starts_while_there_are_mistakes() {
    let sql = "SELECT 1 AS one; SELECT nothing FROM nowhere; SELECT 2 AS two";
    let out = waterwheel(&["-c", sql], "");
    assert_eq!((out.status.code(), stdout(&out).as_str()), (Some(1), ""));
    let out = waterwheel(&["--keep-going", "-c", sql], "");
    assert_eq!(
        (out.status.code(), stdout(&out).as_str()),
        (Some(1), "{\"one\":1}\n{\"two\":2}\n")
    );
    let told = stderr(&out).matches("error[unknown_table]").count();
    assert_eq!(
        told,
        1,
        "planning tells it, and the statement not again: {}",
        stderr(&out)
    );
    let out = waterwheel(&["--errors", "json", "--keep-going", "-c", sql], "");
    let told = stderr(&out).matches("unknown_table").count();
    assert_eq!(told, 1, "{}", stderr(&out));
}

#[test]
fn mistakes_are_json_for_programs() {
    let out = waterwheel(&["--errors", "json", "-c", "SELECT 1;\nSELECT uper('x');"], "");
    let said = stderr(&out);
    assert_eq!(said.lines().count(), 1, "{said}");
    let starts = "{\"kind\":\"sql\",\"severity\":\"error\",\"code\":\"unknown_function\",\"message\":\"function `uper` not found\",\
                  \"file\":\"<command>\",\"line\":2,\"column\":8,\"length\":4,";
    assert!(said.starts_with(starts), "{said}");
    assert!(said.contains("\"candidates\":[\"upper\""), "{said}");
}

#[test]
fn a_closed_pipe_ends_an_unbounded_query_quietly() {
    let sql = format!("{BIDS}SELECT auction FROM bid;");
    let mut child = spawn(&["-c", &sql], Stdio::null());
    let mut rows = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for _ in 0..3 {
        rows.next().expect("a row").expect("text");
    }
    drop(rows);
    assert_eq!(ended_within(&mut child, 30), Some(0));
    let mut said = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut said)
        .expect("text");
    assert_eq!(said, "");
}

#[test]
fn a_stderr_that_nobody_reads_changes_nothing() {
    for (sql, code) in [("SELECT 1 AS one", 0), ("SELECT", 1)] {
        let mut child = spawn(&["-c", sql], Stdio::null());
        drop(child.stderr.take());
        let out = child.wait_with_output().expect("the program ends");
        assert_eq!(out.status.code(), Some(code), "{sql}");
        assert_eq!(out.stdout.is_empty(), code > 0, "{sql}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_stdout_that_is_full_ends_an_unbounded_query() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("a device");
    let mut child = Command::new(env!("CARGO_BIN_EXE_waterwheel"))
        .args(["-c", &format!("{BIDS}SELECT auction FROM bid;")])
        .stdin(Stdio::null())
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    assert_eq!(ended_within(&mut child, 30), Some(3));
}

#[test]
fn ctrl_c_stops_a_query_in_good_order() {
    stops_in_good_order("-INT");
}

#[test]
fn so_does_the_signal_to_terminate() {
    stops_in_good_order("-TERM");
}

fn stops_in_good_order(with: &str) {
    let mut child = spawn(&["-c", &format!("{BIDS}{SILENCE}")], Stdio::null());
    std::thread::sleep(Duration::from_millis(1500));
    signal(&child, with);
    assert_eq!(ended_within(&mut child, 30), Some(130));
    let mut said = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut said)
        .expect("text");
    assert!(
        said.starts_with("interrupted: stopping after the current interval"),
        "{said}"
    );
    assert!(said.contains("\ndone: intervals="), "{said}");
}

pub fn interrupt(child: &Child) {
    signal(child, "-INT");
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

#[test]
fn inserts_share_a_run_and_are_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (home, rest) = (path("home.csv"), path("rest.csv"));
    let sql = format!(
        "{CLICKS}CREATE SINK home WITH (connector = 'file', path = '{home}');
         CREATE SINK rest WITH (connector = 'file', path = '{rest}');
         INSERT INTO home SELECT usr FROM clicks WHERE page = 'home';
         INSERT INTO rest SELECT usr FROM clicks WHERE page <> 'home';"
    );
    let out = waterwheel(&["-c", &sql], "");
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert!(
        stderr(&out).contains("rows_in=8 rows_out=8"),
        "one scan for both: {}",
        stderr(&out)
    );
    assert_eq!(
        std::fs::read_to_string(home).expect("a file"),
        "usr\nann\ncat\ncat\nbob\n"
    );
    assert_eq!(
        std::fs::read_to_string(rest).expect("a file"),
        "usr\nbob\nann\nbob\nann\n"
    );
}

#[test]
fn a_table_without_connector_ends_with_the_last_insert_into_it() {
    let tables = "CREATE TABLE t (a INT, ts TIMESTAMP, WATERMARK FOR ts AS ts); CREATE TABLE u (n BIGINT);";
    let sql = format!(
        "{tables} INSERT INTO u SELECT a + 1 FROM t;
         INSERT INTO t VALUES (1, '2026-01-01T00:00:00'), (2, '2026-01-01T00:00:15');
         SELECT sum(n) AS total FROM u;
         INSERT INTO t VALUES (3, '2026-01-01T00:00:25');
         SELECT sum(n) AS total FROM u;
         INSERT INTO stdout SELECT window_end, count(*) AS n FROM TUMBLE(t, ts, INTERVAL '10 seconds')
             GROUP BY window_end"
    );
    let out = waterwheel(&["-c", &sql], "");
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert_eq!(
        stdout(&out),
        "{\"total\":5}\n{\"total\":9}\n\
         {\"window_end\":\"2026-01-01T00:00:10Z\",\"n\":1}\n\
         {\"window_end\":\"2026-01-01T00:00:20Z\",\"n\":1}\n\
         {\"window_end\":\"2026-01-01T00:00:30Z\",\"n\":1}\n"
    );
    let chained = format!(
        "{tables} CREATE TABLE v (total BIGINT);
         INSERT INTO v SELECT sum(n) FROM u; INSERT INTO u SELECT a FROM t;
         INSERT INTO t VALUES (1, NULL), (2, NULL);
         SELECT * FROM v"
    );
    let out = waterwheel(&["-c", &chained], "");
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert_eq!(stdout(&out), "{\"total\":3}\n");
}

#[test]
fn late_rows_of_files_in_the_wrong_order_are_explained() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, second: i64| {
        let text = format!("ts,n\n2026-01-01T00:00:{second:02}Z,1\n");
        std::fs::write(directory.path().join(name), text).expect("a file");
    };
    write("app-10.csv", 40);
    write("app-9.csv", 1);
    let run = |splits: &str| {
        let sql = format!(
            "CREATE SOURCE logs (ts TIMESTAMP, n INT, WATERMARK FOR ts AS ts)
             WITH (connector = 'file', path = '{}/*.csv', splits = '{splits}');
             SELECT window_end, sum(n) AS n FROM TUMBLE(logs, ts, INTERVAL '10 seconds') GROUP BY window_end",
            directory.path().display()
        );
        let out = waterwheel(&["-c", &sql], "");
        (stdout(&out).lines().count(), stderr(&out).contains("splits = 'file'"))
    };
    assert_eq!(run("ordered"), (1, true));
    assert_eq!(run("file"), (2, false));
}

#[test]
fn warnings_of_late_rows_name_the_source_and_the_queries() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, late: usize| {
        let path = directory.path().join(name);
        let rows = "2026-01-01T00:00:01Z,1\n".repeat(late);
        std::fs::write(&path, format!("ts,n\n2026-01-01T00:01:00Z,1\n{rows}")).expect("a file");
        format!(
            "CREATE SOURCE {name} (ts TIMESTAMP, n INT, WATERMARK FOR ts AS ts)
             WITH (connector = 'file', path = '{}', format = 'csv');
             CREATE SINK of_{name} WITH (connector = 'blackhole');",
            path.display()
        )
    };
    let insert = |name: &str| {
        format!(
            "INSERT INTO of_{name} SELECT window_end, sum(n) AS n FROM TUMBLE({name}, ts, INTERVAL '10 seconds') \
             GROUP BY window_end;"
        )
    };
    let sql = [file("many", 200), file("few", 3), insert("many"), insert("few")].concat();
    let told = stderr(&waterwheel(&["-c", &sql], ""));
    assert!(told.contains("late: 200 rows were left out of `of_many`, as"), "{told}");
    assert!(told.contains("late: 3 rows were left out of `of_few`, as"), "{told}");
    assert!(told.contains("100 % of the rows of `many` were late"), "{told}");
    assert!(!told.contains("rows of `few` were late"), "{told}");
}

#[test]
fn a_query_that_fails_leaves_the_others_of_its_script_running() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = |name: &str| {
        let path = folder.path().join(format!("{name}.csv"));
        format!(
            "CREATE SINK {name} WITH (connector = 'file', path = '{}');\n",
            path.display()
        )
    };
    let sql = format!(
        "{CLICKS}{}{}{}INSERT INTO one SELECT usr, ms FROM clicks;\n\
         INSERT INTO bad SELECT 1000 / (ms - 120) AS x FROM clicks;\n\
         INSERT INTO worse SELECT CAST(usr AS INT) AS x FROM clicks;\n",
        sink("one"),
        sink("bad"),
        sink("worse")
    );
    let out = waterwheel(&["-c", &sql], "");
    let told = stderr(&out);
    assert_eq!(out.status.code(), Some(3), "{told}");
    assert!(
        told.contains("error[not_computable]: `bad` has failed: division by zero"),
        "{told}"
    );
    assert!(told.contains("INSERT INTO bad SELECT 1000 / (ms - 120)"), "{told}");
    assert!(
        told.contains("error[not_computable]: `worse` has failed: 'ann' is no INT"),
        "{told}"
    );
    assert!(told.contains("done: intervals="), "{told}");
    let written = std::fs::read_to_string(folder.path().join("one.csv")).expect("a file");
    assert_eq!(written.lines().count(), 9, "a header and eight rows: {written}");
    assert!(!folder.path().join("bad.csv").exists());
}

#[test]
fn an_overflow_of_a_row_is_told_where_it_is_computed() {
    let told = |query: &str| {
        let out = waterwheel(&["-c", &format!("{CLICKS}{query}")], "");
        let told = stderr(&out);
        assert_eq!(out.status.code(), Some(3), "{told}");
        told
    };
    let product = told("SELECT ms + 1, ms * ms * ms * ms FROM clicks;");
    assert!(product.contains("error[not_computable]: overflow: "), "{product}");
    assert!(product.contains(" does not fit into INT\n"), "{product}");
    assert!(product.contains("it was one of ms * ms * ms * ms ("), "{product}");
    assert!(!product.contains("ms + 1 ("), "{product}");
    let sum = told("SELECT usr, sum(ms + 9000000000000000000) FROM clicks GROUP BY usr;");
    let place = "<command>:2:13: error[not_computable]: overflow: the sum ";
    assert!(sum.contains(place), "{sum}");
}

#[test]
fn what_was_committed_before_a_failure_is_in_its_sink() {
    let folder = tempfile::tempdir().expect("a folder");
    let numbers = folder.path().join("numbers.csv");
    let rows: String = (0..100).map(|n| format!("{n}\n")).collect();
    std::fs::write(&numbers, format!("id\n{rows}")).expect("a file");
    for (name, limit) in [("each", ""), ("rolled", ", max_rows_per_file = '1000'")] {
        let out = folder.path().join(name);
        let sql = format!(
            "SET max_rows_per_interval = 10;\n\
             CREATE TABLE t (id INT) WITH (connector = 'file', path = '{}');\n\
             CREATE SINK o WITH (connector = 'file', path = '{}', format = 'csv'{limit});\n\
             INSERT INTO o SELECT 10 / (95 - id) AS x FROM t;\n",
            numbers.display(),
            out.display()
        );
        let ended = waterwheel(&["-c", &sql], "");
        assert_eq!(ended.status.code(), Some(3), "{}", stderr(&ended));
        let parts = std::fs::read_dir(&out).expect("a folder").map(|part| {
            let part = part.expect("a part").path();
            let text = std::fs::read_to_string(&part).expect("a text");
            assert!(
                part.file_name()
                    .is_some_and(|name| !name.to_string_lossy().starts_with('.'))
            );
            text.lines().count() - 1
        });
        assert_eq!(parts.sum::<usize>(), 90);
    }
}

#[test]
fn what_could_not_be_created_is_missed_once() {
    let sql = "CREATE TABLE x (a BIGNT);\nCREATE VIEW v AS SELECT * FROM x;\nSELECT * FROM v;\n\
         INSERT INTO x VALUES (1);\nSELECT * FROM y;\nSELECT 1 AS one;";
    let out = waterwheel(&["--keep-going", "-c", sql], "");
    assert_eq!((out.status.code(), stdout(&out).as_str()), (Some(1), "{\"one\":1}\n"));
    let told = stderr(&out);
    let mistakes: Vec<&str> = told.lines().filter(|line| line.contains("error[")).collect();
    assert_eq!(mistakes.len(), 2, "{told}");
    assert!(mistakes[0].contains("BIGNT") && mistakes[1].contains("`y`"), "{told}");
}

#[test]
fn mistakes_of_the_command_line_are_json_for_programs_too() {
    let cases: [(&[&str], &str); 5] = [
        (&["--no-such-flag"], "unexpected argument '--no-such-flag' found"),
        (
            &["run", "tests/nosuch.sql"],
            "cannot read tests/nosuch.sql: there is no such file",
        ),
        (
            &["verify", "x.sql"],
            "`waterwheel verify` is not built yet: -h shows the commands that are",
        ),
        (
            &["explain", "state", "x.sql"],
            "`explain state` is not built yet: `explain x.sql` shows the graph with lineage, watermark and state",
        ),
        (
            &["explain", "a.sql", "b.sql"],
            "`explain` takes one file: give `a.sql` and `b.sql` one after the other",
        ),
    ];
    for (arguments, message) in cases {
        let out = waterwheel(&[&["--errors", "json"], arguments].concat(), "");
        assert_eq!(out.status.code(), Some(2), "{arguments:?}");
        let said = stderr(&out);
        let starts = format!("{{\"kind\":\"usage\",\"severity\":\"error\",\"code\":null,\"message\":\"{message}\"");
        assert!(
            said.starts_with(&starts) && said.lines().count() == 1,
            "{arguments:?}: {said}"
        );
        let out = waterwheel(arguments, "");
        assert_eq!(out.status.code(), Some(2), "{arguments:?}");
        assert!(
            stderr(&out).starts_with(&format!("error: {message}\n")),
            "{}",
            stderr(&out)
        );
    }
}

#[test]
fn a_bad_record_has_its_place_for_programs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bad.csv").display().to_string();
    std::fs::write(&path, "a,b\n1,2\nx,3\n").expect("a file");
    let table = format!("CREATE TABLE t (a INT, b INT) WITH (connector = 'file', path = '{path}');");
    let sinks = "CREATE SINK s1 WITH (connector = 'blackhole'); CREATE SINK s2 WITH (connector = 'blackhole');
         INSERT INTO s1 SELECT a FROM t; INSERT INTO s2 SELECT a FROM t";
    for (sql, times) in [("SELECT * FROM t", 1), (sinks, 2)] {
        let out = waterwheel(&["-q", "--errors", "json", "-c", &format!("{table}{sql}")], "");
        let place = format!("\"file\":\"{path}\",\"line\":3,\"column\":null");
        assert_eq!(stderr(&out).matches(&place).count(), times, "{}", stderr(&out));
    }
}

#[test]
fn the_kind_of_explain_may_be_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("q.sql").display().to_string();
    std::fs::write(&path, format!("{CLICKS}SELECT usr FROM clicks")).expect("a file");
    let plain = waterwheel(&["explain", &path], "");
    assert_eq!(plain.status.code(), Some(0), "{}", stderr(&plain));
    for kind in ["dstream", "DSTREAM"] {
        assert_eq!(stdout(&waterwheel(&["explain", kind, &path], "")), stdout(&plain));
    }
}

#[test]
fn a_line_may_begin_with_a_comment() {
    let out = waterwheel(&["-c", "-- a comment\nSELECT 1 AS one"], "");
    assert_eq!(stdout(&out), "{\"one\":1}\n", "{}", stderr(&out));
}

#[test]
fn a_select_that_maxrows_ends_may_be_followed() {
    let sql = format!("{BIDS} SELECT 3 AS n FROM bid; SELECT 7 AS n");
    let out = waterwheel(&["--maxrows", "2", "-c", &sql], "");
    assert_eq!(stdout(&out), "{\"n\":3}\n{\"n\":3}\n{\"n\":7}\n", "{}", stderr(&out));
    let sql = format!("{BIDS} SELECT 3 AS n FROM bid");
    let out = waterwheel(&["--maxrows", "1", "--format", "json", "-c", &sql], "");
    assert_eq!(stdout(&out), "[\n{\"n\":3}\n]\n", "{}", stderr(&out));
}

#[test]
fn columns_that_csv_does_not_take_are_refused_without_header_too() {
    for header in [&[][..], &["--no-header"]] {
        let out = waterwheel(&[header, &["--format", "csv", "-c", "SELECT [1, 2] AS l"]].concat(), "");
        assert_eq!(
            (out.status.code(), stdout(&out).as_str()),
            (Some(1), ""),
            "{}",
            stderr(&out)
        );
    }
}

#[test]
fn explain_runs_nothing_and_knows_every_statement() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let sql = format!(
        "{CLICKS}SELECT window_end, count(*) AS c FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_end;
         SELECT * FROM late_rows('q1');
         COPY (SELECT usr FROM clicks) TO '{}';
         CREATE TABLE t WITH (connector = 'file', path = '{}') AS SELECT usr FROM clicks;
         SELECT usr FROM t;",
        at("copied.csv"),
        at("made.csv")
    );
    std::fs::write(at("all.sql"), sql).expect("a file");
    let out = waterwheel(&["explain", &at("all.sql")], "");
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    for shown in ["Output q1 ", "Output q2 ", "copied.csv ", "Output t ", "Output q3 "] {
        assert!(stdout(&out).contains(shown), "{shown} is not in\n{}", stdout(&out));
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
}
