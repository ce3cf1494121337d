//! What stands in directories and files, as users have it: packed and plain, of several formats, with empty lines.

use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the program gives as CSV without a header, what it says, and its exit code. `input` is its standard input.
fn waterwheel_with(input: &[u8], sql: &str) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waterwheel"));
    command.args(["--format", "csv", "--no-header", "-c", sql]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    // A program that fails early does not read it.
    pipe.write_all(input).ok();
    drop(pipe);
    let out = child.wait_with_output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&out.stdout), text(&out.stderr), out.status.code())
}

fn waterwheel(sql: &str) -> (String, String, Option<i32>) {
    waterwheel_with(b"", sql)
}

/// The rows of a script that ends well.
fn rows(sql: &str) -> String {
    let (rows, said, code) = waterwheel(sql);
    assert_eq!(code, Some(0), "{said}");
    rows
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text.as_bytes()).expect("packed");
    packer.finish().expect("packed")
}

fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(dir.join(name), bytes).expect("a file");
}

#[test]
fn packed_and_plain_files_of_a_directory_are_each_read_as_they_are() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "a.log", "one\ntwo\n");
    write(dir.path(), "b.log.gz", gzip("three\n"));
    write(
        dir.path(),
        "c.log.zst",
        zstd::encode_all(&b"four"[..], 1).expect("packed"),
    );
    let shown = dir.path().display();
    let all = "one\ntwo\nthree\nfour\n";
    assert_eq!(rows(&format!("SELECT line FROM '{shown}'")), all);
    for (path, option) in [("", ""), ("/*.log*", ""), ("", ", splits = 'ordered'")] {
        let declared = format!(
            "CREATE SOURCE t (line STRING) WITH (connector = 'file', path = '{shown}{path}', on_error = 'skip'{option});"
        );
        assert_eq!(rows(&format!("{declared} SELECT line FROM t")), all, "{path}{option}");
    }
    let followed = format!("CREATE SOURCE t (line STRING) WITH (connector = 'file', path = '{shown}', follow = true);");
    let mut found: Vec<String> = rows(&format!("{followed} SELECT line FROM t LIMIT 4"))
        .lines()
        .map(str::to_string)
        .collect();
    found.sort();
    assert_eq!(found, ["four", "one", "three", "two"]);
    // What is said of all of them holds for all.
    let named = format!("CREATE SOURCE t WITH (connector = 'file', path = '{shown}', compression = 'gzip');");
    let (_, said, code) = waterwheel(&format!("{named} SELECT line FROM t"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(".log: it is not packed with gzip"), "{said}");
}

#[test]
fn files_of_several_formats_are_refused_unless_one_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "a.csv", "n\n1\n");
    write(dir.path(), "b.csv.gz", gzip("n\n2\n"));
    write(dir.path(), "_SUCCESS", "");
    write(dir.path(), "_metadata.txt", "hidden by its writer");
    let shown = dir.path().display();
    let sum = |path: &str| waterwheel(&format!("SELECT sum(n) FROM '{shown}{path}'"));
    assert_eq!(sum("").0, "3\n");
    for (name, suffix) in [("c.jsonl", ".jsonl"), ("README", "no suffix"), ("d.tsv", ".tsv")] {
        write(dir.path(), name, "{\"n\":4}\n");
        for path in ["", "/*"] {
            let (_, said, code) = sum(path);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("not all of one format: "), "{said}");
            assert!(said.contains(suffix) && said.contains(".csv"), "{said}");
            assert!(said.contains(&format!("path = '{shown}/*.csv*'")), "{said}");
        }
        assert_eq!(sum("/*.csv*").0, "3\n");
        let declared = "CREATE SOURCE t (line STRING) WITH (connector = 'file', format = 'text'";
        let count = rows(&format!("{declared}, path = '{shown}'); SELECT count(*) FROM t"));
        assert_eq!(count, "5\n");
        std::fs::remove_file(dir.path().join(name)).expect("it is there");
    }
    // A name that is asked for is read.
    assert_eq!(
        rows(&format!("SELECT line FROM '{shown}/_*.txt'")),
        "hidden by its writer\n"
    );
}

#[test]
fn a_followed_directory_gains_no_files_of_another_format() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "a.csv", "n\n1\n");
    write(dir.path(), "b.jsonl", "{\"n\":2}\n");
    let sql = format!(
        "CREATE SOURCE t (n BIGINT) WITH (connector = 'file', path = '{}', follow = true); SELECT n FROM t LIMIT 2",
        dir.path().display()
    );
    let (_, said, code) = waterwheel(&sql);
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains(".csv, .jsonl"), "{said}");
}

