//! Programs of several queries: one reading of a source, failures and slowness that stay where they are.

use crate::laws;
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{col, lit};
use futures::FutureExt;
use std::fmt::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use waterwheel::connectors::push::PushHandle;
use waterwheel::error::{Error, Result};
use waterwheel::{DStream, Engine, Outcome, Query};

const SENT: &str = "CREATE SOURCE sent (n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (connector = 'push')";

async fn engine(settings: &[(&str, &str)]) -> (Engine, PushHandle) {
    let mut builder = Engine::builder();
    for (name, value) in settings {
        builder = builder.set(name, value).expect("a setting");
    }
    with_source(builder.build()).await
}

async fn with_source(engine: Engine) -> (Engine, PushHandle) {
    engine.execute(SENT).await.expect("a source");
    let sent = engine.push_source("sent").expect("a handle");
    (engine, sent)
}

fn rows(sent: &PushHandle, numbers: std::ops::Range<i64>) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(numbers.clone())),
        Arc::new(TimestampMillisecondArray::from_iter_values(numbers.map(|n| n * 1_000))),
    ];
    RecordBatch::try_new(sent.schema(), columns).expect("two columns")
}

fn numbers(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

fn stream(engine: &Engine) -> DStream {
    engine.stream("sent").expect("a stream")
}

/// What a callback has been given.
type Seen = Arc<Mutex<Vec<i64>>>;

fn note(seen: &Seen) -> impl FnMut(u64, &RecordBatch) -> Result<()> + Send + 'static {
    let seen = Arc::clone(seen);
    move |_, rows| {
        seen.lock().expect("no panic").extend(numbers(rows));
        Ok(())
    }
}

fn seen(by: &Seen) -> Vec<i64> {
    by.lock().expect("no panic").clone()
}

/// A callback that notes what it is given, says that it has been called, and waits to be let on.
fn slow(
    by: &Seen,
) -> (
    impl FnMut(u64, &RecordBatch) -> Result<()> + Send + 'static,
    Receiver<()>,
    Sender<()>,
) {
    let (say, called) = channel();
    let (let_on, wait) = channel::<()>();
    let mut note = note(by);
    let callback = move |interval, rows: &RecordBatch| {
        // The test may be over: then nobody listens, and nobody lets on any more.
        let _ = say.send(());
        let _ = wait.recv();
        note(interval, rows)
    };
    (callback, called, let_on)
}

/// Starts a query with a callback of its own beside one of all rows, which notes what it is given in `fast`.
async fn beside(
    slow: DStream,
    callback: impl FnMut(u64, &RecordBatch) -> Result<()> + Send + 'static,
    fast: &Seen,
    engine: &Engine,
) -> Vec<Query> {
    let together = engine.together().foreach(slow, callback);
    let started = together.foreach(stream(engine), note(fast)).start().await;
    started.expect("a start")
}

/// Waits until a condition holds, for as long as the test may take.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn fifty_queries_read_their_source_once() {
    const QUERIES: usize = 50;
    let mut script = "CREATE SOURCE bid WITH (connector = 'nexmark', type = 'bid', events = '10000');".to_string();
    for n in 0..QUERIES {
        write!(
            script,
            "CREATE SINK s{n} WITH (connector = 'blackhole'); \
             INSERT INTO s{n} SELECT auction, price * {n} FROM bid WHERE auction % {QUERIES} = {n};"
        )
        .expect("text");
    }
    let engine = Engine::in_memory();
    let mut script = engine.script(&script).expect("no mistakes");
    let mut queries: Vec<Query> = Vec::new();
    while let Some(outcome) = script.next().await {
        if let Outcome::Started(query) = outcome.expect("a start") {
            queries.push(query);
        }
    }
    assert_eq!(queries.len(), QUERIES);
    assert!(queries.iter().all(|q| q.same_program(&queries[0])));
    let summary = queries[0].wait().await.expect("no failure");
    // 46 of 50 events are bids; each is read once and goes to one sink.
    assert_eq!((summary.rows_in, summary.rows_out), (9_200, 9_200));
    let sources = queries[0].batches();
    assert!(sources.len() <= QUERIES * 4 + 4, "{} batches are kept", sources.len());
}

#[tokio::test]
async fn a_query_that_fails_leaves_the_others_running() {
    let (engine, sent) = engine(&[]).await;
    let (good, bad) = (Seen::default(), Seen::default());
    let inverse = stream(&engine).map([(lit(100i64) / (col("n") - lit(7i64))).alias("x")]);
    let queries = engine
        .together()
        .foreach(stream(&engine), note(&good))
        .foreach(inverse.expect("a column"), note(&bad))
        .foreach(stream(&engine), |_, rows| match numbers(rows).contains(&3) {
            true => Err(Error::connector("the disk is full")),
            false => Ok(()),
        })
        .start()
        .await
        .expect("a start");
    for n in 0..5 {
        sent.send(rows(&sent, n * 2..n * 2 + 2)).await.expect("an open source");
        sent.flush().await.expect("the others commit");
    }
    let divided = queries[1].wait().await.expect_err("a division by zero");
    assert!(divided.message.contains("division by zero"), "{divided}");
    let full = queries[2].wait().await.expect_err("a full disk");
    assert!(full.message.contains("the disk is full"), "{full}");
    sent.close();
    let summary = queries[0].wait().await.expect("no failure");
    assert_eq!(seen(&good), (0..10).collect::<Vec<_>>());
    assert_eq!(seen(&bad).len(), 6, "what it gave before it failed stands");
    assert_eq!(summary.rows_in, 10);
}

