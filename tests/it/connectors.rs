//! Files that the program writes and reads again, as users do it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

fn waterwheel(sql: &str, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waterwheel"));
    command.args(flags).args(["-c", sql]);
    command.output().expect("the program runs")
}

/// What it prints, as CSV without a header.
fn rows(sql: &str) -> String {
    let out = waterwheel(sql, &["--format", "csv", "--no-header"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    String::from_utf8(out.stdout).expect("CSV is text")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

const MADE: &str = "CREATE SOURCE made (n BIGINT, t STRING, at TIMESTAMP(3)) WITH (connector = 'datagen', rows = 20000,
    fields.n.kind = 'sequence', fields.t.null_rate = 0.1, fields.at.kind = 'sequence');";

#[test]
fn arrow_files_are_written_and_read_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let (one, parts) = (dir.path().join("one.arrow"), dir.path().join("parts"));
    let sql = format!(
        "{MADE} SET max_rows_per_interval = 5000;
         CREATE SINK one WITH (connector = 'file', path = '{}');
         CREATE SINK parts WITH (connector = 'file', path = '{}', format = 'arrow');
         INSERT INTO one SELECT * FROM made; INSERT INTO parts SELECT * FROM made;",
        shown(&one),
        shown(&parts)
    );
    rows(&sql);
    let sums = "count(*), count(t), sum(n), max(at)";
    let expected = rows(&format!("{MADE} SELECT {sums} FROM made"));
    assert_eq!(expected.split(',').next(), Some("20000"));
    for path in [&one, &parts] {
        let again = rows(&format!("SELECT {sums} FROM '{}'", shown(path)));
        assert_eq!(again, expected, "{}", shown(path));
    }
}

#[test]
fn arrow_output_is_a_stream_that_can_be_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.ipc");
    let query = format!("{MADE} SELECT n, t FROM made WHERE n % 2 = 0");
    let out = waterwheel(&query, &["--format", "arrow"]);
    assert!(out.status.success());
    std::fs::write(&path, &out.stdout).expect("a file");
    assert_eq!(
        rows(&format!("SELECT count(*), max(n) FROM '{}'", shown(&path))),
        "10000,19998\n"
    );
    // A result without rows still has its columns.
    let none = waterwheel(
        &format!("{MADE} SELECT n, t FROM made WHERE n < 0"),
        &["--format", "arrow"],
    );
    std::fs::write(&path, &none.stdout).expect("a file");
    assert_eq!(rows(&format!("SELECT count(t) FROM '{}'", shown(&path))), "0\n");
}

#[test]
fn parquet_output_is_one_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("out.parquet");
    let query = format!("{MADE} SELECT n, t FROM made WHERE n % 2 = 0");
    let out = waterwheel(&query, &["--format", "parquet"]);
    assert!(out.status.success());
    std::fs::write(&path, &out.stdout).expect("a file");
    assert_eq!(
        rows(&format!("SELECT count(*), max(n) FROM '{}'", shown(&path))),
        "10000,19998\n"
    );
    let two = waterwheel("SELECT 1 AS a; SELECT 2 AS a", &["--format", "parquet"]);
    let said = String::from_utf8_lossy(&two.stderr);
    assert_eq!(two.status.code(), Some(1), "{said}");
    assert!(said.contains("one file, and so one result"), "{said}");
}

/// A query over files that grow, and the lines that it prints.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(sql: &str) -> Following {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waterwheel"));
        command.args(["--format", "csv", "--no-header", "-c", sql]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let stdout = child.stdout.take().expect("it has a stdout");
        let (said, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The test may have failed and gone.
                said.send(line).ok();
            }
        });
        Following { child, lines }
    }

    /// The next line; waits for it.
    fn line(&self) -> String {
        let limit = std::time::Duration::from_secs(60);
        self.lines.recv_timeout(limit).expect("a line comes")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn append(path: &Path, text: &str) {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut f| f.write_all(text.as_bytes())).expect("a file");
}