#[test]
fn json_that_is_none_or_nests_too_deep_is_a_bad_record() {
    let dir = tempfile::tempdir().expect("a folder");
    let deep = "[".repeat(100_000);
    let lines = format!(
        "{{\"n\":1,\"s\":\"a\"}}\n{{\"n\":{deep}\n{{\"n\":01}}\n{{\"n\":2,}}\n{{\"s\":{deep}{}}}\n{{\"n\":3}}\n",
        "]".repeat(100_000)
    );
    write(dir.path(), "a.jsonl", lines);
    let path = format!("{}/a.jsonl", dir.path().display());
    let table = |columns: &str| {
        format!("CREATE SOURCE t {columns} WITH (connector = 'file', path = '{path}', on_error = 'dead_letter');")
    };
    let letters = "SELECT n FROM t; SELECT line, message FROM dead_letters('t')";
    let why = "2,broken JSON: objects and lists lie in each other more than 128 deep\n\
               3,broken JSON: a number begins with a needless zero\n\
               4,broken JSON: a comma stands before the end of an object or list\n\
               5,broken JSON: objects and lists lie in each other more than 128 deep\n";
    for columns in ["(n INT)", "(n STRING)", "(n INT, s STRING)", ""] {
        assert_eq!(
            rows(&format!("{} {letters}", table(columns))),
            format!("1\n3\n{why}"),
            "{columns}"
        );
    }
    let text = format!("CREATE SOURCE t (line STRING) WITH (connector = 'file', path = '{path}', format = 'text');");
    assert_eq!(rows(&format!("{text} SELECT count(line -> 'n' -> 0) FROM t")), "0\n");
}

#[test]
fn json_numbers_with_a_fraction_are_bad_where_whole_ones_belong() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = "{\"a\":1.0,\"at\":1704067200000,\"l\":[1,2.0],\"s\":{\"n\":1},\"d\":1.5}\n";
    let bad = [
        ("{\"a\":1.5}", "column `a`: 1.5 is no TINYINT"),
        (
            "{\"at\":1704067200000.5}",
            "column `at`: 1704067200000.5 is no TIMESTAMP(3)",
        ),
        ("{\"l\":[1,2.5]}", "column `l`: [1,2.5] is no INT[]"),
        ("{\"s\":{\"n\":15e-1}}", "is no STRUCT<n BIGINT>"),
    ];
    for (line, message) in bad {
        write(dir.path(), "t.jsonl", format!("{good}{line}\n{good}"));
        let table = |on_error: &str| {
            format!(
                "CREATE SOURCE t (a TINYINT, at TIMESTAMP(3), l INT[], s STRUCT<n BIGINT>, d DOUBLE)
                 WITH (connector = 'file', path = '{}', on_error = '{on_error}');",
                dir.path().join("t.jsonl").display()
            )
        };
        let (_, said, code) = waterwheel(&format!("{} SELECT a, at, l[1], (s).n FROM t", table("fail")));
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("t.jsonl:2 (byte ") && said.contains(message), "{said}");
        let sums = rows(&format!(
            "{} SELECT count(at), sum(a), sum(d), max(l[2]), max((s).n) FROM t",
            table("skip")
        ));
        assert_eq!(sums, "2,2,3.0,2,1\n", "{line}");
    }
}

#[test]
fn empty_lines_are_lines_of_text() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "a\n\n  \r\nb\r\n\r\n";
    let all = "1,a\n0,\n2,  \n1,b\n0,\n";
    let lines = "SELECT char_length(line), line FROM";
    assert_eq!(
        waterwheel_with(text.as_bytes(), &format!("{lines} stdin")).0,
        all,
        "undeclared"
    );
    let declared = "CREATE SOURCE t (line STRING) WITH (connector = 'stdin', format = 'text');";
    assert_eq!(
        waterwheel_with(text.as_bytes(), &format!("{declared} {lines} t")).0,
        all
    );
    write(dir.path(), "t.log", text);
    assert_eq!(rows(&format!("{lines} '{}'", dir.path().join("t.log").display())), all);
    // Beside a line that cannot be read, they are still there.
    write(dir.path(), "bad.log", b"a\n\n\xff\n\nb\n\n");
    let bad = format!(
        "CREATE SOURCE t (line STRING) WITH (connector = 'file', path = '{}', on_error = 'dead_letter');",
        dir.path().join("bad.log").display()
    );
    assert_eq!(
        rows(&format!("{bad} SELECT count(*), sum(char_length(line)) FROM t")),
        "5,2\n"
    );
    let kept = rows(&format!(
        "{bad} SELECT count(*) FROM t; SELECT line FROM dead_letters('t')"
    ));
    assert_eq!(kept, "5\n3\n");
    // JSON and CSV have no empty records.
    write(dir.path(), "t.jsonl", "{\"n\":1}\n\n{\"n\":2}\n");
    write(dir.path(), "t.csv", "n\n1\n\n2\n");
    for name in ["t.jsonl", "t.csv"] {
        let count = format!("SELECT count(*) FROM '{}'", dir.path().join(name).display());
        assert_eq!(rows(&count), "2\n", "{name}");
    }
}

