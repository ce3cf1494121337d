//! Files on disk: which are found, what is read from them, ahead and again, and what is written.

use super::bytes::{KnownFile, PlainBytes};
use crate::connectors::{Bell, Chunk, Next, Source, Workers, find};
use crate::dstream::table::{Column, TableSpec};
use crate::error::Error;
use crate::formats::Bytes;
use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::ipc::writer::{FileWriter, StreamWriter};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, mpsc};

fn spec(path: &Path, options: &[(&str, &str)], columns: &[(&str, DataType)]) -> TableSpec {
    let column = |(name, data_type): &(&str, DataType)| Column {
        name: name.to_string(),
        data_type: data_type.clone(),
        nullable: true,
        declared: false,
        computed: None,
    };
    let mut all: std::collections::BTreeMap<String, String> =
        options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    all.insert("path".into(), path.display().to_string());
    TableSpec {
        name: "t".into(),
        columns: columns.iter().map(column).collect(),
        primary_key: vec![],
        watermark: None,
        connector: Some("file".into()),
        options: all,
        is_static: false,
        definition: String::new(),
    }
}

fn workers(threads: usize) -> Workers {
    Workers {
        threads,
        spawn: Arc::new(|job| {
            std::thread::spawn(job);
        }),
    }
}

fn source(spec: &TableSpec, threads: usize) -> Result<Arc<dyn Source>, Error> {
    find("file").unwrap().source.unwrap()(spec, &workers(threads))
}

/// All chunks of a split, and the error that ended it.
fn chunks(source: &dyn Source, split: usize, columns: &[usize]) -> (Vec<Chunk>, Option<Error>) {
    let (rung, heard) = mpsc::channel();
    let bell = Bell(Arc::new(move || {
        rung.send(()).ok();
    }));
    let mut reader = source
        .open(&source.splits().unwrap().known[split], columns, bell)
        .unwrap();
    let mut found = Vec::new();
    loop {
        match reader.next() {
            Ok(Next::Chunk(chunk)) => found.push(chunk),
            Ok(Next::Pending) => heard.recv_timeout(std::time::Duration::from_secs(20)).unwrap(),
            Ok(Next::Ended) => return (found, None),
            Err(error) => return (found, Some(error)),
        }
    }
}

fn total(chunks: &[Chunk]) -> usize {
    chunks.iter().map(|c| c.batch.num_rows()).sum()
}

/// Every chunk read again, whole and from its middle, equals what was read first.
fn check_reread(source: &dyn Source, columns: &[usize]) {
    for (i, split) in source.splits().unwrap().known.iter().enumerate() {
        for chunk in chunks(source, i, columns).0 {
            let rows = chunk.batch.num_rows();
            let half = rows / 2;
            let mut middle = chunk.from;
            middle.row += half as u64;
            for (from, skip) in [(chunk.from, 0), (middle, half)] {
                let again = source.reread(split, from, chunk.to, rows - skip, columns).unwrap();
                let again = concat_batches(&chunk.batch.schema(), &again).unwrap();
                assert_eq!(again, chunk.batch.slice(skip, rows - skip));
            }
        }
    }
}

fn numbers(count: i64) -> Vec<u8> {
    (0..count)
        .flat_map(|i| format!("{{\"n\":{i},\"s\":\"row {i}\"}}\n").into_bytes())
        .collect()
}

const N_S: [(&str, DataType); 2] = [("n", DataType::Int64), ("s", DataType::Utf8)];

#[test]
fn packed_and_plain_give_the_same_rows_whatever_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    let text = numbers(120_000);
    fs::write(dir.path().join("a.jsonl"), &text).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(
        fs::File::create(dir.path().join("a.json.gz")).unwrap(),
        Default::default(),
    );
    gzip.write_all(&text).unwrap();
    gzip.finish().unwrap();
    fs::write(
        dir.path().join("a.ndjson.zst"),
        zstd::encode_all(text.as_slice(), 1).unwrap(),
    )
    .unwrap();
    let read = |name: &str, threads| {
        let source = source(&spec(&dir.path().join(name), &[], &N_S), threads).unwrap();
        let (found, error) = chunks(&*source, 0, &[0, 1]);
        assert!(error.is_none());
        found.into_iter().map(|c| (c.from, c.to, c.batch)).collect::<Vec<_>>()
    };
    let first = read("a.jsonl", 1);
    assert!(first.len() > 3);
    assert_eq!(first.iter().map(|c| c.2.num_rows()).sum::<usize>(), 120_000);
    for (name, threads) in [("a.jsonl", 4), ("a.json.gz", 2), ("a.ndjson.zst", 3)] {
        assert_eq!(read(name, threads), first, "{name}");
    }
    // Each file of a directory as its own suffix tells, read first and again.
    for splits in ["file", "ordered"] {
        let all = source(&spec(dir.path(), &[("splits", splits)], &N_S), 2).unwrap();
        check_reread(&*all, &[0]);
    }
}