#[test]
fn a_followed_file_gives_whole_lines_and_is_followed_through_rotation() {
    let dir = tempfile::tempdir().expect("a folder");
    let (path, old) = (dir.path().join("a.csv"), dir.path().join("old"));
    append(&path, "\u{feff}n,s\r\n1,one\r\n2,t");
    let following = Following::start(&format!(
        "CREATE SOURCE a (n INT, s STRING) WITH (connector = 'file', path = '{}', follow = true); SELECT n, s FROM a",
        shown(&path)
    ));
    assert_eq!(following.line(), "1,one");
    append(&path, "wo\n3,thr");
    assert_eq!(following.line(), "2,two");
    // The new file has its own header. What the old one ends with is a line, though nothing ends it.
    std::fs::rename(&path, &old).expect("it is renamed");
    append(&dir.path().join("new"), "s,n\nfour,4\n");
    std::fs::rename(dir.path().join("new"), &path).expect("it is renamed");
    let mut both = [following.line(), following.line()];
    both.sort();
    assert_eq!(both, ["3,thr", "4,four"]);
    append(&path, "a longer line,5\n");
    assert_eq!(following.line(), "5,a longer line");
    // Cut: it begins anew.
    std::fs::write(&path, "s,n\nsix,6\n").expect("it is written");
    assert_eq!(following.line(), "6,six");
    // The same, and longer than before at the next look.
    std::fs::write(&path, "s,n\nseven and more,7\neight,8\n").expect("it is written");
    assert_eq!([following.line(), following.line()], ["7,seven and more", "8,eight"]);
}

#[test]
fn what_is_written_to_a_file_after_it_was_renamed_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("app.log");
    // There is none so far.
    let following = Following::start(&format!(
        "CREATE SOURCE a (line STRING) WITH (connector = 'file', path = '{}', follow = true); SELECT line FROM a",
        shown(&path)
    ));
    append(&path, "1\n");
    assert_eq!(following.line(), "1");
    let mut writer = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("it is there");
    std::fs::rename(&path, dir.path().join("app.log.1")).expect("it is renamed");
    append(&path, "2\n");
    assert_eq!(following.line(), "2");
    // As logrotate does it: whoever writes has not heard so far.
    for n in ["3", "4"] {
        writeln!(writer, "{n}").expect("it is written");
        assert_eq!(following.line(), n);
    }
    append(&path, "5\n");
    assert_eq!(following.line(), "5");
}

#[test]
fn a_file_that_is_packed_after_it_was_read_is_not_read_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let name = |suffix: &str| dir.path().join(format!("app.log{suffix}"));
    append(&name(""), "1\n");
    let following = Following::start(&format!(
        "CREATE SOURCE a (line STRING) WITH (connector = 'file', path = '{}*', format = 'text', follow = true);
         SELECT line FROM a",
        shown(&name(""))
    ));
    assert_eq!(following.line(), "1");
    let pack = |from: &str| {
        let packed = Command::new("gzip").arg(name(from)).status();
        assert!(packed.expect("gzip is there").success());
    };
    for (written, name_is_seen) in [("2\n", true), ("3\n", false)] {
        std::fs::rename(name(""), name(".1")).expect("it is renamed");
        if name_is_seen {
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        pack(".1");
        append(&name(""), written);
        assert_eq!(following.line(), written.trim());
        std::fs::rename(name(".1.gz"), name(".2.gz")).expect("it is renamed");
    }
    // What comes packed is read, though the system may give it the number of a file that has just gone.
    append(&dir.path().join("plain"), "4\n");
    assert!(Command::new("gzip").arg(dir.path().join("plain")).status().is_ok());
    std::fs::rename(dir.path().join("plain.gz"), name(".other.gz")).expect("it is renamed");
    assert_eq!(following.line(), "4");
}

