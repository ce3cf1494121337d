//! Values of files: what fits a column and what does not, what is told from data, how times stand.

use super::hurt::waterwheel;
use std::path::Path;

/// The rows of a script that ends well.
fn rows(sql: &str) -> String {
    let (rows, said, code) = waterwheel(sql);
    assert_eq!(code, Some(0), "{said}");
    rows
}

fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(dir.join(name), bytes).expect("a file");
}

#[test]
fn a_bad_record_moves_no_watermark_in_rows_that_nobody_asks_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let shown = dir.path().display();
    let copy = |name: u32, values: &str| {
        format!("COPY (SELECT * FROM (VALUES {values}) v(id, ts, a)) TO '{shown}/{name}.parquet';")
    };
    // The first file holds no row that is asked for, and one whose `a` is no BIGINT UNSIGNED, far ahead.
    let early = "(2, TIMESTAMP '2024-01-01T00:00:03', 1), (2, TIMESTAMP '2024-01-01T00:00:04', 1)";
    let ahead = |a: i32| format!("(1, TIMESTAMP '2024-01-01T00:00:00', 1), (1, TIMESTAMP '2024-01-01T00:01:40', {a})");
    let query = |on_error: &str| {
        format!(
            "CREATE TABLE t (id BIGINT, ts TIMESTAMP, a BIGINT UNSIGNED, WATERMARK FOR ts AS ts)
             WITH (connector = 'file', path = '{shown}', splits = 'ordered', on_error = '{on_error}');
             SELECT count(*) FROM TUMBLE((SELECT * FROM t WHERE id = 2 AND a = 1), ts, INTERVAL '10' SECOND)
             GROUP BY window_start, window_end"
        )
    };
    rows(&format!("{}{}", copy(1, &ahead(-5)), copy(2, early)));
    let (found, said, _) = waterwheel(&query("skip"));
    assert_eq!(found, "2\n", "{said}");
    assert!(said.contains("late=0 late_partial=0 bad=1"), "{said}");
    let (_, said, code) = waterwheel(&query("fail"));
    assert!(said.contains("column `a`: -5 is no BIGINT UNSIGNED"), "{said}");
    assert_eq!(code, Some(3));
    // What surely fits is left out, and its watermark counts.
    std::fs::remove_dir_all(dir.path()).expect("the files");
    rows(&format!("{}{}", copy(1, &ahead(5)), copy(2, early)));
    let (found, said, _) = waterwheel(&query("skip"));
    assert_eq!(found, "", "{said}");
    assert!(said.contains("late=2 late_partial=0 bad=0"), "{said}");
}

#[test]
fn a_value_that_does_not_fit_takes_no_neighbour_with_it() {
    let dir = tempfile::tempdir().expect("a folder");
    for suffix in ["parquet", "arrow"] {
        let path = dir.path().join(format!("v.{suffix}"));
        let path = path.display();
        rows(&format!(
            "COPY (SELECT id, CASE WHEN id = 5 THEN [1099511627776] ELSE [1] END AS l,
                          CASE WHEN id = 7 THEN decode('ff', 'hex') ELSE decode('61', 'hex') END AS b,
                          CASE WHEN id = 9 THEN 1.5e0 ELSE 1e0 END AS n,
                          CASE WHEN id = 11 THEN 1e300 ELSE 1e0 END AS f,
                          CASE WHEN id = 13 THEN [2.5e0] ELSE [1e0] END AS m,
                          CASE WHEN id = 15 THEN ['x'] ELSE ['1'] END AS t
                   FROM range(0, 1000) r(id)) TO '{path}'"
        ));
        let table = |on_error: &str| {
            format!(
                "CREATE TABLE t (id INT, l INT[], b STRING, n INT, f FLOAT, m INT[], t INT[])
                 WITH (connector = 'file', path = '{path}', on_error = '{on_error}');"
            )
        };
        let found = rows(&format!(
            "{} SELECT count(*), sum(id), min(b), max(n), max(f), sum(l[1] + m[1] + t[1]) FROM t;
             SELECT split_part(message, ': ', 3) FROM dead_letters('t') ORDER BY 1; SELECT max(length(encode(bytes, 'hex'))) FROM dead_letters('t')",
            table("dead_letter")
        ));
        let sum: i64 = (0..1000).filter(|id| ![5, 7, 9, 11, 13, 15].contains(id)).sum();
        let wrong = [
            "1.5 is no INT",
            "1e300 is no FLOAT",
            "[1099511627776] is no INT[]",
            "[2.5] is no INT[]",
            "[x] is no INT[]",
            "ff is no STRING",
        ];
        assert_eq!(
            found,
            format!("994,{sum},a,1,1.0,2982\n{}\n0\n", wrong.join("\n")),
            "{suffix}"
        );
        let (found, said, code) = waterwheel(&format!("{} SELECT id FROM t WHERE l[1] = 1", table("fail")));
        assert_eq!((found.as_str(), code), ("0\n1\n2\n3\n4\n", Some(3)), "{said}");
        assert!(said.contains("column `l`: [1099511627776] is no INT[]"), "{said}");
    }
}

