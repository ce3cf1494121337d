//! Scripts whose input comes slowly, or without end: what a SELECT of a table waits for, and what it does not.

use crate::cli::{ended_within, spawn, stderr, stdout, waterwheel};
use std::io::Write;
use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

const SLOWLY: Duration = Duration::from_millis(700);

const STDIN: &str = "CREATE TABLE s (id INT, at TIMESTAMP(3), WATERMARK FOR at AS at) \
     WITH (connector = 'stdin', format = 'json');\n";

/// The third row is late for windows of a minute.
const ROWS: &str = "{\"id\":1,\"at\":\"2024-01-01T00:00:10\"}\n{\"id\":2,\"at\":\"2024-01-01T00:05:00\"}\n\
     {\"id\":3,\"at\":\"2024-01-01T00:00:20\"}\n";

const PER_MINUTE: &str = "SELECT window_end, count(*) AS n FROM TUMBLE(s, at, INTERVAL '1' MINUTE) \
     GROUP BY window_start, window_end";

/// A source without end whose rows are a tenth of a second apart, and a table for them.
const ENDLESS: &str = "CREATE SOURCE inf (id BIGINT, at TIMESTAMP(3), WATERMARK FOR at AS at)
     WITH (connector = 'datagen', rate = 1000, fields.id.kind = 'sequence', fields.at.kind = 'sequence',
     fields.at.step = '100ms');
     CREATE TABLE x (id BIGINT, at TIMESTAMP(3), WATERMARK FOR at AS at);\n";

/// Runs a script whose standard input comes after a while.
fn slowly(sql: &str, input: &str) -> Output {
    let mut child = spawn(&["-c", sql], Stdio::piped());
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    thread::sleep(SLOWLY);
    // A program that reads nothing closes it early.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("the program ends")
}

/// Runs a script that has to end by itself.
fn within(sql: &str, limit_s: u64) -> Output {
    let mut child = spawn(&["-c", sql], Stdio::null());
    let code = ended_within(&mut child, limit_s);
    let out = child.wait_with_output().expect("its output");
    assert_eq!(code, Some(0), "{sql}: {}", stderr(&out));
    out
}

/// Runs a script that is refused, at its sixth line.
fn refused(sql: &str, code: &str) {
    let out = waterwheel(&["-c", sql], "");
    assert_eq!((out.status.code(), stdout(&out).as_str()), (Some(1), ""), "{sql}");
    let (told, code) = (stderr(&out), format!(": error[{code}]: "));
    assert!(told.starts_with("<command>:6:") && told.contains(&code), "{told}");
}

#[test]
fn a_select_waits_for_the_end_of_stdin() {
    for (fill, shown) in [
        (
            "CREATE TABLE x (id INT); INSERT INTO x SELECT id FROM s; SELECT count(*) AS c FROM x",
            "{\"c\":3}\n",
        ),
        (
            "CREATE TABLE x AS SELECT id FROM s; SELECT count(*) AS c FROM x",
            "{\"c\":3}\n",
        ),
        (
            "CREATE TABLE x AS SELECT count(*) AS n FROM s; SELECT n FROM x",
            "{\"n\":3}\n",
        ),
        (
            "CREATE VIEW v AS SELECT id FROM s WHERE id > 1; CREATE TABLE x (id INT); CREATE TABLE y (id INT);
             INSERT INTO x SELECT id FROM v; INSERT INTO y SELECT id FROM x; SELECT count(*) AS c FROM y",
            "{\"c\":2}\n",
        ),
    ] {
        let out = slowly(&format!("{STDIN}{fill}"), ROWS);
        assert_eq!(stdout(&out), shown, "{fill}: {}", stderr(&out));
    }
    let undeclared = "CREATE TABLE x AS SELECT id FROM stdin; SELECT count(*) AS c FROM x";
    let out = slowly(undeclared, ROWS);
    assert_eq!(stdout(&out), "{\"c\":3}\n", "{}", stderr(&out));
}

#[test]
fn late_rows_of_stdin_are_waited_for() {
    for read in ["lt", "late_rows('k')"] {
        let sql = format!(
            "{STDIN}CREATE SINK k WITH (connector = 'blackhole');
             INSERT INTO k {PER_MINUTE} LATE ROWS INTO lt; SELECT id FROM {read}"
        );
        let out = slowly(&sql, ROWS);
        assert_eq!(stdout(&out), "{\"id\":3}\n", "{}", stderr(&out));
    }
}

#[test]
fn a_select_waits_for_a_peer_to_close() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the program connects");
        for row in ROWS.lines() {
            thread::sleep(SLOWLY);
            writeln!(stream, "{row}").expect("the program reads");
        }
    });
    let sql = format!(
        "CREATE TABLE s (id INT) WITH (connector = 'socket', port = {port}, format = 'json');
         CREATE TABLE x AS SELECT id FROM s; SELECT count(*) AS c FROM x"
    );
    let out = waterwheel(&["-c", &sql], "");
    assert_eq!(stdout(&out), "{\"c\":3}\n", "{}", stderr(&out));
    peer.join().expect("the peer has sent all");
}

