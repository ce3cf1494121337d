//! Files that hurt, in miniature: what is broken is told or counted, and no neighbour is lost.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// What the program gives as CSV without a header, what it says, and its exit code.
pub fn waterwheel(sql: &str) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waterwheel"));
    command.args(["--format", "csv", "--no-header", "-c", sql]);
    let out = command.output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&out.stdout), text(&out.stderr), out.status.code())
}

fn table(name: &str, columns: &str, path: &Path, more: &str) -> String {
    format!(
        "CREATE SOURCE {name} ({columns}) WITH (connector = 'file', path = '{}'{more});",
        path.display()
    )
}

#[test]
fn broken_lines_among_many_are_counted() {
    let dir = tempfile::tempdir().expect("a folder");
    // Lines that are broken in ways of their own, also at the edges of blocks of a mebibyte.
    let broken = ["broken", "7,8,9", "x,1", "\"8,9", "{\"id\":", "[]", "{} {}"];
    let (mut csv, mut json, mut sum) = ("id,s\n".to_string(), String::new(), 0u64);
    for id in 0..60_000u64 {
        if id % 100 == 50 {
            let wrong = broken[(id / 100) as usize % broken.len()];
            writeln!(csv, "{wrong}").expect("text");
            writeln!(json, "{wrong}").expect("text");
        } else {
            writeln!(csv, "{id},a row of some length to fill the blocks").expect("text");
            writeln!(json, "{{\"id\":{id},\"s\":\"a row of some length\"}}").expect("text");
            sum += id;
        }
    }
    for (name, text) in [("t.csv", csv), ("t.jsonl", json)] {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        let declared = table("t", "id BIGINT, s STRING", &path, ", on_error = 'skip'");
        let (rows, said, code) = waterwheel(&format!("{declared} SELECT count(*), sum(id), count(s) FROM t"));
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(rows, format!("59400,{sum},59400\n"), "{name}");
        assert!(said.contains(" bad=600 "), "{said}");
    }
}

#[test]
fn a_packed_file_that_is_cut_gives_its_rows_and_then_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let lines: String = (0..100_000).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(lines.as_bytes()).expect("packed");
    let gzip = packer.finish().expect("packed");
    let zstd = zstd::encode_all(lines.as_bytes(), 1).expect("packed");
    for (name, packed) in [("cut.jsonl.gz", gzip), ("cut.jsonl.zst", zstd)] {
        let path = dir.path().join(name);
        std::fs::write(&path, &packed[..packed.len() / 2]).expect("a file");
        let (rows, said, code) = waterwheel(&format!("SELECT id FROM '{}'", path.display()));
        assert_eq!(code, Some(3), "{said}");
        assert!(
            said.contains(&format!("{name}: the packed data ends too early: the file is cut")),
            "{said}"
        );
        let ids: Vec<u64> = rows.lines().map(|line| line.parse().expect("a number")).collect();
        assert!(ids.len() > 10_000, "{} rows", ids.len());
        assert!(
            ids.iter().copied().eq(0..ids.len() as u64),
            "the rows before the cut, in order"
        );
    }
}

#[test]
fn a_thousand_parts_written_side_by_side_lose_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    for part in 0..1_000 {
        let line = |i: i64| {
            format!(
                "{{\"id\":{},\"ts\":{}}}\n",
                part * 20 + i,
                1_700_000_000_000 + i * 1_000 + part
            )
        };
        let lines: String = (0..20).map(line).collect();
        std::fs::write(dir.path().join(format!("part-{part:04}.jsonl")), lines).expect("a file");
    }
    let declared = table(
        "t",
        "id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts",
        dir.path(),
        ", format = 'json'",
    );
    let (rows, said, _) = waterwheel(&format!(
        "{declared} SELECT sum(c), sum(s), sum(d) FROM (SELECT count(*) AS c, sum(id) AS s, count(DISTINCT id) AS d
         FROM TUMBLE(t, ts, INTERVAL '5 seconds') GROUP BY window_start, window_end)"
    ));
    assert_eq!(rows, format!("20000,{},20000\n", 20_000u64 * 19_999 / 2), "{said}");
    assert!(said.contains(" late=0 late_partial=0 bad=0 "), "{said}");
}