#[test]
fn a_cut_gzip_gives_its_whole_rows_then_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.jsonl.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
    gzip.write_all(&numbers(100_000)).unwrap();
    let mut packed = gzip.finish().unwrap();
    packed.truncate(packed.len() / 2);
    fs::write(&path, packed).unwrap();
    let source = source(&spec(&path, &[], &N_S), 2).unwrap();
    let (found, error) = chunks(&*source, 0, &[0]);
    assert!(total(&found) > 20_000, "{}", total(&found));
    let message = error.unwrap().message;
    assert!(
        message.ends_with("cut.jsonl.gz: the packed data ends too early: the file is cut"),
        "{message}"
    );
}

#[test]
fn a_bad_record_fails_after_the_rows_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.jsonl");
    fs::write(&path, "{\"n\":1}\nno\n{\"n\":2}\n").unwrap();
    let (found, error) = chunks(&*source(&spec(&path, &[], &N_S), 1).unwrap(), 0, &[0]);
    assert_eq!(total(&found), 1);
    assert!(
        error
            .unwrap()
            .message
            .ends_with("x.jsonl:2 (byte 8): not a JSON object: no")
    );
    let lenient = source(&spec(&path, &[("on_error", "skip")], &N_S), 1).unwrap();
    let (found, error) = chunks(&*lenient, 0, &[0]);
    assert!(error.is_none());
    assert_eq!((total(&found), found[0].bad.len()), (2, 1));
    check_reread(&*lenient, &[0, 1]);
}

#[test]
fn directories_globs_and_ordered_splits() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("b.csv", "n\n3\n"),
        ("a.csv", "n,s\n1,x\n2,y\n"),
        (".hidden.csv", "n\n9\n"),
        ("c.txt", ""),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let n = [N_S[0].clone()];
    let globbed = source(&spec(&dir.path().join("*.csv"), &[], &n), 2).unwrap();
    let names: Vec<String> = globbed.splits().unwrap().known.iter().map(|s| s.name.clone()).collect();
    assert_eq!(
        names,
        ["a.csv", "b.csv"].map(|f| dir.path().join(f).display().to_string())
    );
    assert_eq!([0, 1].map(|split| total(&chunks(&*globbed, split, &[]).0)), [2, 1]);
    check_reread(&*globbed, &[0]);
    let ordered = source(&spec(&dir.path().join("*.csv"), &[("splits", "ordered")], &n), 2).unwrap();
    assert_eq!(ordered.splits().unwrap().known.len(), 1);
    let (found, _) = chunks(&*ordered, 0, &[0]);
    assert!(found.windows(2).all(|w| w[0].to <= w[1].from));
    let again = ordered
        .reread(&ordered.splits().unwrap().known[0], found[0].from, found[1].to, 3, &[0])
        .unwrap();
    assert_eq!(again.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    check_reread(&*ordered, &[0]);
    assert_eq!(
        source(&spec(dir.path(), &[("format", "csv")], &n), 1)
            .unwrap()
            .splits()
            .unwrap()
            .known
            .len(),
        3
    );
    let wrong = source(&spec(&dir.path().join("a.cvs"), &[], &n), 1)
        .err()
        .unwrap()
        .message;
    assert!(wrong.ends_with("a.csv`?"), "{wrong}");
    let none = source(&spec(&dir.path().join("*.json"), &[], &n), 1)
        .err()
        .unwrap()
        .message;
    assert!(none.ends_with("*.json matches no file"), "{none}");
}

#[test]
fn an_empty_file_has_no_rows() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["e.csv", "e.jsonl"] {
        fs::write(dir.path().join(name), "").unwrap();
        let (found, error) = chunks(&*source(&spec(&dir.path().join(name), &[], &N_S), 1).unwrap(), 0, &[0]);
        assert_eq!((found.len(), error.map(|e| e.message)), (0, None), "{name}");
    }
}