#[test]
fn late_rows_into_stdout_are_written() {
    let sql = format!("{STDIN}CREATE SINK k WITH (connector = 'blackhole'); INSERT INTO k {PER_MINUTE}");
    let out = waterwheel(&["-c", &format!("{sql} LATE ROWS INTO stdout")], ROWS);
    let (shown, told) = (stdout(&out), stderr(&out));
    assert!(
        shown.starts_with("{\"id\":3,\"at\":\"2024-01-01T00:00:20Z\",\"late_"),
        "{shown}{told}"
    );
    assert_eq!(shown.lines().count(), 1, "{shown}");
}

#[test]
fn windows_of_a_table_that_is_filled_without_end_are_shown_when_they_close() {
    let windows = "SELECT window_end, count(*) AS n FROM TUMBLE(v, at, INTERVAL '10' SECOND) \
         GROUP BY window_start, window_end LIMIT 2";
    let whole = "{\"window_end\":\"2024-01-01T00:00:10Z\",\"n\":100}\n\
         {\"window_end\":\"2024-01-01T00:00:20Z\",\"n\":100}\n";
    // A view is planned before anything takes the end of its table away.
    for fill in [
        "INSERT INTO x SELECT id, at FROM inf;",
        "CREATE TABLE w (id BIGINT, at TIMESTAMP(3)); INSERT INTO x SELECT id, at FROM w;
         INSERT INTO w SELECT id, at FROM inf;",
    ] {
        let out = within(
            &format!("{ENDLESS}CREATE VIEW v AS SELECT * FROM x; {fill} {windows}"),
            20,
        );
        assert_eq!(stdout(&out), whole, "{fill}: {}", stderr(&out));
    }
}

#[test]
fn a_limit_over_a_table_that_is_filled_without_end_ends_the_program() {
    let out = within(
        &format!("{ENDLESS}INSERT INTO x SELECT id, at FROM inf WHERE id % 100 = 0; SELECT id FROM x LIMIT 2"),
        20,
    );
    assert_eq!(stdout(&out), "{\"id\":0}\n{\"id\":100}\n", "{}", stderr(&out));
    let made = "CREATE SOURCE bid WITH (connector = 'nexmark', type = 'bid');
         CREATE TABLE x AS SELECT auction FROM bid; CREATE TABLE y AS SELECT 1 AS n FROM x; SELECT n FROM y LIMIT 3";
    assert_eq!(stdout(&within(made, 20)), "{\"n\":1}\n".repeat(3));
    // Another query of the same program has a limit of its own.
    let beside = format!(
        "{ENDLESS}INSERT INTO x SELECT id, at FROM inf; INSERT INTO stdout SELECT id AS n FROM x WHERE id = 999 LIMIT 1;
         SELECT id FROM x LIMIT 1"
    );
    assert_eq!(stdout(&within(&beside, 20)), "{\"id\":0}\n{\"n\":999}\n");
}

#[test]
fn a_sink_goes_on_behind_a_limit() {
    let sql = format!(
        "{ENDLESS}CREATE SINK k WITH (connector = 'blackhole'); INSERT INTO x SELECT id, at FROM inf;
         INSERT INTO k SELECT id FROM x; SELECT id FROM x LIMIT 1"
    );
    let mut child = spawn(&["-c", &sql], Stdio::null());
    assert_eq!(ended_within(&mut child, 4), None, "{sql}");
}

#[test]
fn what_needs_the_end_of_a_table_that_is_filled_without_end_is_refused() {
    let fill = format!("{ENDLESS}INSERT INTO x SELECT id, at FROM inf;\n");
    refused(&format!("{fill}SELECT count(*) FROM x"), "no_streaming_form");
    refused(&format!("{fill}SELECT id FROM x ORDER BY id"), "no_streaming_form");
    refused(&format!("{fill}SELECT id FROM x;\nSELECT 1"), "no_end");
    refused(&format!("{fill}COPY x TO 'x.csv'"), "no_end");
    // A limit is an end, and so is that of the data.
    let ends = "INSERT INTO x SELECT id, at FROM inf LIMIT 5; SELECT count(*) AS n FROM x";
    assert_eq!(stdout(&within(&format!("{ENDLESS}{ends}"), 20)), "{\"n\":5}\n");
    // Before the INSERT the table has an end.
    let before =
        format!("{ENDLESS}SELECT count(*) AS n FROM x; INSERT INTO x SELECT id, at FROM inf; SELECT id FROM x LIMIT 1");
    assert_eq!(stdout(&within(&before, 20)), "{\"n\":0}\n{\"id\":0}\n");
}
