//! Scripts whose input comes slowly: what a SELECT of a table waits for.

use crate::cli::{spawn, stderr, stdout, waterwheel};
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