#[test]
fn a_line_longer_than_a_block_is_a_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let long = "x".repeat(5 << 20);
    let files = [
        (
            "long.csv",
            format!("id,s\n1,a\n2,\"{long}\n{long}\"\n3,c\n"),
            2 * long.len() + 1,
        ),
        (
            "long.jsonl",
            format!("{{\"id\":1,\"s\":\"a\"}}\n{{\"id\":2,\"s\":\"{long}\"}}\n{{\"id\":3,\"s\":\"c\"}}\n"),
            long.len(),
        ),
    ];
    for (name, text, length) in files {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        let (rows, said, _) = waterwheel(&format!("SELECT id, length(s) FROM '{}'", path.display()));
        assert_eq!(rows, format!("1,1\n2,{length}\n3,1\n"), "{said}");
    }
}

#[test]
fn bytes_that_are_no_text_are_bad_records() {
    let dir = tempfile::tempdir().expect("a folder");
    let files: [(&str, &str, &[u8]); 3] = [
        (
            "t.csv",
            "id BIGINT, s STRING",
            b"id,s\n1,a\n2,\xff\xfe\n3,\"c\xe9\"\n4,d\n",
        ),
        (
            "t.jsonl",
            "id BIGINT, s STRING",
            b"{\"id\":1}\n{\"id\":2,\"s\":\"\xff\"}\n{\"id\":3\xe9}\n{\"id\":4}\n",
        ),
        ("t.log", "line STRING", b"1\n2\xff\n3\xe9\n4\n"),
    ];
    for (name, columns, bytes) in files {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let first = columns.split(' ').next().expect("a column");
        let kept = table("t", columns, &path, ", on_error = 'dead_letter'");
        let (rows, said, _) = waterwheel(&format!(
            "{kept} SELECT {first} FROM t; SELECT line, message FROM dead_letters('t');"
        ));
        let of: Vec<&str> = rows.lines().collect();
        assert_eq!(of[..2], ["1", "4"], "{name}: {said}");
        assert_eq!(of.len(), 4, "{rows}");
        assert!(
            of[2..]
                .iter()
                .all(|letter| letter.ends_with("of the line is not UTF-8")),
            "{rows}"
        );
        let (_, said, code) = waterwheel(&format!("{} SELECT {first} FROM t", table("t", columns, &path, "")));
        assert_eq!(code, Some(3));
        assert!(said.contains(" is not UTF-8: "), "{said}");
    }
}

#[test]
fn a_column_that_changes_its_type_is_told_with_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let numbers: String = (0..2_000).map(|id| format!("{id},{id}\n")).collect();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, format!("id,v\n{numbers}2000,text\n2001,7\n")).expect("a file");
    // The first thousand lines tell the type.
    let (_, said, code) = waterwheel(&format!("SELECT sum(v) FROM '{}'", path.display()));
    assert_eq!(code, Some(3));
    assert!(
        said.contains("t.csv:2002 (byte 17,785): column `v`: \"text\" is no BIGINT: 2000,text"),
        "{said}"
    );
    let declared = table("t", "id BIGINT, v BIGINT", &path, ", on_error = 'skip'");
    let (rows, said, _) = waterwheel(&format!("{declared} SELECT count(*), max(v) FROM t"));
    assert_eq!(rows, "2001,1999\n", "{said}");
    // Where no type holds all of the first values, the column is text.
    let path = dir.path().join("t.jsonl");
    let lines =
        "{\"id\":1,\"v\":5}\n{\"id\":2,\"v\":\"six\"}\n{\"id\":3,\"v\":{\"a\":1}}\n{\"id\":4,\"v\":[7]}\n{\"id\":5}\n";
    std::fs::write(&path, lines).expect("a file");
    let (rows, said, _) = waterwheel(&format!("SELECT id, v FROM '{}'", path.display()));
    assert_eq!(rows, "1,5\n2,six\n3,\"{\"\"a\"\":1}\"\n4,[7]\n5,\n", "{said}");
}

