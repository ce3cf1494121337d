//! What the library promises to the program that holds it.

use crate::laws::functions;
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use datafusion::arrow::datatypes::Int64Type;
use futures::StreamExt;
use std::sync::Arc;
use waterwheel::connectors::push::{MAX_ROWS_WAITING, PushHandle, TrySend};
use waterwheel::error::{Kind, Result};
use waterwheel::{Engine, Updates};

const BID: &str = "CREATE SOURCE bid (auction BIGINT, price BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) \
     WITH (connector = 'push')";

const ALL: &str = "SELECT auction FROM bid";

const TOTALS: &str = "SELECT sum(price) AS total FROM TUMBLE(bid, ts, INTERVAL '10 seconds') \
     GROUP BY window_start, window_end";

/// An engine whose intervals run on `step`, and a handle to its bids.
async fn manual() -> (Engine, PushHandle) {
    with_bids(Engine::manual()).await
}

async fn with_bids(engine: Engine) -> (Engine, PushHandle) {
    engine.execute(BID).await.expect("a source");
    let bids = engine.push_source("bid").expect("a handle");
    (engine, bids)
}

/// Rows (auction, price, seconds).
fn rows(bids: &PushHandle, rows: &[(i64, i64, i64)]) -> RecordBatch {
    let numbers = |of: fn(&(i64, i64, i64)) -> i64| rows.iter().map(of).collect::<Vec<_>>();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(numbers(|r| r.0))),
        Arc::new(Int64Array::from(numbers(|r| r.1))),
        Arc::new(TimestampMillisecondArray::from(numbers(|r| r.2 * 1_000))),
    ];
    RecordBatch::try_new(bids.schema(), columns).expect("three columns")
}

async fn send(bids: &PushHandle, auctions: std::ops::Range<i64>) {
    let sent: Vec<_> = auctions.map(|n| (n, n, n)).collect();
    bids.send(rows(bids, &sent)).await.expect("an open source");
}

/// The first column of what has been shown and not been taken.
fn shown(updates: &mut Updates) -> Vec<i64> {
    let mut all = Vec::new();
    while let Some(update) = updates.try_next() {
        all.extend(numbers(&update.expect("rows").batch));
    }
    all
}

/// The same up to the end of the query.
async fn rest(updates: &mut Updates) -> Result<Vec<i64>> {
    let mut all = Vec::new();
    while let Some(update) = updates.next().await {
        all.extend(numbers(&update?.batch));
    }
    Ok(all)
}