fn write_parquet(path: &Path, rows: i64, group_rows: usize) {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("s", DataType::Utf8View, true),
        Field::new("n", DataType::Int64, true),
    ]));
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), schema.clone(), Some(properties)).unwrap();
    let text: StringArray = (0..rows).map(|i| Some(format!("row {i}"))).collect();
    let text = datafusion::arrow::compute::cast(&text, &DataType::Utf8View).unwrap();
    let numbers: Int64Array = (0..rows).map(|i| (i != 7).then_some(i)).collect();
    writer
        .write(&RecordBatch::try_new(schema, vec![text, Arc::new(numbers)]).unwrap())
        .unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_row_groups_stream_in_order_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.parquet");
    write_parquet(&path, 100_000, 30_000);
    let declared = [("n", DataType::Int32), ("s", DataType::Utf8)];
    let table = spec(&path, &[], &declared);
    let source_ = source(&table, 2).unwrap();
    let (found, error) = chunks(&*source_, 0, &[0, 1]);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(total(&found), 100_000);
    assert_eq!(found[0].batch.num_rows(), 8192);
    let blocks: Vec<u64> = found.iter().map(|c| c.from.block).collect();
    assert!(blocks.is_sorted() && blocks.last() == Some(&3));
    assert!(found.windows(2).all(|w| w[0].to == w[1].from));
    check_reread(&*source_, &[0, 1]);
    assert_eq!(total(&chunks(&*source_, 0, &[]).0), 100_000);
    let inferred = find("file").unwrap().infer.unwrap()(&table).unwrap();
    assert_eq!(inferred.field(0).data_type(), &DataType::Utf8);
    let mut keyed = spec(&path, &[("on_error", "skip")], &declared);
    keyed.primary_key = vec![0];
    let keyed = source(&keyed, 2).unwrap();
    let (found, _) = chunks(&*keyed, 0, &[0]);
    assert_eq!((total(&found), found[0].bad.len()), (99_999, 1));
    check_reread(&*keyed, &[0]);
    let wrong = source(&spec(&path, &[], &[("nn", DataType::Int64)]), 1).unwrap();
    let message = chunks(&*wrong, 0, &[0]).1.unwrap().message;
    assert!(
        message.ends_with("column `nn` is not in the file, which has: s, n; did you mean `n`?"),
        "{message}"
    );
}

/// Rows `0..rows` in batches of `batch_rows`; n is NULL at 7, `tag` is a dictionary.
fn arrow_bytes(rows: i64, batch_rows: i64, as_file: bool) -> Vec<u8> {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let schema = Arc::new(Schema::new(vec![
        Field::new("s", DataType::Utf8View, true),
        Field::new("tag", dictionary.clone(), true),
        Field::new("n", DataType::Int64, true),
    ]));
    let batch = |from: i64| {
        let range = from..rows.min(from + batch_rows);
        let text: StringArray = range.clone().map(|i| Some(format!("row {i}"))).collect();
        let tags: StringArray = range
            .clone()
            .map(|i| Some(if i % 2 == 0 { "even" } else { "odd" }))
            .collect();
        let numbers: Int64Array = range.map(|i| (i != 7).then_some(i)).collect();
        let text = cast(&text, &DataType::Utf8View).unwrap();
        let tags = cast(&tags, &dictionary).unwrap();
        RecordBatch::try_new(schema.clone(), vec![text, tags, Arc::new(numbers)]).unwrap()
    };
    let batches = (0..rows).step_by(batch_rows as usize).map(batch);
    if as_file {
        let mut writer = FileWriter::try_new(Vec::new(), &schema).unwrap();
        batches.for_each(|b| writer.write(&b).unwrap());
        return writer.into_inner().unwrap();
    }
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    batches.for_each(|b| writer.write(&b).unwrap());
    writer.into_inner().unwrap()
}

#[test]
fn arrow_files_and_streams_give_their_batches_in_order_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let declared = [("n", DataType::Int32), ("tag", DataType::Utf8), ("s", DataType::Utf8)];
    for (name, as_file) in [("rows.arrow", true), ("rows.ipc", false)] {
        let path = dir.path().join(name);
        fs::write(&path, arrow_bytes(10_000, 3_000, as_file)).unwrap();
        let table = spec(&path, &[], &declared);
        let source_ = source(&table, 2).unwrap();
        let (found, error) = chunks(&*source_, 0, &[0, 1, 2]);
        assert!(error.is_none(), "{error:?}");
        let blocks: Vec<(u64, usize)> = found.iter().map(|c| (c.from.block, c.batch.num_rows())).collect();
        assert_eq!(blocks, [(0, 3_000), (1, 3_000), (2, 3_000), (3, 1_000)]);
        assert!(found.windows(2).all(|w| w[0].to == w[1].from));
        check_reread(&*source_, &[0, 1, 2]);
        check_reread(&*source_, &[1]);
        assert_eq!(total(&chunks(&*source_, 0, &[]).0), 10_000);
        let inferred = find("file").unwrap().infer.unwrap()(&table).unwrap();
        assert!(
            inferred
                .fields()
                .iter()
                .take(2)
                .all(|f| f.data_type() == &DataType::Utf8)
        );
        let mut keyed = spec(&path, &[("on_error", "skip")], &declared);
        keyed.primary_key = vec![0];
        let keyed = source(&keyed, 2).unwrap();
        let (found, _) = chunks(&*keyed, 0, &[0]);
        assert_eq!((total(&found), found[0].bad.len()), (9_999, 1));
        assert_eq!(
            found[0].bad[0].message,
            "row 7 of record batch 0: column `n` may not be NULL"
        );
        check_reread(&*keyed, &[0]);
    }
}