#[test]
fn numbers_that_are_too_large_are_bad_records() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "f.csv", "f,d\n1,1\n1e300,2\n-inf,inf\n3,1e999\n");
    write(
        dir.path(),
        "f.jsonl",
        "{\"f\":1,\"d\":1}\n{\"f\":1e300,\"d\":2}\n{\"f\":\"-inf\",\"d\":\"inf\"}\n{\"f\":3,\"d\":1e999}\n",
    );
    for (name, first) in [("f.csv", "\"1e300\""), ("f.jsonl", "1e300")] {
        let found = rows(&format!(
            "CREATE TABLE t (f FLOAT, d DOUBLE) WITH (connector = 'file', path = '{}', on_error = 'dead_letter');
             SELECT f, d FROM t; SELECT count(*) FROM dead_letters('t'); SELECT message FROM dead_letters('t') LIMIT 1",
            dir.path().join(name).display()
        ));
        let message = format!("column `f`: {first} is no FLOAT").replace('"', "\"\"");
        let quoted = if name == "f.csv" {
            format!("\"{message}\"")
        } else {
            message
        };
        assert_eq!(found, format!("1.0,1.0\n-inf,inf\n2\n{quoted}\n"), "{name}");
    }
}

#[test]
fn what_is_told_from_data_reads_the_data() {
    let dir = tempfile::tempdir().expect("a folder");
    write(
        dir.path(),
        "t.csv",
        "code,n,far,hour,digits,day,at\n01234,1,9999-12-31T23:59:59,2024-01-01T25:00:00,\u{661}\u{662},2024-01-01,2024-01-01T10:00:00\n\
         7,-2,1500-01-01T00:00:00,2024-01-01T05:00:00,5,2024-01-02,2024-01-01T11:00:00\n",
    );
    write(
        dir.path(),
        "t.jsonl",
        "{\"u\":18446744073709551615,\"v\":1,\"w\":1e3,\"day\":\"2024-01-01\",\"at\":\"2024-01-01T10:00:00\"}\n\
         {\"u\":7,\"v\":123456789012345678901234567890,\"w\":0.5,\"day\":\"2024-01-02\",\"at\":\"2024-01-01\"}\n",
    );
    let told = |name: &str| {
        let path = dir.path().join(name);
        let path = path.display();
        let types = rows(&format!(
            "CREATE TABLE t WITH (connector = 'file', path = '{path}'); DESCRIBE t"
        ));
        let types = types
            .lines()
            .map(|line| line.split(',').take(2).collect::<Vec<_>>().join(" "));
        (types.collect::<Vec<_>>(), rows(&format!("SELECT * FROM '{path}'")))
    };
    let (types, found) = told("t.csv");
    let all = [
        "code STRING",
        "n BIGINT",
        "far STRING",
        "hour STRING",
        "digits STRING",
        "day DATE",
        "at TIMESTAMP",
    ];
    assert_eq!(types, all);
    assert!(
        found.starts_with("01234,1,9999-12-31T23:59:59,2024-01-01T25:00:00,\u{661}\u{662},2024-01-01,"),
        "{found}"
    );
    let (types, found) = told("t.jsonl");
    assert_eq!(
        types,
        [
            "u BIGINT UNSIGNED",
            "v STRING",
            "w DOUBLE",
            "day DATE",
            "at TIMESTAMP(3)"
        ]
    );
    assert!(
        found.starts_with("18446744073709551615,1,1000.0,2024-01-01,2024-01-01T10:00:00"),
        "{found}"
    );
    assert!(found.contains("\n7,123456789012345678901234567890,0.5,"), "{found}");
}