#[test]
fn a_bad_record_is_told_with_its_file_and_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let far = "2999-01-01T00:00:00Z";
    write(
        dir.path(),
        "a.csv",
        format!("at,n\r\n2024-01-01T00:00:00Z,1\r\nbroken,2\r\n{far},3\r\n2024-01-01T00:00:01Z,4\r\n{far},5\r\n"),
    );
    write(
        dir.path(),
        "b.csv.gz",
        gzip(&format!("at,n\n\n{far},\"6\n\"\n2024-01-01T00:00:01Z,7\n")),
    );
    let table = |on_error: &str, path: &str| {
        format!(
            "CREATE SOURCE t (at TIMESTAMP(3), n STRING, WATERMARK FOR at AS at) WITH (connector = 'file',
             path = '{}/{path}', max_future_skew = '1 day', on_error = '{on_error}');",
            dir.path().display()
        )
    };
    let letters = "SELECT count(*) FROM t; SELECT split, byte_offset, line, CAST(bytes AS STRING),
                   left(message, 17) FROM dead_letters('t') ORDER BY split, line;";
    let wrong = "column `at` lies ";
    let (a, b) = (dir.path().join("a.csv"), dir.path().join("b.csv.gz"));
    let (a, b) = (a.display(), b.display());
    let all = format!(
        "3\n{a},30,3,\"broken,2\",\"column `at`: \"\"bro\"\n{a},40,4,\"{far},3\",{wrong}\n{a},88,6,\"{far},5\",{wrong}\n\
         {b},6,3,\"{far},\"\"6\n\"\"\",{wrong}\n"
    );
    for cut in ["", "SET max_rows_per_interval = 1; "] {
        let said = rows(&format!("{cut}{} {letters}", table("dead_letter", "*")));
        assert_eq!(said, all, "{cut}");
    }
    for (path, place) in [("b.csv.gz", "b.csv.gz:3 (byte 6): "), ("a.csv", "a.csv:3 (byte 30): ")] {
        let (_, said, code) = waterwheel(&format!("{} SELECT n FROM t", table("fail", path)));
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(place), "{said}");
    }
}

/// The names of all files below a folder.
fn files_below(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files_below(&path)),
            false => found.push(path.file_name().expect("a name").to_string_lossy().into_owned()),
        }
    }
    found.sort();
    found
}

#[test]
fn a_query_that_fails_leaves_nothing_unfinished() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("out");
    write(dir.path(), "bad.csv", "n\n1\n2\nx\n");
    write(dir.path(), "nested.jsonl", "{\"l\":[1],\"s\":{\"a\":1},\"n\":1}\n");
    let (shown, target) = (dir.path().display(), out.display());
    let into = |path: &str, options: &str, query: &str| {
        format!(
            "CREATE SOURCE bad (n BIGINT) WITH (connector = 'file', path = '{shown}/bad.csv');
             CREATE SOURCE nested WITH (connector = 'file', path = '{shown}/nested.jsonl');
             CREATE SINK s WITH (connector = 'file', path = '{target}/{path}'{options});
             SET max_rows_per_interval = 1; INSERT INTO s {query};"
        )
    };
    let parts = ["part-000000000000.csv", "part-000000000001.csv"];
    let bad = "SELECT n FROM bad";
    let span = "SELECT INTERVAL '1 day' AS i FROM nested";
    let cases: [(&str, &str, &str, &str, &[&str]); 9] = [
        ("one.csv", "", bad, "bad.csv:4", &[]),
        ("one.csv.gz", "", bad, "bad.csv:4", &[]),
        ("one.parquet", "", bad, "bad.csv:4", &[]),
        ("parts", ", format = 'csv'", bad, "bad.csv:4", &parts),
        (
            "roll",
            ", format = 'csv', max_rows_per_file = 9",
            bad,
            "bad.csv:4",
            &["part-000000000000-000000.csv"],
        ),
        ("l.csv", "", "SELECT n, l FROM nested", "column `l` is BIGINT[]", &[]),
        (
            "s.csv",
            "",
            "SELECT s FROM nested",
            "write its fields, as in (s).a",
            &[],
        ),
        ("i.parquet", "", span, "column `i` is INTERVAL", &[]),
        ("i", ", format = 'parquet'", span, "CAST(i AS STRING)", &[]),
    ];
    for (path, options, query, message, left) in cases {
        let (_, said, code) = waterwheel(&into(path, options, query));
        assert!(code.is_some_and(|code| code > 0) && said.contains(message), "{said}");
        let found = if out.is_dir() { files_below(&out) } else { Vec::new() };
        assert_eq!(found, left, "{path}");
        std::fs::remove_dir_all(&out).ok();
    }
}