#[test]
fn a_file_of_another_kind_that_appears_is_a_bad_record() {
    for (on_error, ends) in [("skip", false), ("fail", true)] {
        let dir = tempfile::tempdir().expect("a folder");
        append(&dir.path().join("a.csv"), "n\n1\n");
        let following = Following::start(&format!(
            "CREATE SOURCE a (n INT) WITH (connector = 'file', path = '{}', follow = true, on_error = '{on_error}');
             SELECT n FROM a",
            shown(dir.path())
        ));
        assert_eq!(following.line(), "1");
        append(&dir.path().join("README"), "read me\n");
        append(&dir.path().join("b.csv"), "m\n2\n");
        std::thread::sleep(std::time::Duration::from_millis(300));
        append(&dir.path().join("c.csv"), "n\n3\n");
        let next = following.lines.recv_timeout(std::time::Duration::from_secs(60));
        assert_eq!(next.is_err(), ends, "{on_error}: {next:?}");
    }
}

#[test]
fn a_followed_directory_gains_files() {
    let dir = tempfile::tempdir().expect("a folder");
    append(&dir.path().join("a.jsonl"), "{\"n\":1}\n");
    let source = |format: &str, path: &str| {
        format!(
            "CREATE SOURCE a (n BIGINT) WITH (connector = 'file', path = '{path}', format = '{format}', follow = true);
             SELECT n FROM a"
        )
    };
    let following = Following::start(&source("json", &shown(dir.path())));
    assert_eq!(following.line(), "1");
    append(&dir.path().join("b.jsonl"), "{\"n\":2}\n");
    assert_eq!(following.line(), "2");
    // Another name for the same file is no news.
    std::fs::rename(dir.path().join("a.jsonl"), dir.path().join("c.jsonl")).expect("it is renamed");
    append(&dir.path().join("c.jsonl"), "{\"n\":3}\n");
    assert_eq!(following.line(), "3");
}

#[test]
fn folders_that_appear_tell_columns_of_the_files_in_them() {
    for (at_start, glob) in [("", ""), ("k=a", ""), ("", "/k=*/*.csv")] {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(dir.path().join(at_start)).expect("a folder");
        let following = Following::start(&format!(
            "CREATE SOURCE a (n INT, k STRING) WITH (connector = 'file', path = '{}{glob}', format = 'csv', follow = true);
             SELECT n, k FROM a",
            shown(dir.path())
        ));
        let folder = dir.path().join("k=b");
        std::fs::create_dir(&folder).expect("a folder");
        append(&folder.join("f.csv"), "n\n1\n");
        assert_eq!(following.line(), "1,b");
        append(&folder.join("f.csv"), "2\n");
        assert_eq!(following.line(), "2,b");
        if glob.is_empty() {
            append(&dir.path().join("own.csv"), "k,n\nc,3\n");
            assert_eq!(following.line(), "3,c");
        }
    }
}

#[test]
fn a_followed_directory_may_be_empty_at_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let source = |columns: &str, more: &str| {
        format!(
            "CREATE SOURCE a {columns} WITH (connector = 'file', path = '{}', {more} follow = true);
             SELECT window_end, count(*) FROM TUMBLE(a, at, INTERVAL '1 second') GROUP BY window_start, window_end",
            shown(dir.path())
        )
    };
    let columns = "(at TIMESTAMP(3), WATERMARK FOR at AS at)";
    let following = Following::start(&source(columns, "format = 'json',"));
    append(&dir.path().join("a.jsonl"), "{\"at\":0}\n{\"at\":10}\n{\"at\":3000}\n");
    assert_eq!(following.line(), "1970-01-01T00:00:01,2");
    append(&dir.path().join("a.jsonl"), "{\"at\":5000}\n");
    assert_eq!(following.line(), "1970-01-01T00:00:04,1");
    let empty = tempfile::tempdir().expect("a folder");
    for (columns, more, says) in [
        (
            "",
            "format = 'json',",
            "has no files yet that could tell its columns: declare them",
        ),
        (columns, "", "say format = 'json'"),
    ] {
        let sql = source(columns, more).replace(&shown(dir.path()), &shown(empty.path()));
        let said = String::from_utf8_lossy(&waterwheel(&sql, &[]).stderr).into_owned();
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn a_followed_directory_takes_packed_and_typed_files_that_appear_whole() {
    for (suffix, format) in [("jsonl.gz", "json"), ("parquet", "parquet"), ("arrow", "arrow")] {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("in");
        let write = |n: i64| {
            let staged = dir.path().join(format!("staged.{suffix}"));
            rows(&format!(
                "CREATE SINK s WITH (connector = 'file', path = '{}', overwrite = true);
                 INSERT INTO s SELECT CAST({n} AS BIGINT) AS n",
                shown(&staged)
            ));
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::rename(&staged, folder.join(format!("{n}.{suffix}"))).expect("it is renamed");
        };
        write(1);
        let following = Following::start(&format!(
            "CREATE SOURCE a (n BIGINT) WITH (connector = 'file', path = '{}', format = '{format}', follow = true);
             SELECT n FROM a",
            shown(&folder)
        ));
        assert_eq!(following.line(), "1", "{suffix}");
        write(2);
        assert_eq!(following.line(), "2", "{suffix}");
    }
}

fn socket_source(port: u16, listen: bool) -> String {
    format!(
        "CREATE SOURCE a (n BIGINT, s STRING)
         WITH (connector = 'socket', port = {port}, listen = {listen}, format = 'json', on_error = 'skip');"
    )
}

/// A port that nobody uses now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it has an address").port()
}