#[test]
fn what_one_object_per_line_is_not_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "list.json", "[{\"a\":1},\n {\"a\":2}]\n");
    write(dir.path(), "pretty.json", "{\n  \"a\": 1\n}\n");
    for (name, inferred) in [
        ("list.json", "it is one list"),
        ("pretty.json", "its first line is no whole object"),
    ] {
        let path = dir.path().join(name);
        let path = path.display();
        let (_, said, code) = waterwheel(&format!("SELECT * FROM '{path}'"));
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains(inferred) && said.contains("one object per line is read"),
            "{said}"
        );
    }
    let declared = format!(
        "CREATE TABLE t (a INT) WITH (connector = 'file', path = '{}'); SELECT a FROM t",
        dir.path().join("list.json").display()
    );
    let (_, said, _) = waterwheel(&declared);
    assert!(
        said.contains("not a JSON object but a list: one object per line is read"),
        "{said}"
    );
    let parquet = dir.path().join("t.parquet");
    let parquet = parquet.display();
    rows(&format!("COPY (SELECT 1 AS a) TO '{parquet}'"));
    let (_, said, _) = waterwheel(&format!(
        "CREATE TABLE t (a INT) WITH (connector = 'file', path = '{parquet}', format = 'csv'); SELECT a FROM t"
    ));
    assert!(
        said.contains("the header cannot be read: this is a Parquet file"),
        "{said}"
    );
}

#[test]
fn bytes_in_csv_are_read_as_they_are_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("b.csv");
    let path = path.display();
    rows(&format!(
        "COPY (SELECT decode('00ff61', 'hex') AS b, 1 AS n UNION ALL SELECT NULL, 2) TO '{path}'"
    ));
    let table =
        format!("CREATE TABLE t (b BYTEA, n INT) WITH (connector = 'file', path = '{path}', on_error = 'skip');");
    let found = rows(&format!("{table} SELECT encode(b, 'hex'), n FROM t ORDER BY n"));
    assert_eq!(found, "00ff61,1\n,2\n");
    write(dir.path(), "b.csv", "b,n\n0,1\n0g,2\n+f,3\n0A,4\n");
    assert_eq!(rows(&format!("{table} SELECT encode(b, 'hex'), n FROM t")), "0a,4\n");
}

#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_keeps_its_link_and_its_readers() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let dir = tempfile::tempdir().expect("a folder");
    let (real, link) = (dir.path().join("real.csv"), dir.path().join("link.csv"));
    write(dir.path(), "real.csv", "n\n1\n");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    symlink(&real, &link).expect("a link");
    rows(&format!(
        "CREATE SINK s WITH (connector = 'file', path = '{}', overwrite = true); INSERT INTO s SELECT 2 AS n",
        link.display()
    ));
    assert!(link.is_symlink());
    assert_eq!(std::fs::read_to_string(&real).expect("a file"), "n\n2\n");
    assert_eq!(std::fs::metadata(&real).expect("a file").mode() & 0o777, 0o600);
}