#[test]
fn what_was_written_into_folders_is_read_from_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let shown = dir.path().display();
    for (format, name) in [("csv", "c"), ("parquet", "p"), ("json", "j")] {
        let path = format!("{shown}/{name}");
        let written = format!(
            "CREATE TABLE t (a INT, b STRING, n INT);
             INSERT INTO t VALUES (1, 'x/y', 10), (1, NULL, 11), (2, 'z', 12);
             CREATE SINK s WITH (connector = 'file', path = '{path}', format = '{format}', partition_by = 'b, a');
             INSERT INTO s SELECT * FROM t;"
        );
        rows(&written);
        // Declared, in the order and with the types of the table.
        let declared = format!(
            "CREATE TABLE r (a INT, n INT, b STRING) WITH (connector = 'file', path = '{path}', format = '{format}');"
        );
        let all = rows(&format!("{declared} SELECT * FROM r ORDER BY n"));
        assert_eq!(all, "1,10,x/y\n1,11,\n2,12,z\n", "{format}");
        for (query, expected) in [
            ("SELECT n FROM r WHERE b IS NULL", "11\n"),
            ("SELECT sum(a), count(*) FROM r", "4,3\n"),
            ("SELECT b FROM r WHERE a = 2", "z\n"),
            ("SELECT max(n) FROM r WHERE b = 'x/y'", "10\n"),
        ] {
            assert_eq!(rows(&format!("{declared} {query}")), expected, "{format}: {query}");
        }
        // Undeclared, as text behind the columns of the files.
        let all = rows(&format!("SELECT *, a || '!' FROM '{path}' ORDER BY n"));
        assert_eq!(all, "10,x/y,1,1!\n11,,1,1!\n12,z,2,2!\n", "{format}");
        let ordered = declared.replace("format", "splits = 'ordered', format");
        assert_eq!(rows(&format!("{ordered} SELECT sum(a * n) FROM r")), "45\n");
    }
}

#[test]
fn each_file_is_asked_for_what_its_own_folders_do_not_tell() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "a.csv", "k,n\nown,1\n");
    std::fs::create_dir(dir.path().join("k=z")).expect("a folder");
    write(&dir.path().join("k=z"), "b.csv", "n\n2\n");
    let shown = dir.path().display();
    for (path, found) in [("", "own,1\nz,2\n"), ("/*=*/*.csv", "z,2\n"), ("/k*/*", "z,2\n")] {
        for splits in ["file", "ordered"] {
            let declared = format!(
                "CREATE SOURCE t (n INT, k STRING) WITH (connector = 'file', path = '{shown}{path}', format = 'csv',
                 splits = '{splits}');"
            );
            assert_eq!(rows(&format!("{declared} SELECT k, n FROM t")), found, "{path}");
            assert_eq!(
                rows(&format!("{declared} SELECT n FROM t WHERE k = 'z'")),
                "2\n",
                "{path}"
            );
        }
    }
    assert_eq!(rows(&format!("SELECT n, k FROM '{shown}/*=*/*.csv'")), "2,z\n");
}

