//! What readers of an in-memory table see.

use super::super::{Bell, Next, Source};
use super::MemoryTable;
use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn table() -> MemoryTable {
    made(false)
}

fn made(whole: bool) -> MemoryTable {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
    MemoryTable::new("t", Arc::new(schema), whole)
}

fn rows(values: std::ops::Range<i64>) -> RecordBatch {
    let array = Arc::new(Int64Array::from_iter_values(values));
    RecordBatch::try_from_iter([("n", array as _)]).unwrap()
}

/// Rows per split, and whether the split has ended.
fn read(source: &dyn Source) -> Vec<(usize, bool)> {
    let open = |split| {
        let mut reader = source.open(&split, &[0], Bell(Arc::new(|| {}))).unwrap();
        let mut count = 0;
        loop {
            match reader.next().unwrap() {
                Next::Chunk(chunk) => count += chunk.batch.num_rows(),
                Next::Pending => return (count, false),
                Next::Ended => return (count, true),
            }
        }
    };
    source.splits().unwrap().known.into_iter().map(open).collect()
}

#[test]
fn a_snapshot_ends_and_a_live_source_goes_on() {
    let table = table();
    let insert = table.insert("INSERT 1").unwrap();
    insert.push(&rows(0..3)).unwrap();
    let (snapshot, live) = (table.snapshot_source(), table.live_source());
    insert.push(&rows(3..10)).unwrap();
    assert_eq!(read(&*snapshot), [(3, true)]);
    assert_eq!(read(&*live), [(10, false)]);
    insert.end();
    let second = table.insert("INSERT 2").unwrap();
    assert_eq!(read(&*snapshot), [(3, true)]);
    assert_eq!(read(&*live), [(10, true), (0, false)]);
    assert!(live.splits().unwrap().more && !live.bounded() && snapshot.bounded());
    table.seal();
    drop(second);
    assert!(!live.splits().unwrap().more && live.bounded());
    assert!(table.insert("INSERT 3").is_err());
}

#[test]
fn an_insert_that_breaks_off_is_an_end_only_where_tables_do_not_end_with_it() {
    let ends = |whole: bool, how: fn(super::InsertHandle)| {
        let table = made(whole);
        let insert = table.insert("INSERT 1").unwrap();
        insert.push(&rows(0..3)).unwrap();
        how(insert);
        assert_eq!(
            read(&*table.snapshot_source()),
            [(3, true)],
            "what is there can be read"
        );
        let live = table.live_source();
        let split = live.splits().unwrap().known.remove(0);
        let mut reader = live.open(&split, &[0], Bell(Arc::new(|| {}))).unwrap();
        assert!(matches!(reader.next(), Ok(Next::Chunk(_))));
        reader.next().map(drop).map_err(|e| e.message)
    };
    assert_eq!(ends(true, |insert| insert.end()), Ok(()));
    let failed = "what fills `t` has failed, so not all rows of it are there";
    assert_eq!(ends(true, |insert| insert.fail()), Err(failed.to_string()));
    let stopped = "what fills `t` was stopped before its end, so not all rows of it are there";
    assert_eq!(ends(true, drop), Err(stopped.to_string()));
    for how in [super::InsertHandle::fail as fn(super::InsertHandle), drop] {
        assert_eq!(ends(false, how), Ok(()));
    }
}

#[test]
fn readers_are_rung_and_ranges_are_read_again() {
    let table = table();
    let insert = table.insert("INSERT 1").unwrap();
    let live = table.live_source();
    let split = live.splits().unwrap().known.remove(0);
    let rung = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&rung);
    let bell = Bell(Arc::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    let reader = live.open(&split, &[0], bell).unwrap();
    insert.push(&rows(0..3)).unwrap();
    insert.push(&rows(3..6)).unwrap();
    let other = table.insert("INSERT 2").unwrap();
    assert_eq!(rung.load(Ordering::Relaxed), 3);
    drop(reader);
    drop(other);
    assert_eq!(rung.load(Ordering::Relaxed), 3);
    let from = super::Offset { block: 0, row: 2 };
    let to = super::Offset { block: 1, row: 2 };
    let again = live.reread(&split, from, to, 3, &[0]).unwrap();
    assert_eq!(
        again,
        [rows(2..3), rows(3..5)].map(|b| b.with_schema(live.schema()).unwrap())
    );
}