#[test]
fn a_socket_is_read_until_the_other_side_closes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has an address").port();
    let following = Following::start(&format!("{} SELECT n, s FROM a", socket_source(port, false)));
    let (mut stream, _) = listener.accept().expect("it connects");
    stream
        .write_all(b"{\"n\":1,\"s\":\"one\"}\nbroken\n{\"n\":2,")
        .expect("it is sent");
    assert_eq!(following.line(), "1,one");
    // The last line needs no end.
    stream
        .write_all(b"\"s\":null}\n{\"n\":3,\"s\":\"three\"}")
        .expect("it is sent");
    assert_eq!(following.line(), "2,");
    drop(stream);
    assert_eq!(following.line(), "3,three");
    let ended = following.lines.recv_timeout(std::time::Duration::from_secs(60));
    assert_eq!(ended, Err(RecvTimeoutError::Disconnected), "the query has ended");
}

#[test]
fn a_listening_socket_takes_many_connections() {
    let port = free_port();
    let following = Following::start(&format!("{} SELECT n, s FROM a", socket_source(port, true)));
    let connect = || {
        for _ in 0..600 {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => return stream,
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
        }
        panic!("nobody listens");
    };
    let mut first = connect();
    first.write_all(b"{\"n\":1,\"s\":\"one\"}\n").expect("it is sent");
    assert_eq!(following.line(), "1,one");
    let mut second = connect();
    second.write_all(b"{\"n\":2,\"s\":\"two\"}\n").expect("it is sent");
    assert_eq!(following.line(), "2,two");
    drop(second);
    first.write_all(b"{\"n\":3,\"s\":\"three\"}\n").expect("it is sent");
    assert_eq!(following.line(), "3,three");
}

#[test]
fn a_socket_is_written_to_and_a_lost_one_fails_the_query() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has an address").port();
    let reader = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("it connects");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("text comes");
        // The next one is hung up on.
        drop(listener.accept().expect("it connects"));
        text
    });
    let made = "CREATE SOURCE made (n BIGINT) WITH (connector = 'datagen', fields.n.kind = 'sequence'";
    let sink = format!("CREATE SINK s WITH (connector = 'socket', port = {port}, format = 'csv');");
    rows(&format!(
        "{made}, rows = 3); {sink} INSERT INTO s SELECT n, n * 2 AS m FROM made"
    ));
    let lost = waterwheel(&format!("{made}); {sink} INSERT INTO s SELECT n FROM made"), &[]);
    assert_eq!(reader.join().expect("it reads"), "n,m\n0,0\n1,2\n2,4\n");
    assert_eq!(lost.status.code(), Some(3));
    let said = String::from_utf8_lossy(&lost.stderr);
    assert!(
        said.contains(&format!("socket 127.0.0.1:{port}: the connection was lost")),
        "{said}"
    );
    let nobody = waterwheel(&format!("{made}); {sink} INSERT INTO s SELECT n FROM made"), &[]);
    let said = String::from_utf8_lossy(&nobody.stderr);
    assert!(
        said.contains(&format!("socket 127.0.0.1:{port}: no connection")),
        "{said}"
    );
}