#[test]
fn a_damaged_arrow_file_is_told_without_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let message = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let (found, error) = chunks(&*source(&spec(&path, &[], &N_S), 1).unwrap(), 0, &[0, 1]);
        let message = error.unwrap().message;
        let after = message.split_once(name).map(|(_, after)| after.to_string());
        (total(&found), after.unwrap_or(message))
    };
    let file = arrow_bytes(10_000, 5_000, true);
    let stream = arrow_bytes(10_000, 5_000, false);
    let unreadable = (0, " is not a readable Arrow file".to_string());
    assert_eq!(message("empty.arrow", b""), unreadable);
    assert_eq!(message("text.arrow", b"n,s\n1,one\n2,two\n"), unreadable);
    assert_eq!(message("cut.arrow", &file[..file.len() / 2]), unreadable);
    let cut = (5_000, ": record batch 1 cannot be read: the file is cut".to_string());
    assert_eq!(message("cut.ipc", &stream[..stream.len() - 1_000]), cut);
}

fn batch(values: Vec<i64>) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(values))]).unwrap()
}

fn visible(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.retain(|n| !n.starts_with('.'));
    names.sort();
    names
}

#[test]
fn one_file_appears_whole_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    let open = |options: &[(&str, &str)], bounded| {
        find("file").unwrap().sink.unwrap()(&spec(&path, options, &[]), batch(vec![]).schema(), bounded)
    };
    let mut sink = open(&[], true).unwrap();
    sink.prepare(0, &[batch(vec![1])]).unwrap();
    sink.prepare(1, &[batch(vec![2])]).unwrap();
    sink.commit(0).unwrap();
    sink.abort().unwrap();
    sink.prepare(1, &[batch(vec![3])]).unwrap();
    sink.commit(1).unwrap();
    assert!(visible(dir.path()).is_empty());
    sink.finish().unwrap();
    drop(sink);
    assert_eq!(fs::read_to_string(&path).unwrap(), "n\n1\n3\n");
    assert!(
        open(&[], true)
            .err()
            .unwrap()
            .message
            .ends_with("is already there: overwrite = true replaces it")
    );
    assert!(
        open(&[("overwrite", "true")], false)
            .err()
            .unwrap()
            .message
            .contains("write to a directory")
    );
    drop(open(&[("overwrite", "true")], true).unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(&path).unwrap(), "n\n1\n3\n");
}

#[test]
fn parts_appear_when_committed() {
    let dir = tempfile::tempdir().unwrap();
    let open = |options: &[(&str, &str)]| {
        find("file").unwrap().sink.unwrap()(&spec(dir.path(), options, &[]), batch(vec![]).schema(), false)
    };
    let mut sink = open(&[("format", "json")]).unwrap();
    sink.prepare(41, &[]).unwrap();
    sink.commit(41).unwrap();
    sink.prepare(42, &[batch(vec![1, 2])]).unwrap();
    assert!(visible(dir.path()).is_empty());
    sink.commit(42).unwrap();
    sink.prepare(43, &[batch(vec![3])]).unwrap();
    sink.abort().unwrap();
    sink.finish().unwrap();
    assert_eq!(visible(dir.path()), ["part-000000000042.jsonl"]);
    assert_eq!(
        fs::read_to_string(dir.path().join("part-000000000042.jsonl")).unwrap(),
        "{\"n\":1}\n{\"n\":2}\n"
    );
    assert!(open(&[("format", "json")]).is_err());
    fs::write(dir.path().join("mine.txt"), "").unwrap();
    let mut again = open(&[("format", "parquet"), ("overwrite", "true")]).unwrap();
    again.prepare(0, &[batch(vec![5])]).unwrap();
    again.commit(0).unwrap();
    assert_eq!(visible(dir.path()), ["mine.txt", "part-000000000000.parquet"]);
}

#[test]
fn a_file_that_ends_before_its_length_is_no_whole_file() {
    // The system tells a length for it that it has not.
    let path = Path::new("/sys/devices/system/cpu/online");
    let Ok(known) = KnownFile::find(path) else { return };
    let cut = |bytes: Result<usize, std::io::Error>| bytes.unwrap_err().to_string().contains("was replaced or cut");
    if known.len() > 100 {
        let mut all = Vec::new();
        assert!(cut(known.read_from(0).read_to_end(&mut all)));
        all.clear();
        assert!(cut(PlainBytes(known.read_from(0)).append(1 << 20, &mut all)));
    }
}
