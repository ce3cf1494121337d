//! What the options mean, on small sequences.

use super::super::{Bell, Next, Source, Split, Workers};
use super::{CHUNK_EVENTS, Made, Maker, infer, made};
use crate::dstream::table::{Column, TableSpec};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::Int64Type;
use std::collections::BTreeMap;
use std::sync::Arc;

fn workers() -> Workers {
    Workers {
        threads: 2,
        spawn: Arc::new(|job| {
            std::thread::spawn(job);
        }),
    }
}

fn table(options: &[(&str, &str)]) -> TableSpec {
    let mut spec = TableSpec {
        name: "t".to_string(),
        columns: Vec::new(),
        primary_key: Vec::new(),
        watermark: None,
        connector: Some("nexmark".to_string()),
        options: options
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect::<BTreeMap<_, _>>(),
        is_static: false,
        definition: String::new(),
    };
    if let Ok(schema) = infer(&spec) {
        let column = |f: &Arc<datafusion::arrow::datatypes::Field>| Column {
            name: f.name().clone(),
            data_type: f.data_type().clone(),
            nullable: true,
            declared: false,
            computed: None,
        };
        spec.columns = schema.fields().iter().map(column).collect();
    }
    spec
}

fn split() -> Split {
    Split {
        id: 0,
        name: "nexmark".to_string(),
    }
}

fn read(source: &Made<Maker>, columns: &[usize]) -> RecordBatch {
    let (ring, rung) = std::sync::mpsc::channel();
    let bell = Bell(Arc::new(move || ring.send(()).unwrap_or_default()));
    let mut reader = source.open(&split(), columns, bell).unwrap();
    let mut batches = Vec::new();
    loop {
        match reader.next().unwrap() {
            Next::Chunk(chunk) => {
                let rows = chunk.batch.num_rows();
                let again = source.reread(&split(), chunk.from, chunk.to, rows, columns).unwrap();
                assert_eq!(again.iter().map(RecordBatch::num_rows).sum::<usize>(), rows);
                if rows > 0 {
                    assert_eq!(again[0], chunk.batch);
                }
                batches.push(chunk.batch);
            }
            Next::Pending => rung.recv().unwrap(),
            Next::Ended => break,
        }
    }
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn source(options: &[(&str, &str)]) -> Made<Maker> {
    made(&table(options), &workers()).unwrap()
}

#[test]
fn the_types_are_filters_over_one_sequence() {
    for group in ["1", "100", "7"] {
        let all = read(&source(&[("events", "40000"), ("out_of_order", group)]), &[0, 1, 2, 3]);
        assert_eq!(all.num_rows(), 40_000);
        for (index, kind) in [(1, "person"), (2, "auction"), (3, "bid")] {
            let options = [("events", "40000"), ("out_of_order", group), ("type", kind)];
            let width = source(&options).schema().fields().len();
            let alone = read(&source(&options), &(0..width).collect::<Vec<_>>());
            let beside = all.column(index).as_struct();
            let there = datafusion::arrow::compute::is_not_null(beside).unwrap();
            let beside = datafusion::arrow::compute::filter(beside, &there).unwrap();
            assert_eq!(
                alone.columns(),
                beside.as_struct().columns(),
                "{kind} in groups of {group}"
            );
        }
    }
}

#[test]
fn counting_needs_no_columns_and_a_range_can_begin_anywhere() {
    let bids = source(&[("events", "100000"), ("type", "bid")]);
    assert_eq!(read(&bids, &[]).num_rows(), 92_000);
    let prices = read(&bids, &[2]);
    let from = super::Offset { block: 0, row: 14_000 };
    let to = super::Offset {
        block: CHUNK_EVENTS,
        row: 500,
    };
    let again = bids.reread(&split(), from, to, 1_220, &[2]).unwrap();
    let again = concat_batches(&again[0].schema(), &again).unwrap();
    assert_eq!(again, prices.slice(14_000, 1_220));
}

#[test]
fn shuffled_groups_hold_each_event_once() {
    let ids = read(
        &source(&[("events", "10000"), ("type", "person"), ("out_of_order", "1000")]),
        &[0],
    );
    let mut ids = ids.column(0).as_primitive::<Int64Type>().values().to_vec();
    assert!(!ids.is_sorted());
    ids.sort_unstable();
    assert_eq!(ids, (1000..1200).collect::<Vec<_>>());
}

#[test]
fn real_pace_gives_the_same_rows() {
    let options = [("events", "2000"), ("type", "bid"), ("rate", "20000")];
    let fast = read(&source(&options), &[0, 5]);
    let mut options = options.to_vec();
    options.push(("pace", "real"));
    let began = std::time::Instant::now();
    assert_eq!(read(&source(&options), &[0, 5]), fast);
    assert!(began.elapsed().as_millis() >= 99);
}

#[test]
fn wrong_declarations_are_told_apart() {
    let refused = |change: &dyn Fn(&mut TableSpec)| {
        let mut spec = table(&[("type", "bid")]);
        change(&mut spec);
        made(&spec, &workers()).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(
        refused(&|s| s.columns[2].name = "prise".to_string()),
        "error[unknown_column]: column `prise` is not one that nexmark gives for `t`\nhelp: did you mean `price`?"
    );
    assert_eq!(
        refused(&|s| s.columns[2].data_type = datafusion::arrow::datatypes::DataType::Int32),
        "column `price` of `t` must be declared as BIGINT"
    );
    let options = [
        ("rate", "0", "the option `rate` must be at least 1"),
        (
            "out_of_order",
            "1906",
            "option `out_of_order` cannot be a multiple of 953: events would repeat",
        ),
        (
            "base_time",
            "soon",
            "the option `base_time` takes a time such as 2015-07-15T00:00:00Z, not `soon`",
        ),
    ];
    for (name, value, message) in options {
        let set = |s: &mut TableSpec| drop(s.options.insert(name.to_string(), value.to_string()));
        assert_eq!(refused(&set), message);
    }
    assert_eq!(refused(&|s| s.columns.truncate(1)), "");
}