#[test]
fn rows_are_dealt_out_to_folders() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    let rows_in = "VALUES (1, 'a', 10), (2, 'b/c', 20), (3, NULL, 30), (4, 'a', 40), (5, '', 50)";
    let sql = |by: &str, more: &str| {
        format!(
            "CREATE SINK o WITH (connector = 'file', path = '{}', format = 'csv', partition_by = '{by}'{more});
             INSERT INTO o SELECT * FROM ({rows_in}) AS t (n, s, m)",
            shown(&out)
        )
    };
    rows(&sql("s", ""));
    let read = |folder: &str| {
        let mut files = std::fs::read_dir(out.join(folder)).expect("a folder");
        let text = std::fs::read_to_string(files.next().expect("a file").expect("a file").path());
        assert!(files.next().is_none(), "{folder} holds one file");
        text.expect("text")
    };
    assert_eq!(read("s=a"), "n,m\n1,10\n4,40\n");
    assert_eq!(read("s=b%2Fc"), "n,m\n2,20\n");
    assert_eq!(read("s=__HIVE_DEFAULT_PARTITION__"), "n,m\n3,30\n5,50\n");
    let failed = |by: &str, more: &str| String::from_utf8_lossy(&waterwheel(&sql(by, more), &[]).stderr).into_owned();
    assert!(failed("s", "").contains("is already there: overwrite = true replaces it"));
    assert!(failed("ss", ", overwrite = true").contains("column `ss` is not in the rows"));
    assert!(failed("n, s, m", ", overwrite = true").contains("none is left for the files"));
    for unnamed in ["", "s,"] {
        assert!(failed(unnamed, ", overwrite = true").contains("partition_by: a name is missing"));
    }
    rows(&sql("s", ", overwrite = true").replace("'s'", "['m', 's']"));
    assert_eq!(read("m=20/s=b%2Fc"), "n\n2\n");
    rows(&sql("m, s", ", overwrite = true"));
    assert_eq!(read("m=20/s=b%2Fc"), "n\n2\n");
    assert_eq!(std::fs::read_dir(out.join("s=a")).expect("a folder").count(), 0);
}

/// A condition that `hides` what it says (`k + 0`) is not seen by what leaves out files.
#[test]
fn files_are_left_out_by_what_their_folders_tell() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    rows(&format!(
        "{MADE} CREATE SINK o WITH (connector = 'file', path = '{}', format = 'parquet', partition_by = 'k');
         INSERT INTO o SELECT n, at, CASE WHEN n % 5 < 4 THEN n % 5 END AS k FROM made",
        shown(&out)
    ));
    let table = |more: &str| {
        format!(
            "CREATE TABLE d (n BIGINT, at TIMESTAMP(3), k INT, WATERMARK FOR at AS at) \
             WITH (connector = 'file', path = '{}', format = 'parquet'{more}); SET max_rows_per_interval = 500;",
            shown(&out)
        )
    };
    let counted = |more: &str, select: &str| {
        let out = waterwheel(
            &format!("{} {select}", table(more)),
            &["--format", "csv", "--no-header"],
        );
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let count = |name: &str| said.split(' ').find(|word| word.starts_with(name)).map(str::to_string);
        let counts = [count("late="), count("null_time="), count("bad=")];
        (
            String::from_utf8_lossy(&out.stdout).into_owned(),
            counts,
            out.status.code(),
        )
    };
    let windows = |condition: &str| {
        format!(
            "SELECT window_end, count(*) FROM TUMBLE(d, at, INTERVAL '1' SECOND) WHERE {condition} \
             GROUP BY window_start, window_end"
        )
    };
    for (condition, hides) in [
        ("k = 1", "k + 0 = 1"),
        ("k > 1", "k + 0 > 1"),
        ("k IS NULL", "k + 0 IS NULL"),
        ("k < 0", "k + 0 < 0"),
        ("k <> 2 AND n < 9000", "k + 0 <> 2 AND n + 0 < 9000"),
    ] {
        for more in ["", ", splits = 'ordered'"] {
            let sums = |condition: &str| format!("SELECT count(*), sum(n) FROM d WHERE {condition}");
            assert_eq!(
                counted(more, &sums(condition)),
                counted(more, &sums(hides)),
                "{condition}"
            );
            assert_eq!(
                counted(more, &windows(condition)),
                counted(more, &windows(hides)),
                "{condition}"
            );
        }
    }
    // What is not asked for is not opened.
    let file = std::fs::read_dir(out.join("k=2")).expect("a folder").next();
    std::fs::write(file.expect("a file").expect("a file").path(), "broken").expect("it is written");
    let sum = |condition: &str| counted("", &format!("SELECT count(*) FROM d WHERE {condition}"));
    assert_eq!((sum("k < 2").0.as_str(), sum("k < 2").2), ("8000\n", Some(0)));
    assert_eq!(sum("k + 0 < 2").2, Some(3));
}