fn numbers(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

#[tokio::test]
async fn a_step_is_exactly_one_interval() {
    let engine = Engine::builder().set("max_rows_per_interval", "2").expect("a setting");
    let (engine, bids) = with_bids(engine.manual().build()).await;
    let query = engine.query(ALL).await.expect("a query");
    let mut updates = query.stream();
    send(&bids, 0..5).await;
    assert_eq!(query.summary().intervals, 0, "nothing runs by itself");
    let mut intervals = Vec::new();
    for step in 1..=3 {
        engine.step().await.expect("an engine without timer");
        assert_eq!(query.summary().intervals, step);
        let update = updates.try_next().expect("an update for each step").expect("rows");
        intervals.push((update.interval, numbers(&update.batch)));
        assert!(updates.try_next().is_none());
    }
    assert_eq!(intervals, [(0, vec![0, 1]), (1, vec![2, 3]), (2, vec![4])]);
    let refused = Engine::in_memory().step().await.expect_err("an engine with a timer");
    assert!(refused.message.contains("Engine::manual()"), "{refused}");
}

#[tokio::test]
async fn a_cancelled_query_keeps_what_it_gave_and_flushes_nothing() {
    let (engine, bids) = manual().await;
    let query = engine.query(TOTALS).await.expect("a query");
    let mut updates = query.stream();
    send(&bids, 0..15).await;
    engine.step().await.expect("a step");
    query.cancel();
    query.wait().await.expect("no failure");
    assert!(query.stopped());
    // The window of 10 to 15 is open.
    assert_eq!(rest(&mut updates).await.expect("rows"), [45]);
}

#[tokio::test]
async fn dropping_the_stream_cancels_the_query() {
    let (engine, bids) = manual().await;
    let query = engine.query(ALL).await.expect("a query");
    let other = engine.query(ALL).await.expect("a query");
    drop(query.stream());
    query.wait().await.expect("no failure");
    assert!(query.stopped() && !other.stopped());
    let mut updates = other.stream();
    send(&bids, 0..2).await;
    engine.step().await.expect("a step");
    assert_eq!(shown(&mut updates), [0, 1], "the other goes on");
    assert_eq!(query.stream().next().await.map(|_| ()), None, "there is one stream");
}

#[tokio::test]
async fn shutdown_stops_all_queries_and_keeps_their_rows() {
    let (engine, bids) = with_bids(Engine::in_memory()).await;
    let queries = [
        engine.query(ALL).await.expect("a query"),
        engine.query(ALL).await.expect("a query"),
    ];
    send(&bids, 0..3).await;
    bids.flush().await.expect("committed");
    engine.shutdown().await;
    for query in &queries {
        assert!(query.stopped());
        assert_eq!(rest(&mut query.stream()).await.expect("rows"), [0, 1, 2]);
    }
}

#[tokio::test]
async fn queries_of_one_engine_each_see_every_row() {
    let (engine, bids) = manual().await;
    let all = engine.query(ALL).await.expect("a query");
    let totals = engine.query(TOTALS).await.expect("a query");
    assert!(!all.same_program(&totals));
    let (mut of_all, mut of_totals) = (all.stream(), totals.stream());
    send(&bids, 0..11).await;
    engine.step().await.expect("a step");
    assert_eq!(shown(&mut of_all), (0..11).collect::<Vec<_>>());
    assert_eq!(shown(&mut of_totals), [45]);
    all.cancel();
    all.wait().await.expect("no failure");
    bids.close();
    engine.step().await.expect("a step");
    assert_eq!(rest(&mut of_totals).await.expect("rows"), [10]);
    assert!(!totals.stopped(), "its input has ended");
}

#[tokio::test]
async fn functions_of_the_host_work_in_windows() {
    let (engine, bids) = manual().await;
    let (scalars, aggregates) = functions::both();
    for function in scalars {
        engine.register_udf(function).expect("a new name");
    }
    for function in aggregates {
        engine.register_udaf(function).expect("a new name");
    }
    let sql = TOTALS.replace("sum(price)", "sum_of_squares(doubled(price))");
    let query = engine.query(&sql).await.expect("a query");
    let mut updates = query.stream();
    send(&bids, 0..11).await;
    engine.step().await.expect("a step");
    assert_eq!(shown(&mut updates), [(0..10).map(|n| 4 * n * n).sum::<i64>()]);
}

#[tokio::test]
async fn losing_every_batch_leaves_the_answer_the_same() {
    let mut answers = Vec::new();
    for loses in [false, true] {
        let (engine, bids) = manual().await;
        let query = engine.query(TOTALS).await.expect("a query");
        let mut updates = query.stream();
        for start in (0..60).step_by(4) {
            send(&bids, start..start + 4).await;
            engine.step().await.expect("a step");
            let listed = query.batches();
            assert!(!listed.is_empty());
            if loses {
                assert!(listed.iter().all(|id| query.lose(*id)));
                assert!(query.batches().is_empty());
            }
        }
        bids.close();
        engine.step().await.expect("a step");
        answers.push(rest(&mut updates).await.expect("rows"));
        assert_eq!(query.summary().recomputed > 0, loses);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(
        answers[0],
        (0..6).map(|w| (w * 10..w * 10 + 10).sum()).collect::<Vec<i64>>()
    );
}

#[tokio::test]
async fn a_full_source_makes_senders_wait() {
    let (engine, bids) = manual().await;
    let query = engine.query(ALL).await.expect("a query");
    let one = rows(&bids, &[(1, 1, 1)]);
    send(&bids, 0..MAX_ROWS_WAITING as i64).await;
    match bids.try_send(one.clone()) {
        Err(TrySend::Full(back)) => assert_eq!(back, one),
        other => panic!("not full: {other:?}"),
    }
    let sent = bids.send(one.clone());
    tokio::pin!(sent);
    assert!(futures::poll!(&mut sent).is_pending());
    engine.step().await.expect("a step");
    sent.await.expect("there is room");
    assert_eq!(query.summary().rows_in, MAX_ROWS_WAITING as u64);
    bids.close();
    assert!(matches!(bids.try_send(one), Err(TrySend::Failed(_))));
}

#[tokio::test]
async fn flush_waits_for_the_interval_that_commits() {
    let (engine, bids) = manual().await;
    bids.flush().await.expect("nothing was sent");
    let query = engine.query(ALL).await.expect("a query");
    let mut updates = query.stream();
    send(&bids, 0..3).await;
    let flushed = bids.flush();
    tokio::pin!(flushed);
    assert!(futures::poll!(&mut flushed).is_pending());
    engine.step().await.expect("a step");
    flushed.await.expect("committed");
    assert_eq!(shown(&mut updates), [0, 1, 2]);
}

#[tokio::test]
async fn flush_waits_for_all_rows_of_a_large_batch() {
    let engine = Engine::builder().set("max_rows_per_interval", "2").expect("a setting");
    let (engine, bids) = with_bids(engine.manual().build()).await;
    let query = engine.query(ALL).await.expect("a query");
    send(&bids, 0..3).await;
    let flushed = bids.flush();
    tokio::pin!(flushed);
    engine.step().await.expect("a step");
    assert!(
        futures::poll!(&mut flushed).is_pending(),
        "two of three rows are committed"
    );
    engine.step().await.expect("a step");
    flushed.await.expect("committed");
    assert_eq!(query.summary().rows_in, 3);
}

#[tokio::test]
async fn flush_waits_for_every_program_that_reads() {
    let (engine, bids) = with_bids(Engine::in_memory()).await;
    send(&bids, 0..1).await;
    let flushed = bids.flush();
    tokio::pin!(flushed);
    assert!(futures::poll!(&mut flushed).is_pending(), "nobody reads yet");
    let first = engine.query(ALL).await.expect("a query");
    flushed.await.expect("the first query gets what was waiting");
    let second = engine.query(ALL).await.expect("a query");
    let (mut of_first, mut of_second) = (first.stream(), second.stream());
    send(&bids, 1..3).await;
    bids.flush().await.expect("committed");
    assert_eq!(shown(&mut of_first), [0, 1, 2]);
    assert_eq!(shown(&mut of_second), [1, 2]);
}

#[tokio::test]
async fn flush_covers_watermarks_and_the_end() {
    let (engine, bids) = with_bids(Engine::in_memory()).await;
    let query = engine.query(TOTALS).await.expect("a query");
    let mut updates = query.stream();
    send(&bids, 0..3).await;
    bids.watermark(10_000_000_000);
    bids.flush().await.expect("committed");
    assert_eq!(shown(&mut updates), [3]);
    // It moves nothing, so no interval runs for it.
    bids.watermark(5_000_000_000);
    bids.flush().await.expect("nothing to commit");
    send(&bids, 20..22).await;
    bids.close();
    bids.flush().await.expect("committed");
    assert_eq!(rest(&mut updates).await.expect("rows"), [41]);
}

#[tokio::test]
async fn flush_tells_that_a_query_failed() {
    let (engine, bids) = with_bids(Engine::in_memory()).await;
    let query = engine.query("SELECT 1 / price AS x FROM bid").await.expect("a query");
    send(&bids, 0..1).await;
    let failed = bids.flush().await.expect_err("a division by zero");
    assert_eq!(failed.kind, Kind::Connector);
    assert!(
        failed.message.contains("a query failed before it had committed"),
        "{failed}"
    );
    query.wait().await.expect_err("the same");
    // Those who read afterwards have nothing to do with it.
    let next = engine.query(ALL).await.expect("a query");
    let mut updates = next.stream();
    send(&bids, 1..2).await;
    bids.flush().await.expect("committed");
    assert_eq!(shown(&mut updates), [1]);
}

#[tokio::test]
async fn flush_does_not_wait_for_a_query_that_is_stopped() {
    let (engine, bids) = manual().await;
    let query = engine.query(ALL).await.expect("a query");
    send(&bids, 0..1).await;
    engine.step().await.expect("a step");
    send(&bids, 1..2).await;
    query.cancel();
    bids.flush().await.expect("nobody reads it");
    assert_eq!(query.summary().rows_in, 1);
}

/// The runtimes of these tests have one thread: an engine that blocked it, or needed it, would hang.
#[tokio::test(flavor = "current_thread")]
async fn an_engine_runs_beside_a_runtime_of_one_thread() {
    let (engine, bids) = with_bids(Engine::in_memory()).await;
    let query = engine.query(TOTALS).await.expect("a query");
    let mut updates = query.stream();
    send(&bids, 0..11).await;
    let update = updates.next().await.expect("a window").expect("rows");
    assert_eq!(numbers(&update.batch), [45]);
    drop(bids);
    assert_eq!(rest(&mut updates).await.expect("rows"), [10]);
    query.wait().await.expect("the last handle ended the input");
}

#[tokio::test]
async fn dropping_an_engine_within_a_runtime_stops_its_queries() {
    let (engine, bids) = with_bids(Engine::in_memory()).await;
    let query = engine.query(ALL).await.expect("a query");
    let clone = engine.clone();
    drop(engine);
    send(&bids, 0..1).await;
    bids.flush().await.expect("a clone is the same engine");
    drop(clone);
    query.wait().await.expect("no failure");
    assert!(query.stopped());
}

#[tokio::test]
async fn a_select_sees_what_running_inserts_have_brought() {
    let engine = Engine::in_memory();
    let tables = "CREATE TABLE t (n BIGINT); CREATE TABLE u (n BIGINT); CREATE TABLE v (n BIGINT);
         INSERT INTO v SELECT n * 10 FROM u; INSERT INTO u SELECT n + 1 FROM t;";
    engine.execute(tables).await.expect("tables and queries");
    let mut sum = 0;
    for n in 1..=20 {
        engine
            .execute(&format!("INSERT INTO t VALUES ({n})"))
            .await
            .expect("a row");
        sum += (n + 1) * 10;
        let total = engine.query("SELECT sum(n) AS total FROM v").await.expect("a query");
        assert_eq!(numbers(&total.one().await.expect("a row")), [sum], "after {n} rows");
    }
    let fed = engine.query("SELECT * FROM u").await.expect("a query");
    assert_eq!(fed.one().await.expect("rows").num_rows(), 20);
    engine.execute("DROP TABLE t").await.expect("a table");
    let late = engine.execute("INSERT INTO t VALUES (21)").await;
    assert!(late.is_err(), "the table has gone");
}