#[test]
fn folders_whose_names_do_not_fit_are_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let shown = dir.path().display();
    for folder in ["a=1", "a=x", "plain", ".hidden=1"] {
        std::fs::create_dir(dir.path().join(folder)).expect("a folder");
        write(&dir.path().join(folder), "f.csv", "n\n1\n");
    }
    let declared = |columns: &str| {
        format!("CREATE TABLE t ({columns}) WITH (connector = 'file', path = '{shown}', format = 'csv');")
    };
    let (_, said, code) = waterwheel(&format!("{} SELECT * FROM t", declared("n INT, a INT")));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("`a`: \"x\" of its folder is no INT"), "{said}");
    assert_eq!(
        rows(&format!("{} SELECT n, a FROM t", declared("n INT, a STRING"))),
        "1,1\n1,x\n"
    );
    // Whoever does not ask for the column does not need it.
    assert_eq!(rows(&format!("{} SELECT n FROM t", declared("n INT, a INT"))), "1\n1\n");
    std::fs::create_dir_all(dir.path().join("deep/er")).expect("a folder");
    let (_, said, _) = waterwheel(&format!("SELECT * FROM '{shown}/deep'"));
    assert!(said.contains("deep holds no file"), "{said}");
    assert!(said.contains("/deep/*/*'"), "{said}");
}

#[test]
fn lines_before_the_header_are_passed_over() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "\u{feff}A report, of \"things\n\nn,s\n1,a\nx,b\n3,c\n";
    write(dir.path(), "a.csv", text);
    write(dir.path(), "b.csv.gz", gzip(text));
    write(dir.path(), "short.csv", "one line\n");
    let file = |path: &str, more: &str| {
        let path = dir.path().join(path);
        format!("connector = 'file', path = '{}', skip_lines = 2{more}", path.display())
    };
    // Columns are told by what stands behind them; lines are counted with them.
    let inferred = format!("CREATE SOURCE t WITH ({}); SELECT n, s FROM t", file("a.csv", ""));
    assert_eq!(rows(&inferred), "1,a\nx,b\n3,c\n");
    for path in ["a.csv", "b.csv.gz"] {
        let declared = format!("CREATE SOURCE t (n INT, s STRING) WITH ({});", file(path, ""));
        let (_, said, code) = waterwheel(&format!("{declared} SELECT n FROM t"));
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(&format!("{path}:5 (byte 33): ")), "{said}");
        let skipping = declared.replace(");", ", on_error = 'skip');");
        assert_eq!(rows(&format!("{skipping} SELECT sum(n) FROM t")), "4\n", "{path}");
    }
    let followed = format!(
        "CREATE SOURCE t (n STRING, s STRING) WITH ({});",
        file("a.csv", ", follow = true")
    );
    assert_eq!(rows(&format!("{followed} SELECT n FROM t LIMIT 3")), "1\nx\n3\n");
    let piped = "CREATE SOURCE t (n STRING, s STRING) WITH (connector = 'stdin', format = 'csv', skip_lines = 2);";
    let (piped, said, _) = waterwheel_with(text.as_bytes(), &format!("{piped} SELECT n FROM t"));
    assert_eq!(piped, "1\nx\n3\n", "{said}");
    let short = file("short.csv", ", header = false");
    let short = format!("CREATE SOURCE t (n INT) WITH ({short}); SELECT count(*) FROM t");
    assert_eq!(rows(&short), "0\n");
}

#[test]
fn a_lost_quote_swallows_no_neighbour() {
    let dir = tempfile::tempdir().expect("a folder");
    write(
        dir.path(),
        "q.csv",
        "1,\"abc,10\n2,\"def\",20\n3,x,30\n9,\"st\"ray,90\n",
    );
    let table = |on_error: &str| {
        format!(
            "CREATE TABLE t (a INT, b STRING, c INT) WITH (connector = 'file', path = '{}', header = false,
             on_error = '{on_error}');",
            dir.path().join("q.csv").display()
        )
    };
    assert_eq!(
        rows(&format!("{} SELECT * FROM t", table("skip"))),
        "2,def,20\n3,x,30\n"
    );
    let letters = "SELECT count(*) FROM t; SELECT line, byte_offset, CAST(bytes AS STRING) FROM dead_letters('t')";
    let kept = rows(&format!("{} {letters}", table("dead_letter")));
    assert_eq!(kept, "2\n1,0,\"1,\"\"abc,10\"\n4,28,\"9,\"\"st\"\"ray,90\"\n");
    let (_, said, code) = waterwheel(&format!("{} SELECT * FROM t", table("fail")));
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("q.csv:1 (byte 0): not a CSV record: a quote does not end: 1,\"abc,10"),
        "{said}"
    );
}