/// Sums over the parts of a folder, and how many there are.
fn parts_of(folder: &Path, format: &str) -> (Vec<String>, String) {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let sums = rows(&format!(
        "CREATE TABLE again (n BIGINT, t STRING, at TIMESTAMP(3)) WITH (connector = 'file', path = '{}', format = '{format}');
         SELECT count(*), count(DISTINCT n), sum(n), count(t) FROM again",
        shown(folder)
    ));
    (names, sums)
}

#[test]
fn parts_roll_by_rows_and_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let sums = "count(*), count(DISTINCT n), sum(n), count(t)";
    let expected = rows(&format!("{MADE} SELECT {sums} FROM made"));
    for (number, (format, options, parts)) in [
        ("csv", "max_rows_per_file = 3000", 7..=7),
        ("json", "max_rows_per_file = 20000", 1..=1),
        ("json", "max_rows_per_file = 100000", 1..=1),
        ("csv", "max_file_bytes = 200000", 3..=8),
        ("parquet", "max_file_bytes = 100000", 3..=10),
        ("csv", "max_file_bytes = 10000, compression = 'gzip'", 2..=40),
        ("arrow", "max_rows_per_file = 7000, roll_interval = '1 day'", 3..=3),
    ]
    .into_iter()
    .enumerate()
    {
        let out = dir.path().join(number.to_string());
        rows(&format!(
            "{MADE} SET max_rows_per_interval = 1000;
             CREATE SINK out WITH (connector = 'file', path = '{}', format = '{format}', {options});
             INSERT INTO out SELECT * FROM made;",
            shown(&out)
        ));
        if options.contains("gzip") {
            assert_eq!(rows(&format!("SELECT {sums} FROM '{}/*.gz'", shown(&out))), expected);
            continue;
        }
        if format == "csv" && options.contains("200000") {
            for part in std::fs::read_dir(&out).expect("a folder") {
                let length = part.and_then(|part| part.metadata()).expect("a file").len();
                assert!(length <= 200_200, "a few rows more at most: {length}");
            }
        }
        let (names, found) = parts_of(&out, format);
        assert_eq!(found, expected, "{format}: {options}");
        assert!(parts.contains(&names.len()), "{format}: {options}: {names:?}");
        assert!(names[0].starts_with("part-000000000000-000000."), "{names:?}");
    }
}

#[test]
fn an_interval_of_many_rows_makes_several_parts_and_folders_roll_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    rows(&format!(
        "{MADE} CREATE SINK out WITH (connector = 'file', path = '{}', format = 'csv', partition_by = 'odd',
           max_rows_per_file = 4000);
         INSERT INTO out SELECT n, t, at, n % 2 AS odd FROM made;",
        shown(&out)
    ));
    for odd in [0, 1] {
        let (names, sums) = parts_of(&out.join(format!("odd={odd}")), "csv");
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(sums.starts_with("10000,10000,"), "{sums}");
    }
}