#[tokio::test]
async fn when_all_queries_have_failed_their_program_ends() {
    let (engine, sent) = engine(&[]).await;
    let inverse = |k: i64| {
        stream(&engine)
            .map([lit(100i64) / (col("n") - lit(k))])
            .expect("a column")
    };
    let together = engine.together().query(inverse(1)).query(inverse(2));
    let queries = together.start().await.expect("a start");
    sent.send(rows(&sent, 0..2)).await.expect("an open source");
    queries[0].wait().await.expect_err("a division by zero");
    sent.send(rows(&sent, 2..4)).await.expect("an open source");
    queries[1].wait().await.expect_err("a division by zero");
    let told = sent.flush().await.expect_err("nobody has committed it");
    assert!(told.message.contains("division by zero"), "{told}");
    until(|| queries.iter().all(|q| q.batches().is_empty())).await;
}

#[tokio::test]
async fn a_source_that_fails_takes_only_its_readers_along() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broken.json");
    std::fs::write(&path, "{\"n\": 1}\n{\"n\": oh}\n").expect("a file");
    let (engine, sent) = engine(&[]).await;
    let broken = format!(
        "CREATE TABLE broken (n BIGINT) WITH (connector = 'file', path = '{}')",
        path.display()
    );
    engine.execute(&broken).await.expect("a table");
    let good = Seen::default();
    let together = engine.together().foreach(stream(&engine), note(&good));
    let broken = engine.stream("broken").expect("a stream");
    let queries = together.query(broken).start().await.expect("a start");
    let told = queries[1].wait().await.expect_err("a record that is no JSON");
    assert!(told.message.contains("broken.json"), "{told}");
    sent.send(rows(&sent, 0..3)).await.expect("an open source");
    sent.close();
    queries[0].wait().await.expect("no failure");
    assert_eq!(seen(&good), [0, 1, 2]);
}

#[tokio::test]
async fn a_failure_changes_nothing_in_the_answers_of_others() {
    let totals = |stream: DStream| {
        let seconds = Duration::from_secs;
        stream.reduce_by_window((seconds(10), seconds(5)), [], [count(lit(1)), sum(col("n"))])
    };
    let mut answers = Vec::new();
    for (cut, parallelism, faults) in [
        ("1", "1", None),
        ("2", "2", Some(1)),
        ("7", "4", Some(2)),
        ("1000", "2", Some(3)),
    ] {
        let builder = Engine::builder().set("max_rows_per_interval", cut).expect("a setting");
        let builder = builder.set("parallelism", parallelism).expect("a setting");
        let (engine, sent) = with_source(builder.manual().build()).await;
        let failing = stream(&engine).map([(lit(1i64) / (col("n") - lit(40i64))).alias("n"), col("ts")]);
        let together = engine.together().query(totals(stream(&engine)).expect("windows"));
        let failing = failing.and_then(totals).expect("windows");
        let queries = together.query(failing).start().await.expect("a start");
        sent.send(rows(&sent, 0..100)).await.expect("an open source");
        sent.close();
        let found = laws::drive(&engine, &queries[0], faults).await.expect("no failure");
        queries[1].wait().await.expect_err("a division by zero");
        let shown = found.iter().flat_map(|u| {
            let batch = &u.batch;
            let of = |i: usize| batch.column(i).as_primitive::<Int64Type>().values().to_vec();
            of(3).into_iter().zip(of(4)).collect::<Vec<_>>()
        });
        answers.push(shown.collect::<Vec<_>>());
    }
    assert_eq!(answers[0].len(), 21);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_slow_sink_holds_back_its_own_query_only() {
    let (engine, sent) = engine(&[]).await;
    let (fast, behind) = (Seen::default(), Seen::default());
    let (callback, called, let_on) = slow(&behind);
    let queries = beside(stream(&engine), callback, &fast, &engine).await;
    for n in 0..50 {
        sent.send(rows(&sent, n..n + 1)).await.expect("an open source");
        until(|| seen(&fast).len() as i64 > n).await;
    }
    called.recv().expect("a call");
    assert!(seen(&behind).is_empty());
    let mut flush = Box::pin(sent.flush());
    assert!(
        (&mut flush).now_or_never().is_none(),
        "one of the two has committed nothing"
    );
    drop(let_on);
    flush.await.expect("both have committed");
    assert_eq!(seen(&behind), (0..50).collect::<Vec<_>>(), "in the order of intervals");
    sent.close();
    for query in &queries {
        query.wait().await.expect("no failure");
    }
}

#[tokio::test]
async fn from_its_limit_on_a_slow_sink_slows_the_sources() {
    const BATCH: i64 = 1_000;
    const ALL: i64 = 1_000_000;
    // What the lane of the slow one may hold, in batches, and the interval with which it went over.
    const TAKEN_MAX: i64 = 10 * BATCH;
    let settings = [("max_lag_bytes", "64KiB"), ("max_rows_per_interval", "1000")];
    let (engine, sent) = engine(&settings).await;
    let (fast, behind) = (Seen::default(), Seen::default());
    let (callback, called, let_on) = slow(&behind);
    let queries = beside(stream(&engine), callback, &fast, &engine).await;
    let sending = tokio::spawn(async move {
        for n in 0..ALL / BATCH {
            let batch = rows(&sent, n * BATCH..(n + 1) * BATCH);
            sent.send(batch).await.expect("an open source");
        }
    });
    until(|| seen(&fast).len() as i64 >= BATCH).await;
    called.recv().expect("a call");
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let taken = seen(&fast).len() as i64;
        assert!(
            taken <= TAKEN_MAX,
            "{taken} rows were taken while one query had committed none"
        );
    }
    drop(let_on);
    sending.await.expect("all is sent");
    for query in &queries {
        query.wait().await.expect("no failure");
    }
    assert_eq!(seen(&behind), (0..ALL).collect::<Vec<_>>());
    assert_eq!(seen(&fast).len() as i64, ALL);
}