#[test]
fn a_folder_that_fits_no_column_is_a_bad_record_for_each_file() {
    let dir = tempfile::tempdir().expect("a folder");
    for (folder, name) in [("day=1", "a.csv"), ("day=x", "b.csv"), ("day=x", "c.csv")] {
        std::fs::create_dir_all(dir.path().join(folder)).expect("a folder");
        write(&dir.path().join(folder), name, "n\n1\n2\n");
    }
    for splits in ["file", "ordered"] {
        let table = |on_error: &str| {
            format!(
                "CREATE TABLE t (n INT, day INT) WITH (connector = 'file', path = '{}', on_error = '{on_error}',
                 splits = '{splits}');",
                dir.path().display()
            )
        };
        assert_eq!(rows(&format!("{} SELECT n, day FROM t", table("skip"))), "1,1\n2,1\n");
        let letters = "SELECT sum(day) FROM t; SELECT count(*), min(message) FROM dead_letters('t')";
        let kept = rows(&format!("{} {letters}", table("dead_letter")));
        assert_eq!(kept, "2\n2,\"`day`: \"\"x\"\" of its folder is no INT\"\n");
        let (_, said, code) = waterwheel(&format!("{} SELECT day FROM t", table("fail")));
        assert_eq!(code, Some(3), "{said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_bad_record() {
    let dir = tempfile::tempdir().expect("a folder");
    let shown = dir.path().display();
    let made = "CREATE SOURCE g (n BIGINT) WITH (connector = 'datagen', rows = 40000, fields.n.kind = 'sequence', fields.n.start = 1);";
    let write_as = |name: &str| {
        let path = format!("{shown}/{name}");
        rows(&format!(
            "{made} CREATE SINK s WITH (connector = 'file', path = '{path}', overwrite = true); INSERT INTO s SELECT n FROM g"
        ));
        std::fs::read(&path).expect("it is there")
    };
    for (suffix, why) in [
        ("csv.gz", "the packed data ends too early: the file is cut"),
        ("parquet", "is not a readable Parquet file"),
        ("arrow", "is not a readable Arrow file"),
    ] {
        let whole = write_as(&format!("c.{suffix}"));
        write(dir.path(), &format!("a.{suffix}"), &whole);
        let cut = &whole[..whole.len() / 2];
        write(dir.path(), &format!("b.{suffix}"), cut);
        for splits in ["file", "ordered"] {
            let table = |on_error: &str| {
                format!(
                    "CREATE SOURCE t (n BIGINT) WITH (connector = 'file', path = '{shown}/*.{suffix}',
                     splits = '{splits}', on_error = '{on_error}');"
                )
            };
            let count = "SELECT count(*) >= 80000, max(n) FROM t;";
            let letters = "SELECT count(*), min(message) FROM dead_letters('t')";
            let found = rows(&format!("{} {count} {letters}", table("dead_letter")));
            assert_eq!(found, format!("true,40000\n1,{why}\n"), "{suffix}");
            let (_, said, code) = waterwheel(&format!("{} {count}", table("fail")));
            assert_eq!(code, Some(3), "{said}");
            assert!(said.contains(&format!("b.{suffix}")), "{said}");
        }
    }
}

#[test]
fn nested_times_are_read_in_the_form_in_which_they_are_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = format!("{}/a.jsonl", dir.path().display());
    let options = format!(
        "connector = 'file', path = '{path}', timestamp_format = '%d/%m/%Y %H:%M:%S', date_format = '%d.%m.%Y'"
    );
    rows(&format!(
        "CREATE TABLE w (t TIMESTAMP(3), d DATE); INSERT INTO w VALUES ('2024-02-01 03:04:05', '2024-02-03'), (NULL, NULL);
         CREATE SINK s WITH ({options}); INSERT INTO s SELECT {{t: t, d: d}} AS s, [t] AS l, t, d FROM w"
    ));
    let written = std::fs::read_to_string(&path).expect("it is there");
    assert!(written.contains("\"l\":[\"01/02/2024 03:04:05\"]"), "{written}");
    let declared = format!(
        "CREATE SOURCE r (s STRUCT<t TIMESTAMP(3), d DATE>, l TIMESTAMP(3)[], t TIMESTAMP(3), d DATE) WITH ({options});"
    );
    assert_eq!(
        rows(&format!("{declared} SELECT (s).t, (s).d, l[1], t, d FROM r")),
        "2024-02-01T03:04:05,2024-02-03,2024-02-01T03:04:05,2024-02-01T03:04:05,2024-02-03\n,,,,\n"
    );
}