#[test]
fn the_names_of_parts_are_in_the_order_of_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = shown(&dir.path().join("out"));
    rows(&format!(
        "CREATE SOURCE g (n BIGINT) WITH (connector = 'datagen', rows = 30, fields.n.kind = 'sequence', fields.n.start = 1);
         CREATE SINK out WITH (connector = 'file', path = '{out}', format = 'csv', max_rows_per_file = 1);
         INSERT INTO out SELECT n FROM g"
    ));
    let read = rows(&format!(
        "CREATE SOURCE r (n BIGINT) WITH (connector = 'file', path = '{out}', format = 'csv', splits = 'ordered');
         SELECT n FROM r"
    ));
    let expected: Vec<String> = (1..=30).map(|n| n.to_string()).collect();
    assert_eq!(read.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_part_is_seen_when_its_time_is_up_though_nothing_comes() {
    let dir = tempfile::tempdir().expect("a folder");
    let (path, out) = (dir.path().join("a.jsonl"), dir.path().join("out"));
    append(&path, "{\"n\":1}\n");
    let sql = format!(
        "CREATE SOURCE a (n INT) WITH (connector = 'file', path = '{}', follow = true);
         CREATE SINK out WITH (connector = 'file', path = '{}', format = 'json', roll_interval = '500ms');
         INSERT INTO out SELECT n FROM a",
        shown(&path),
        shown(&out)
    );
    let _following = Following::start(&sql);
    let is_seen = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.expect("an entry").file_name();
        name.to_string_lossy().starts_with("part-")
    };
    let mut looks = std::iter::repeat_with(|| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        std::fs::read_dir(&out).is_ok_and(|mut found| found.any(is_seen))
    });
    assert!(looks.by_ref().take(600).any(|seen| seen), "the part is seen");
}

/// Rolled by the recorded clock, and stopped with a part open: what was committed is there.
#[test]
fn parts_roll_by_age_on_the_clock_of_intervals() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    runtime.expect("a runtime").block_on(async {
        let clock = waterwheel::ManualClock::at_ns(0);
        let engine = waterwheel::Engine::manual_at(&clock);
        let sql = format!(
            "CREATE SOURCE t (n BIGINT, t STRING, at TIMESTAMP(3)) WITH (connector = 'push');
             CREATE SINK out WITH (connector = 'file', path = '{}', format = 'json', roll_interval = '10s');",
            shown(&out)
        );
        engine.execute(&sql).await.expect("declarations");
        let mut script = engine.script("INSERT INTO out SELECT * FROM t").expect("a script");
        let Some(Ok(waterwheel::Outcome::Started(query))) = script.next().await else {
            panic!("the INSERT starts");
        };
        let handle = engine.push_source("t").expect("a handle");
        let seen = || {
            std::fs::read_dir(&out).expect("a folder").filter(|e| {
                let name = e.as_ref().expect("an entry").file_name();
                name.to_string_lossy().starts_with("part-")
            })
        };
        // The clock stands at 4, 8, 12, … when an interval is committed.
        let mut counts = Vec::new();
        for n in 0..8 {
            handle
                .send_json(format!("{{\"n\":{n}}}\n").as_bytes())
                .await
                .expect("sent");
            clock.advance(std::time::Duration::from_secs(4));
            engine.step().await.expect("a step");
            counts.push(seen().count());
        }
        // The first part holds 4, 8 and 12; at 16 it is 12 seconds old.
        assert_eq!(counts, [0, 0, 0, 1, 1, 1, 2, 2]);
        query.cancel();
        assert!(query.wait().await.is_ok());
        let (names, sums) = parts_of(&out, "json");
        let expected = [
            "part-000000000000-000000.jsonl",
            "part-000000000003-000000.jsonl",
            "part-000000000006-000000.jsonl",
        ];
        assert_eq!(names, expected);
        assert_eq!(sums, "8,8,28,0\n");
    });
}
