//! What senders and readers see of each other.

use super::super::{Bell, Chunk, Next, Source, SplitReader};
use super::{MAX_ROWS_WAITING, PushTable, TrySend};
use crate::dstream::table::{Column, TableSpec};
use crate::error::Error;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use std::collections::BTreeMap;
use std::sync::Arc;

fn table() -> PushTable {
    let column = |name: &str, data_type, nullable| Column {
        name: name.to_string(),
        data_type,
        nullable,
        declared: false,
        computed: None,
    };
    let spec = TableSpec {
        name: "t".to_string(),
        columns: vec![
            column("id", DataType::Int64, false),
            column("word", DataType::Utf8, true),
        ],
        primary_key: vec![],
        watermark: None,
        connector: Some("push".to_string()),
        options: BTreeMap::new(),
        is_static: false,
        definition: String::new(),
    };
    PushTable::new(&spec, |_, _| Err(Error::data("no decoder in this test")))
}

fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let words = StringArray::from_iter_values(ids.clone().map(|i| i.to_string()));
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from_iter_values(ids))),
        ("word", Arc::new(words)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn reader(table: &PushTable) -> Box<dyn SplitReader> {
    let split = table.splits().unwrap().known.remove(0);
    table.open(&split, &[1], Bell(Arc::new(|| {}))).unwrap()
}

fn chunk(reader: &mut dyn SplitReader) -> Option<Chunk> {
    match reader.next().unwrap() {
        Next::Chunk(chunk) => Some(chunk),
        Next::Pending | Next::Ended => None,
    }
}

#[test]
fn each_reader_sees_what_was_sent_after_it_opened() {
    let table = table();
    let handle = table.handle().unwrap();
    handle.try_send(rows(0..2)).unwrap();
    let mut first = reader(&table);
    let mut second = reader(&table);
    handle.try_send(rows(2..5)).unwrap();
    let kept = chunk(&mut *first).unwrap();
    assert_eq!(kept.batch.num_rows(), 2);
    assert_eq!(kept.batch.num_columns(), 1);
    let next = chunk(&mut *first).unwrap();
    assert_eq!((next.from.row, next.to.row), (2, 5));
    assert_eq!(chunk(&mut *second).unwrap().batch.num_rows(), 3);
    assert!(matches!(first.next().unwrap(), Next::Pending));
    drop(handle);
    assert!(matches!(first.next().unwrap(), Next::Ended));
    assert!(table.handle().is_err());
}

#[test]
fn a_watermark_stands_before_the_rows_that_follow() {
    let table = table();
    let handle = table.handle().unwrap();
    let mut reader = reader(&table);
    handle.try_send(rows(0..1)).unwrap();
    handle.watermark(7);
    handle.watermark(5);
    handle.try_send(rows(1..2)).unwrap();
    handle.watermark(9);
    let found: Vec<_> = std::iter::from_fn(|| chunk(&mut *reader))
        .map(|c| (c.watermark_ns, c.batch.num_rows()))
        .collect();
    assert_eq!(found, [(None, 1), (Some(7), 1), (Some(9), 0)]);
}

#[test]
fn what_does_not_fit_is_refused_at_the_sender() {
    let table = table();
    let handle = table.handle().unwrap();
    let message = |batch| match handle.try_send(batch) {
        Err(TrySend::Failed(error)) => error.to_string(),
        _ => String::new(),
    };
    let column = |name: &'static str, array: ArrayRef| (name, array);
    let ids = || column("id", Arc::new(Int64Array::from(vec![1, 2])));
    assert_eq!(
        message(RecordBatch::try_from_iter([ids()]).unwrap()),
        "batch sent to `t`: it has 1 columns, the table has 2: id, word"
    );
    assert_eq!(
        message(RecordBatch::try_from_iter([ids(), ids()]).unwrap()),
        "batch sent to `t`: column 2 is `word` of type Utf8, not Int64"
    );
    let nulls = column("id", Arc::new(Int64Array::from(vec![Some(1), None])));
    let words = column("word", Arc::new(StringArray::from(vec!["a", "b"])));
    assert_eq!(
        message(RecordBatch::try_from_iter([nulls, words]).unwrap()),
        "batch sent to `t`: NULL in column `id`, which is NOT NULL"
    );
}

#[tokio::test]
async fn a_full_queue_makes_the_sender_wait() {
    let table = table();
    let handle = table.handle().unwrap();
    let many = rows(0..MAX_ROWS_WAITING as i64);
    handle.send(many.clone()).await.unwrap();
    assert!(matches!(handle.try_send(many.clone()), Err(TrySend::Full(_))));
    let mut reader = reader(&table);
    let sender = handle.clone();
    let waiting = tokio::spawn(async move { sender.send(many).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert!(chunk(&mut *reader).is_some());
    waiting.await.unwrap().unwrap();
    assert!(chunk(&mut *reader).is_some());
}
