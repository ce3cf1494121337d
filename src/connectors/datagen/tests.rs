//! What the options mean, and that a row does not depend on how it is read.

use super::super::{Bell, Next, Offset, Source, Workers};
use super::{check, open};
use crate::dstream::table::{Column, TableSpec};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Int8Type, Int64Type, TimeUnit};
use std::sync::Arc;

fn workers() -> Workers {
    Workers {
        threads: 2,
        // At once, on the same thread: a reader then always has its next block.
        spawn: Arc::new(|job| job()),
    }
}

fn table(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> TableSpec {
    let column = |(name, data_type): &(&str, DataType)| Column {
        name: name.to_string(),
        data_type: data_type.clone(),
        nullable: true,
        declared: false,
        computed: None,
    };
    TableSpec {
        name: "t".to_string(),
        columns: columns.iter().map(column).collect(),
        primary_key: Vec::new(),
        watermark: None,
        connector: Some("datagen".to_string()),
        options: options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        is_static: false,
        definition: String::new(),
    }
}

fn read(source: &dyn Source, columns: &[usize]) -> RecordBatch {
    let split = source.splits().unwrap().known.remove(0);
    let mut reader = source.open(&split, columns, Bell(Arc::new(|| {}))).unwrap();
    let mut batches = Vec::new();
    loop {
        match reader.next().unwrap() {
            Next::Chunk(chunk) => batches.push(chunk.batch),
            // The job has run by now, after it was looked for its rows.
            Next::Pending => {}
            Next::Ended => break,
        }
    }
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn mistakes(table: &TableSpec) -> Vec<String> {
    check(table).into_iter().map(|f| f.diagnostic.message).collect()
}

#[test]
fn a_row_is_the_same_however_it_is_read() {
    let columns = [("a", DataType::Int64), ("b", DataType::Utf8), ("c", DataType::Float64)];
    let table = table(&columns, &[("rows", "20000"), ("fields.a.null_rate", "0.5")]);
    let source = open(&table, &workers()).unwrap();
    let all = read(source.as_ref(), &[0, 1, 2]);
    assert_eq!(all.num_rows(), 20_000);
    let alone = read(source.as_ref(), &[1]);
    assert_eq!(alone.column(0), all.column(1));
    let split = source.splits().unwrap().known.remove(0);
    let (from, to) = (Offset { block: 8192, row: 8000 }, Offset { block: 16384, row: 200 });
    let again = source.reread(&split, from, to, 392, &[0, 1, 2]).unwrap();
    let again = concat_batches(&all.schema(), &again).unwrap();
    assert_eq!(again, all.slice(8192 + 8000, 392));
    let nulls = all.column(0).null_count();
    assert!((9_000..11_000).contains(&nulls), "{nulls} of 20,000 are NULL");
}

#[test]
fn another_seed_gives_other_values() {
    let columns = [("a", DataType::Int64)];
    let of = |seed| {
        read(
            open(&table(&columns, &[("rows", "10"), ("seed", seed)]), &workers())
                .unwrap()
                .as_ref(),
            &[0],
        )
    };
    assert_eq!(of("1"), of("1"));
    assert_ne!(of("1"), of("2"));
}

#[test]
fn random_values_keep_to_their_bounds_and_reach_them() {
    let options = [
        ("rows", "5000"),
        ("fields.a.min", "-2"),
        ("fields.a.max", "3"),
        ("fields.t.length", "30"),
    ];
    let table = table(&[("a", DataType::Int8), ("t", DataType::Utf8)], &options);
    let rows = read(open(&table, &workers()).unwrap().as_ref(), &[0, 1]);
    let mut seen: Vec<i8> = rows.column(0).as_primitive::<Int8Type>().values().to_vec();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [-2, -1, 0, 1, 2, 3]);
    assert!(
        rows.column(1)
            .as_string::<i32>()
            .iter()
            .flatten()
            .all(|t| t.len() == 30)
    );
}

#[test]
fn a_sequence_ends_the_rows_or_begins_again() {
    let with_end = table(
        &[("n", DataType::Int64)],
        &[
            ("fields.n.kind", "sequence"),
            ("fields.n.start", "5"),
            ("fields.n.end", "10"),
            ("fields.n.step", "2"),
        ],
    );
    let rows = read(open(&with_end, &workers()).unwrap().as_ref(), &[0]);
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().values(), &[5, 7, 9]);
    let full = table(
        &[("n", DataType::Int8)],
        &[("rows", "130"), ("fields.n.kind", "sequence")],
    );
    let rows = read(open(&full, &workers()).unwrap().as_ref(), &[0]);
    assert_eq!(
        rows.column(0).as_primitive::<Int8Type>().values()[126..],
        [126, 127, 0, 1]
    );
}

#[test]
fn what_cannot_be_made_is_told_with_all_its_reasons() {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    let table = table(
        &[
            ("a", DataType::Int8),
            ("t", time),
            ("b", DataType::Binary),
            ("s", DataType::Utf8),
        ],
        &[
            ("fields.a.max", "128"),
            ("fields.t.kind", "sequence"),
            ("fields.t.step", "5us"),
            ("fields.s.start", "1"),
            ("fields.x.kind", "sequence"),
        ],
    );
    let expected = [
        "column `x` of `fields.x.kind` not found",
        "the option `fields.a.max` takes a whole number that the column can hold, not `128`",
        "the option `fields.t.step` takes a duration such as 100ms, not `5us`",
        "column `b`: datagen makes no BYTEA",
        "`fields.s.start` is for a sequence: add 'fields.s.kind' = 'sequence'",
    ];
    assert_eq!(mistakes(&table), expected);
}