/// The same, where no file can grow beyond 32 KiB.
#[cfg(unix)]
fn with_little_room(sql: &str) -> (String, Option<i32>) {
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" -c \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_waterwheel"), sql]);
    let out = command.output().expect("the program runs");
    (String::from_utf8_lossy(&out.stderr).into_owned(), out.status.code())
}

#[cfg(unix)]
#[test]
fn a_disk_that_takes_no_more_is_told_whatever_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let shown = dir.path().display();
    let made = "CREATE SOURCE g (id BIGINT) WITH (connector = 'datagen', rows = 200000, fields.id.kind = 'sequence');";
    for (at, (name, options)) in [
        ("whole.csv", ""),
        ("parts", "format = 'csv'"),
        ("parts", "format = 'csv', max_rows_per_file = 10000000"),
        ("parts", "format = 'csv', max_rows_per_file = 50000"),
        ("parts", "format = 'csv', max_file_bytes = '100MB', partition_by = 'k'"),
        ("parts", "format = 'json', max_rows_per_file = 10000000"),
        ("parts", "format = 'parquet', max_rows_per_file = 10000000"),
        ("parts", "format = 'arrow', max_rows_per_file = 10000000"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = format!("{shown}/{at}");
        let options = if options.is_empty() {
            String::new()
        } else {
            format!(", {options}")
        };
        let (said, code) = with_little_room(&format!(
            "{made} CREATE SINK s WITH (connector = 'file', path = '{folder}/{name}'{options});
             INSERT INTO s SELECT id, id % 2 AS k FROM g"
        ));
        assert_eq!(code, Some(3), "{options}: {said}");
        assert!(said.contains("File too large"), "{options}: {said}");
        let left = Command::new("find")
            .args([&folder, "-type", "f"])
            .output()
            .expect("find is there");
        let left = String::from_utf8_lossy(&left.stdout);
        // The folder that did not fail has rows of intervals before.
        let is_whole = !left.contains("unfinished") && (left.is_empty() || options.contains("partition_by"));
        assert!(is_whole, "{options}: {left}");
    }
}

#[test]
fn a_file_that_cannot_be_read_stops_no_neighbour() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("a.csv.gz"), "").expect("a file");
    std::fs::write(dir.path().join("b.csv"), "n\n7\n").expect("a file");
    let table = |on_error: &str| table("t", "n INT", dir.path(), &format!(", on_error = '{on_error}'"));
    let (found, said, code) = waterwheel(&format!(
        "{} SELECT n FROM t; SELECT byte_offset, length(encode(bytes, 'hex')) FROM dead_letters('t')",
        table("dead_letter")
    ));
    assert_eq!((found.as_str(), code), ("7\n0,0\n", Some(0)), "{said}");
    let (found, said, code) = waterwheel(&format!("{} SELECT n FROM t", table("fail")));
    assert_eq!((found.as_str(), code), ("", Some(1)), "{said}");
}

#[test]
fn zeros_behind_a_packed_file_are_padding() {
    let dir = tempfile::tempdir().expect("a folder");
    let pack = |text: &str| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(text.as_bytes()).expect("packed");
        packer.finish().expect("packed")
    };
    let two = [pack("n\n1\n"), pack("2\n")].concat();
    for (behind, expected) in [
        (Vec::new(), Some(0)),
        (vec![0; 1000], Some(0)),
        ([vec![0; 7], pack("3\n")].concat(), Some(0)),
        (b"junk".to_vec(), Some(3)),
    ] {
        std::fs::write(dir.path().join("a.csv.gz"), [two.clone(), behind.clone()].concat()).expect("a file");
        let table = table("t", "n INT", &dir.path().join("a.csv.gz"), "");
        let (found, said, code) = waterwheel(&format!("{table} SELECT n FROM t"));
        assert_eq!(code, expected, "{said}");
        assert!(found.starts_with("1\n2\n"), "{found}{said}");
        assert_eq!(
            found.ends_with("3\n"),
            behind.len() > 10 && behind.len() < 1000,
            "{found}"
        );
    }
}