#[test]
fn what_names_do_not_tell_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let shown = dir.path().display();
    // The first file is empty.
    write(dir.path(), "a.csv", "");
    write(dir.path(), "b.csv", "n\n1\n");
    assert_eq!(rows(&format!("SELECT n FROM '{shown}/*.csv'")), "1\n");
    write(dir.path(), "twice.csv", "a,a\n1,2\n");
    let twice = format!("CREATE SOURCE t WITH (connector = 'file', path = '{shown}/twice.csv'); SELECT 1 FROM t");
    let (_, said, _) = waterwheel(&twice);
    assert!(said.contains(":1:50: error[cannot_infer]"), "{said}");
    assert!(said.contains("its header has two columns called `a`"), "{said}");
    write(dir.path(), "b.arrow.gz", gzip("anything"));
    let (_, said, _) = waterwheel(&format!("SELECT * FROM '{shown}/b.arrow.gz'"));
    assert!(said.contains("such files pack themselves"), "{said}");
    let sink =
        format!("CREATE SINK s WITH (connector = 'file', path = '{shown}/c.parquet.gz'); INSERT INTO s SELECT 1 AS n");
    let (_, said, _) = waterwheel(&sink);
    assert!(said.contains("format 'parquet' packs its columns itself"), "{said}");
    // Seconds before 1970.
    write(dir.path(), "s.jsonl", "{\"t\":\"-5\"}\n{\"t\":\"5\"}\n");
    let seconds = format!(
        "CREATE SOURCE t (t TIMESTAMP(0)) WITH (connector = 'file', path = '{shown}/s.jsonl', timestamp_format = '%s');"
    );
    assert_eq!(
        rows(&format!("{seconds} SELECT t FROM t")),
        "1969-12-31T23:59:55\n1970-01-01T00:00:05\n"
    );
}

#[test]
fn whole_seconds_are_times_in_parquet() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = format!("{}/a.parquet", dir.path().display());
    rows(&format!(
        "CREATE TABLE w (t TIMESTAMP(0), n INT); INSERT INTO w VALUES ('2024-01-01 00:00:01', 1), (NULL, 2);
         CREATE SINK s WITH (connector = 'file', path = '{path}');
         INSERT INTO s SELECT t, [t] AS l, arrow_cast('00:00:01', 'Time32(Second)') AS o,
                       arrow_cast(CAST(t AS DATE), 'Date64') AS d, n FROM w"
    ));
    // As others read them: by the types of Parquet, which are those of the columns that nobody declared.
    let types = rows(&format!(
        "CREATE SOURCE t WITH (connector = 'file', path = '{path}'); DESCRIBE t"
    ));
    let types: Vec<&str> = types.lines().filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(types, ["TIMESTAMP(3)", "TIMESTAMP(3)[]", "TIME", "DATE", "INT"]);
    let declared = format!("CREATE SOURCE t (t TIMESTAMP(0), n INT) WITH (connector = 'file', path = '{path}');");
    assert_eq!(
        rows(&format!("{declared} SELECT t, n FROM t")),
        "2024-01-01T00:00:01,1\n,2\n"
    );
    assert_eq!(
        rows(&format!("SELECT o, d FROM '{path}' LIMIT 1")),
        "00:00:01,2024-01-01\n"
    );
}

#[test]
fn values_of_typed_files_that_do_not_fit_are_bad_records() {
    let dir = tempfile::tempdir().expect("a folder");
    let shown = dir.path().display();
    for (suffix, place) in [
        ("parquet", "row 1 of row group 0"),
        ("arrow", "row 1 of record batch 0"),
    ] {
        for (name, values) in [("a", "(1, 'x')"), ("b", "(2, '2'), (300, '3'), (4, 'z')")] {
            rows(&format!(
                "CREATE TABLE w (n BIGINT, s STRING); INSERT INTO w VALUES {values};
                 CREATE SINK s WITH (connector = 'file', path = '{shown}/{name}.{suffix}'); INSERT INTO s SELECT * FROM w"
            ));
        }
        let table = |columns: &str, on_error: &str| {
            format!(
                "CREATE SOURCE t ({columns}) WITH (connector = 'file', path = '{shown}/*.{suffix}', on_error = '{on_error}');"
            )
        };
        let letters = "SELECT n FROM t; SELECT message FROM dead_letters('t')";
        let found = rows(&format!("{} {letters}", table("n TINYINT", "dead_letter")));
        assert_eq!(found, format!("1\n2\n4\n{place}: column `n`: 300 is no TINYINT\n"));
        let both = rows(&format!("{} SELECT n, s FROM t", table("n TINYINT, s INT", "skip")));
        assert_eq!(both, "2,2\n");
        let (given, said, code) = waterwheel(&format!("{} SELECT n FROM t", table("n TINYINT", "fail")));
        assert_eq!((given.as_str(), code), ("1\n2\n", Some(3)), "{said}");
        assert!(
            said.contains(&format!("b.{suffix}: {place}: column `n`: 300 is no TINYINT")),
            "{said}"
        );
        // Of a type of which no value fits, each file is one.
        let none = table("n STRUCT<a INT>", "dead_letter");
        let none = format!("{none} SELECT count(n) FROM t; SELECT message FROM dead_letters('t')");
        let (given, said, _) = waterwheel(&none);
        let why = "column `n`: BIGINT, as the file has it, is no STRUCT<a INT>";
        assert!(given.contains(why) || said.contains(why), "{given}{said}");
    }
}

