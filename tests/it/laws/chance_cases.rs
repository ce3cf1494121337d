//! Clocks and chance: the same numbers for every cut, number of partitions and loss; one clock per interval.

use super::answer::Answer;
use super::data::{self, Rng, Shape, Table};
use super::{drive, feed, runs};
use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, TimestampNanosecondType};
use std::path::Path;
use std::time::Duration;
use waterwheel::error::Result;
use waterwheel::{Engine, ManualClock, Update};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

async fn answer(sql: &str, tables: &[Table], run: feed::Run, folder: &Path) -> Result<Answer> {
    let engine = feed::engine(run, folder).await?;
    feed::declare_files(&engine, tables, folder).await?;
    let query = engine.query(sql).await?;
    let updates = drive(&engine, &query, run.faults).await?;
    let batches: Vec<RecordBatch> = updates.into_iter().map(|u| u.batch).collect();
    Ok(Answer::of(&batches, false))
}

/// Every cut, partition count and loss gives the numbers of the first.
fn same_for_every_run(sql: &str) {
    let mut rng = Rng::new(11);
    let small = Shape::small(&mut rng, 3);
    for shape in [small, Shape { rows: 10_000, ..small }] {
        let tables = vec![data::table("t", &mut rng, shape)];
        let folder = tempfile::tempdir().expect("a folder");
        feed::write_files(&tables, folder.path());
        let large = shape.rows == 10_000;
        let tried = runs(5).into_iter().filter(|run| !large || run.cut >= 1_000);
        let mut first: Option<Answer> = None;
        for run in tried {
            let found = block_on(answer(sql, &tables, run, folder.path()));
            let found = found.unwrap_or_else(|e| panic!("{sql}: {run:?}: {e}"));
            let Some(first) = &first else {
                first = Some(found);
                continue;
            };
            if let Some(difference) = found.difference(first, 0.0) {
                panic!("{sql}: {run:?}: {difference}");
            }
        }
    }
}

#[test]
fn chance_is_the_same_in_every_projection() {
    same_for_every_run("SELECT id, random() AS a, random() AS b, uuid() FROM t");
    same_for_every_run("SELECT id, r, upper(u) FROM (SELECT *, random() AS r, uuid() AS u FROM t) AS x WHERE v > 0");
}

#[test]
fn chance_is_the_same_in_a_condition() {
    same_for_every_run("SELECT id, v FROM t WHERE random() < 0.5");
}

#[test]
fn chance_is_the_same_below_windows_and_batches() {
    same_for_every_run(
        "SELECT window_start, count(*), min(r), max(u) FROM TUMBLE((SELECT *, random() AS r, uuid() AS u FROM t \
         WHERE random() < 0.7), ts, INTERVAL '10 seconds') GROUP BY window_start, window_end",
    );
    same_for_every_run("SELECT k, count(*), max(u) FROM (SELECT k, uuid() AS u FROM t) AS x GROUP BY k");
}

/// An engine over a push source, one interval per row, the clock moved by a second before each.
async fn stepped(sql: &str, lose: bool) -> Vec<Update> {
    let clock = ManualClock::at_ns(1_000_000_000);
    let engine = Engine::builder().set("max_rows_per_interval", "2").expect("a setting");
    let engine = engine.manual_at(&clock).build();
    let create = "CREATE SOURCE t (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (connector = 'push')";
    engine.execute(create).await.expect("a source");
    let query = engine.query(sql).await.expect("a query");
    let mut stream = query.stream();
    let handle = engine.push_source("t").expect("a handle");
    let lines: String = (0..10)
        .map(|n| format!("{{\"id\": {n}, \"ts\": {}}}\n", n * 1_000))
        .collect();
    handle.send_json(lines.as_bytes()).await.expect("sent");
    let mut updates = Vec::new();
    let mut handle = Some(handle);
    for step in 0..6 {
        if step == 5 {
            handle = None;
        }
        clock.advance(Duration::from_secs(1));
        engine.step().await.expect("a step");
        while let Some(update) = stream.try_next() {
            updates.push(update.expect("rows"));
        }
        for id in query.batches() {
            if lose {
                query.lose(id);
            }
        }
    }
    drop(handle);
    updates
}

/// Per update its interval, and the clock in a column, which must be one.
fn clocks(updates: &[Update], column: usize) -> Vec<(u64, i64)> {
    let of = |update: &Update| {
        let clocks = update.batch.column(column).as_primitive::<TimestampNanosecondType>();
        let first = clocks.value(0);
        assert!(
            clocks.values().iter().all(|clock| *clock == first),
            "one clock per interval"
        );
        (update.interval, first / 1_000_000_000)
    };
    updates.iter().map(of).collect()
}

#[test]
fn now_is_the_clock_of_the_interval() {
    block_on(async {
        let quiet = stepped("SELECT id, now() FROM t", false).await;
        let expected: Vec<(u64, i64)> = (0..5).map(|n| (n, n as i64 + 2)).collect();
        assert_eq!(clocks(&quiet, 1), expected);
        let lossy = stepped("SELECT id, now() FROM t", true).await;
        assert_eq!(clocks(&lossy, 1), expected);
    });
}

/// A window is shown with the clock of the interval that closes it, not of those that its rows came in.
#[test]
fn now_over_windows_is_when_they_are_shown() {
    let sql =
        "SELECT window_end, count(*), now() FROM TUMBLE(t, ts, INTERVAL '4 seconds') GROUP BY window_start, window_end";
    block_on(async {
        let quiet = stepped(sql, false).await;
        // Rows 4 and 5 come in interval 2, and close [0, 4).
        assert_eq!(clocks(&quiet, 2), [(2, 4), (4, 6), (5, 7)]);
        let lossy = stepped(sql, true).await;
        assert_eq!(clocks(&lossy, 2), clocks(&quiet, 2));
        for (a, b) in quiet.iter().zip(&lossy) {
            assert_eq!(a.batch, b.batch);
        }
    });
}

#[test]
fn another_seed_gives_other_numbers() {
    block_on(async {
        let engine = Engine::in_memory();
        engine.execute("CREATE TABLE t (id BIGINT)").await.expect("a table");
        let values = (0..100).map(|n| format!("({n})")).collect::<Vec<_>>().join(", ");
        engine
            .execute(&format!("INSERT INTO t VALUES {values}"))
            .await
            .expect("rows");
        let mut seen: Vec<Int64Array> = Vec::new();
        for seed in ["0", "0", "1"] {
            let sql = format!("SET seed = {seed}");
            engine.execute(&sql).await.expect("a setting");
            let query = engine
                .query("SELECT CAST(random() * 1000000000 AS BIGINT) AS r FROM t")
                .await;
            let rows = query.expect("a query").one().await.expect("rows");
            seen.push(rows.column(0).as_primitive::<Int64Type>().clone());
        }
        assert_eq!(seen[0].len(), 100);
        assert_eq!(seen[0], seen[1]);
        assert_ne!(seen[0], seen[2]);
    });
}
