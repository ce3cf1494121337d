//! What the methods of a D-Stream promise: order and numbers of intervals, what they refuse, and what a plan carries.

use crate::laws::functions;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::functions_aggregate::expr_fn::{avg, count, sum};
use datafusion::logical_expr::{Expr, col, lit};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use waterwheel::error::{Error, Result};
use waterwheel::{DStream, Engine, ManualClock};

async fn engine(settings: &[(&str, &str)]) -> Engine {
    let mut builder = Engine::builder();
    for (name, value) in settings {
        builder = builder.set(name, value).expect("a setting");
    }
    declared(builder.build()).await
}

async fn declared(engine: Engine) -> Engine {
    let declare = "CREATE TABLE numbers (n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts); \
         INSERT INTO numbers SELECT n, arrow_cast(n * 1000, 'Timestamp(Millisecond, None)') \
         FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10)) AS v(n); \
         CREATE SOURCE sent (n BIGINT, k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (connector = 'push'); \
         CREATE SOURCE timeless (n BIGINT) WITH (connector = 'push'); \
         CREATE SINK nowhere WITH (connector = 'blackhole')";
    engine.execute(declare).await.expect("declarations");
    engine
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn numbers(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

/// A place for what a callback is given.
type Seen = Arc<Mutex<Vec<(u64, Vec<i64>)>>>;

fn note(seen: &Seen) -> impl FnMut(u64, &RecordBatch) -> Result<()> + Send + 'static {
    let seen = Arc::clone(seen);
    move |interval, rows| {
        seen.lock().expect("no panic").push((interval, numbers(rows)));
        Ok(())
    }
}

#[tokio::test]
async fn foreach_is_called_once_per_interval_in_order() {
    let engine = engine(&[("max_rows_per_interval", "3")]).await;
    let seen = Seen::default();
    let odd = engine.stream("numbers").expect("a stream");
    let odd = odd.filter((col("n") % lit(2)).eq(lit(1))).expect("a column");
    let odd = odd.map([col("n")]).expect("a column");
    let query = odd.query().await.expect("a start");
    assert_eq!(numbers(&query.one().await.expect("rows")), [1, 3, 5, 7, 9]);
    let bids = engine.push_source("sent").expect("a handle");
    let sent = engine.stream("sent").expect("a stream");
    let query = sent.map([col("n")]).expect("a column").foreach(note(&seen)).await;
    let query = query.expect("a start");
    for n in 0..7 {
        bids.send_json(format!(r#"{{"n": {n}, "k": 0, "ts": "2024-01-01T00:00:0{n}"}}"#).as_bytes())
            .await
            .expect("an open source");
    }
    bids.close();
    query.wait().await.expect("no failure");
    let seen = seen.lock().expect("no panic");
    let all: Vec<i64> = seen.iter().flat_map(|(_, rows)| rows.clone()).collect();
    assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
    assert!(seen.iter().all(|(_, rows)| (1..=3).contains(&rows.len())), "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "{seen:?}");
}

#[tokio::test]
async fn a_callback_that_fails_or_panics_fails_its_query() {
    let engine = engine(&[]).await;
    let start = async |callback: fn(u64, &RecordBatch) -> Result<()>| {
        let numbers = engine.stream("numbers").expect("a stream");
        let query = numbers.foreach(callback).await.expect("a start");
        query.wait().await.expect_err("a failure").message
    };
    let failed = start(|_, _| Err(Error::connector("the disk is full"))).await;
    assert!(failed.contains("the disk is full"), "{failed}");
    let panicked = start(|_, _| panic!("never mind")).await;
    assert!(panicked.contains("panicked over the rows of interval 0"), "{panicked}");
}

#[tokio::test]
async fn save_writes_into_sinks_and_tables() {
    let engine = engine(&[]).await;
    engine
        .execute("CREATE TABLE kept (total BIGINT)")
        .await
        .expect("a table");
    let totals = engine.stream("numbers").expect("a stream").filter(col("n").lt(lit(3)));
    let totals = totals.expect("a column").map([col("n")]).expect("a column");
    let saved = totals.clone().save("kept").await.expect("a start");
    assert_eq!(saved.name(), "kept");
    totals.clone().save("nowhere").await.expect("a start");
    let told = |outcome: Result<waterwheel::Query>| outcome.err().expect("a mistake").to_string();
    let refused = told(totals.clone().save("kep").await);
    assert!(
        refused.contains("`kep` not found") && refused.contains("`kept`"),
        "{refused}"
    );
    let refused = told(totals.clone().save("sent").await);
    assert!(refused.contains("cannot be written to"), "{refused}");
    let wide = engine.stream("numbers").expect("a stream");
    let refused = told(wide.save("kept").await);
    assert!(refused.contains("takes 1 columns, the query gives 2"), "{refused}");
}

fn mistake(stream: Result<DStream>) -> String {
    stream.err().expect("a mistake").to_string()
}

#[tokio::test]
async fn mistakes_are_told_where_they_are_made() {
    let engine = engine(&[]).await;
    let stream = |name: &str| engine.stream(name).expect("a stream");
    let none: [Expr; 0] = [];
    let cases = [
        (
            engine.stream("number").map(|_| stream("numbers")),
            "did you mean `numbers`?",
        ),
        (engine.stream("nowhere"), "is a sink"),
        (stream("sent").map([col("m")]), "column `m` not found"),
        (stream("sent").filter(col("k").gt(col("nn"))), "column `nn` not found"),
        (
            stream("sent").map_batches("f", none.clone()),
            "no function over batches called `f`",
        ),
        (
            stream("timeless").window(Duration::from_micros(1_500)),
            "no multiple of the setting interval",
        ),
        (
            stream("sent").map([col("n")]).and_then(|s| s.window(seconds(1))),
            "has lost that of its source",
        ),
        (stream("sent").window(seconds(0)), "more than zero"),
        (
            stream("sent").window(Duration::from_nanos(10)),
            "finer than its time column",
        ),
        (stream("sent").window((seconds(1), seconds(2))), "larger than its size"),
        (
            stream("sent").reduce_by_window_with_inverse(seconds(1), [col("k")], [avg(col("n"))]),
            "has no exact inverse",
        ),
        (stream("sent").reduce([col("k")], [count(lit(1))]), "needs windows"),
        (stream("sent").join(stream("timeless"), &[("n", "n")]), "needs windows"),
        (
            stream("sent")
                .window(seconds(1))
                .and_then(|s| s.join(stream("timeless"), &[("n", "n")])),
            "needs windows",
        ),
        (
            stream("sent")
                .window(seconds(1))
                .and_then(|s| s.join(stream("sent").window(seconds(2))?, &[("n", "n")])),
            "these differ",
        ),
        (
            stream("sent")
                .window(seconds(1))
                .and_then(|s| s.join(stream("sent").window(seconds(1))?, &[("n", "n")])),
            "both sides of the join have a column `k`",
        ),
        (
            stream("sent")
                .window(seconds(1))
                .and_then(|s| s.join(stream("sent").window(seconds(1))?, &[("n", "m")])),
            "column `m` not found",
        ),
    ];
    for (made, expected) in cases {
        let told = mistake(made);
        assert!(told.contains(expected), "expected {expected:?} in {told:?}");
    }
    let other = Engine::in_memory();
    other.execute("CREATE TABLE dim (n BIGINT)").await.expect("a table");
    let told = mistake(stream("sent").window(seconds(1)).and_then(|s| {
        let other = other.stream("dim")?;
        s.join(other, &[("n", "n")])
    }));
    assert!(told.contains("windows") || told.contains("one engine"), "{told}");
}

#[tokio::test]
async fn what_sql_refuses_is_refused_here() {
    let engine = engine(&[]).await;
    let stream = engine.stream("sent").expect("a stream");
    let now = datafusion::functions::datetime::expr_fn::now();
    let filtered = stream.clone().filter(col("ts").lt(now)).expect("an expression");
    let refused = filtered.query().await.err().expect("a temporal filter").to_string();
    assert!(refused.contains("temporal filter"), "{refused}");
    let refused = mistake(stream.clone().map([sum(col("n"))]));
    assert!(refused.contains("`map` works row by row"), "{refused}");
    let refused = mistake(stream.clone().filter(sum(col("n")).gt(lit(1))));
    assert!(refused.contains("`filter` works row by row"), "{refused}");
    let refused = mistake(stream.reduce_by_window(seconds(1), [], [sum(col("n")) + lit(1)]));
    assert!(refused.contains("one aggregate"), "{refused}");
}

#[tokio::test]
async fn a_plan_carries_the_name_of_a_function_over_batches() {
    let engine = engine(&[]).await;
    let schema = |name: &str| Arc::new(Schema::new(vec![Field::new(name, DataType::Int64, true)]));
    let register = |rows: fn(&RecordBatch) -> RecordBatch, name: &str| {
        engine.register_batches(name, schema("n"), schema("m"), move |batch| Ok(rows(batch)))
    };
    register(
        |batch| {
            let doubled: Int64Array = batch.column(0).as_primitive::<Int64Type>().unary(|n| n * 2);
            RecordBatch::try_from_iter_with_nullable([("m", Arc::new(doubled) as ArrayRef, true)]).expect("a column")
        },
        "doubling",
    )
    .expect("a new name");
    register(|batch| batch.slice(0, 1), "shrinking").expect("a new name");
    let again = register(|batch| batch.clone(), "doubling").expect_err("a name that is taken");
    assert!(again.message.contains("known already"), "{again}");
    let stream = engine.stream("numbers").expect("a stream");
    let doubled = stream.clone().map_batches("doubling", []).expect("a function");
    let rows = doubled.query().await.expect("a start").one().await.expect("rows");
    assert_eq!(numbers(&rows), [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    let shrunk = stream.map_batches("shrinking", []).expect("a function");
    let failed = shrunk
        .query()
        .await
        .expect("a start")
        .one()
        .await
        .expect_err("a row per row");
    assert!(failed.message.contains("`shrinking` gave 1 rows for 10"), "{failed}");
    let by_sql = engine
        .query("SELECT doubling(n).m AS m FROM numbers WHERE n = 4")
        .await
        .expect("a query");
    let rows = by_sql.one().await.expect("rows");
    assert_eq!(numbers(&rows), [8]);
    assert_eq!(rows.column(0).null_count(), 0);
}

#[tokio::test]
async fn without_event_time_windows_are_of_arrival() {
    let clock = ManualClock::at_ns(0);
    let engine = declared(Engine::manual_at(&clock)).await;
    let sent = engine.push_source("timeless").expect("a handle");
    let counts = engine.stream("timeless").expect("a stream");
    let counts = counts.reduce_by_window((seconds(2), seconds(1)), [], [count(lit(1)).alias("count")]);
    let counts = counts.and_then(|s| s.map([col("count")])).expect("windows");
    let query = counts.query().await.expect("a start");
    let mut updates = query.stream();
    let mut shown = Vec::new();
    for arriving in [3, 0, 2, 0, 0, 0] {
        for n in 0..arriving {
            let row = format!(r#"{{"n": {n}}}"#);
            sent.send_json(row.as_bytes()).await.expect("an open source");
        }
        engine.step().await.expect("a step");
        clock.advance(seconds(1));
        while let Some(update) = updates.try_next() {
            shown.extend(numbers(&update.expect("rows").batch));
        }
    }
    // Windows of two seconds, by when they end: after one second 3 rows, then 3, then 2, then 2.
    assert_eq!(shown, [3, 3, 2, 2]);
}

/// DataFusion's `sum` is replaced by the engine's, and so is its arithmetic.
#[tokio::test]
async fn what_does_not_fit_is_told_of_methods_too() {
    let engine = engine(&[]).await;
    let edge = || lit(i64::MAX - 10);
    let stream = || engine.stream("numbers").expect("a stream");
    let fits = stream().map([col("n") + edge()]).expect("a column").query().await;
    let fits = fits.expect("a start").one().await.expect("rows");
    assert_eq!(numbers(&fits)[9], i64::MAX);
    let failed = |stream: Result<DStream>| async move {
        let query = stream.expect("a stream").query().await.expect("a start");
        query.one().await.expect_err("an overflow").message
    };
    let product = failed(stream().map([col("n") * edge()])).await;
    assert!(product.contains("overflow: 2 * 9223372036854775797"), "{product}");
    let total = sum(col("n") + edge()).alias("total");
    let told = failed(stream().reduce_by_window(seconds(10), [], [total])).await;
    assert!(told.contains("overflow: the sum "), "{told}");
}

#[tokio::test]
async fn a_plan_tells_of_its_inverse() {
    let engine = engine(&[]).await;
    let explained = |stream: Result<DStream>| {
        let plan = stream.and_then(|s| s.explain()).expect("a plan");
        let lines = plan.column(0).as_string::<i32>().iter().flatten();
        lines.collect::<Vec<_>>().join("\n")
    };
    let stream = engine.stream("sent").expect("a stream");
    let (span, key, sums) = ((seconds(10), seconds(2)), [col("k")], [sum(col("n"))]);
    let with = explained(
        stream
            .clone()
            .reduce_by_window_with_inverse(span, key.clone(), sums.clone()),
    );
    assert!(with.contains("HOP 10 s by 2 s, with inverse"), "{with}");
    let without = explained(stream.reduce_by_window(span, key, sums));
    assert!(!without.contains("inverse"), "{without}");
}

#[tokio::test]
async fn an_inverse_of_the_host_belongs_to_one_of_its_aggregates() {
    let engine = declared(Engine::manual()).await;
    let squares = functions::both().1.remove(0);
    let negative = |states: &RecordBatch| Ok(states.clone());
    let unknown = engine
        .register_inverse("sum_of_squares", negative)
        .expect_err("no such aggregate");
    assert!(
        unknown.message.contains("no aggregate called `sum_of_squares`"),
        "{unknown}"
    );
    engine.register_udaf(squares.clone()).expect("a new name");
    let reduced = |engine: &Engine| {
        let stream = engine.stream("sent").expect("a stream");
        stream.reduce_by_window_with_inverse((seconds(2), seconds(1)), [], [squares.call(vec![col("n")])])
    };
    let none = reduced(&engine).map(drop).expect_err("no inverse");
    assert!(none.to_string().contains("register_inverse"), "{none}");
    // One that forgets rows.
    engine
        .register_inverse("sum_of_squares", |states| Ok(states.slice(0, 0)))
        .expect("an inverse");
    let again = engine.register_inverse("sum_of_squares", negative).expect_err("known");
    let built_in = engine.register_inverse("count", negative).expect_err("known");
    for taken in [again, built_in] {
        assert!(taken.message.contains("is known already"), "{taken}");
    }
    let query = reduced(&engine).expect("windows").query().await.expect("a start");
    let sent = engine.push_source("sent").expect("a handle");
    for second in 0..4 {
        let row = format!(r#"{{"k": 1, "n": 2, "ts": "1970-01-01T00:00:0{second}"}}"#);
        sent.send_json(row.as_bytes()).await.expect("an open source");
    }
    drop(sent);
    for _ in 0..3 {
        engine.step().await.expect("a step");
    }
    let failed = query.wait().await.expect_err("columns of other lengths");
    assert!(
        failed.message.contains("the inverse of `sum_of_squares` must give"),
        "{failed}"
    );
}