#[test]
fn parts_that_are_there_are_found_before_anything_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "part-000000000000.csv", "a\n1\n");
    let sink = |more: &str| {
        format!(
            "CREATE SINK s WITH (connector = 'file', path = '{}', format = 'csv'{more}); SELECT 7; INSERT INTO s SELECT 1 AS a",
            dir.path().display()
        )
    };
    let (shown, said, code) = waterwheel(&sink(""));
    assert_eq!((shown.as_str(), code), ("", Some(1)), "{said}");
    assert!(
        said.contains("<command>:1:") && said.contains("overwrite = true replaces it"),
        "{said}"
    );
    assert_eq!(rows(&sink(", overwrite = true")), "7\n");
}

#[test]
fn the_nearest_name_is_one_that_would_be_read() {
    let dir = tempfile::tempdir().expect("a folder");
    // An empty folder holds nothing to read, and its name would come first.
    std::fs::create_dir(dir.path().join("clicka.csv")).expect("a folder");
    write(dir.path(), "clicks.csv", "a\n1\n");
    let (_, said, _) = waterwheel(&format!("SELECT * FROM '{}'", dir.path().join("clickz.csv").display()));
    assert!(said.contains("clicks.csv`?"), "{said}");
}

#[test]
fn two_spellings_of_a_path_are_one_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let twice = format!(
        "CREATE SINK one WITH (connector = 'file', path = '{0}/f.csv') AS SELECT 1 AS a;
         CREATE SINK two WITH (connector = 'file', path = '{0}/./gone/../f.csv', overwrite = true) AS SELECT 2 AS a",
        dir.path().display()
    );
    let (_, said, code) = waterwheel(&twice);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another query of this text writes to"), "{said}");
}

#[test]
fn a_file_that_is_read_again_has_the_columns_of_now() {
    let dir = tempfile::tempdir().expect("a folder");
    let select = format!("SELECT * FROM '{}'", dir.path().join("t.csv").display());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let engine = waterwheel::Engine::in_memory();
    for (text, columns) in [("a\n1\n", vec!["a"]), ("a,b\n1,2\n", vec!["a", "b"])] {
        write(dir.path(), "t.csv", text);
        let query = runtime.block_on(engine.query(&select)).expect("it is planned");
        let found = runtime.block_on(query.one()).expect("it is read");
        let names: Vec<String> = found.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, columns);
    }
}

#[test]
fn files_that_are_not_what_their_names_say_are_told_before_anything_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "plain.csv.gz", "a\n1\n");
    write(dir.path(), "plain.csv.zst", "a\n1\n");
    // Read as a length, its first bytes ask for 1.8 GB.
    write(dir.path(), "junk.arrow", "llllllllllllllllllllllll");
    write(dir.path(), "footer.arrow", "ARROW1\0\0llllARROW1");
    for (name, what) in [
        ("plain.csv.gz", "it is not packed with gzip"),
        ("plain.csv.zst", "it is not packed with zstd"),
        ("junk.arrow", "is not a readable Arrow file"),
        ("footer.arrow", "is not a readable Arrow file"),
    ] {
        let path = dir.path().join(name);
        let declared = format!(
            "CREATE TABLE t (a INT) WITH (connector = 'file', path = '{}'); SELECT 7; SELECT a FROM t",
            path.display()
        );
        for sql in [format!("SELECT 7; SELECT * FROM '{}'", path.display()), declared] {
            let (shown, said, code) = waterwheel(&sql);
            assert_eq!((shown.as_str(), code), ("", Some(1)), "{said}");
            assert!(said.contains(what), "{said}");
        }
    }
}