#[tokio::test]
async fn a_slow_query_that_is_cancelled_holds_nobody_back() {
    let (engine, sent) = engine(&[("max_lag_bytes", "1")]).await;
    let (fast, behind) = (Seen::default(), Seen::default());
    let (callback, called, let_on) = slow(&behind);
    let queries = beside(stream(&engine), callback, &fast, &engine).await;
    sent.send(rows(&sent, 0..10)).await.expect("an open source");
    called.recv().expect("a call");
    sent.send(rows(&sent, 10..20)).await.expect("an open source");
    queries[0].cancel();
    sent.send(rows(&sent, 20..30)).await.expect("an open source");
    sent.close();
    queries[1].wait().await.expect("no failure");
    assert_eq!(seen(&fast), (0..30).collect::<Vec<_>>());
    assert!(seen(&behind).is_empty(), "it still waits");
    drop(let_on);
}

#[tokio::test]
async fn a_query_that_is_cancelled_delivers_what_it_gave() {
    let (engine, sent) = engine(&[]).await;
    let (fast, behind) = (Seen::default(), Seen::default());
    let (callback, called, let_on) = slow(&behind);
    let queries = beside(stream(&engine), callback, &fast, &engine).await;
    sent.send(rows(&sent, 0..10)).await.expect("an open source");
    called.recv().expect("a call");
    sent.send(rows(&sent, 10..20)).await.expect("an open source");
    until(|| seen(&fast).len() == 20).await;
    queries[0].cancel();
    sent.close();
    queries[1].wait().await.expect("no failure");
    assert!(queries[0].wait().now_or_never().is_none(), "it has not delivered all");
    drop(let_on);
    queries[0].wait().await.expect("no failure");
    assert_eq!(seen(&behind), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_query_that_fails_delivers_what_it_gave_and_then_tells() {
    let (engine, sent) = engine(&[]).await;
    let (fast, behind) = (Seen::default(), Seen::default());
    let (callback, called, let_on) = slow(&behind);
    let failing = stream(&engine).map([(lit(100) / (lit(15) - col("n"))).alias("x")]);
    let queries = beside(failing.expect("a column"), callback, &fast, &engine).await;
    sent.send(rows(&sent, 0..10)).await.expect("an open source");
    called.recv().expect("a call");
    sent.send(rows(&sent, 15..20)).await.expect("an open source");
    until(|| seen(&fast).len() == 15).await;
    assert!(queries[0].wait().now_or_never().is_none(), "it has not delivered all");
    drop(let_on);
    assert!(queries[0].wait().await.is_err());
    assert_eq!(seen(&behind).len(), 10);
}

#[tokio::test]
async fn a_reader_that_goes_holds_nobody_back() {
    let (engine, sent) = engine(&[("max_lag_bytes", "1")]).await;
    let fast = Seen::default();
    let together = engine.together().query(stream(&engine));
    let queries = together
        .foreach(stream(&engine), note(&fast))
        .start()
        .await
        .expect("a start");
    sent.send(rows(&sent, 0..10)).await.expect("an open source");
    until(|| seen(&fast).len() == 10).await;
    drop(queries[0].stream());
    sent.send(rows(&sent, 10..20)).await.expect("an open source");
    sent.close();
    queries[1].wait().await.expect("no failure");
    assert_eq!(seen(&fast), (0..20).collect::<Vec<_>>());
}
