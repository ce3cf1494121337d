//! What is lost is made again, and only that; what is no longer needed is forgotten; the same cuts give the same bytes.

use super::data::{self, Rng, Shape, Table};
use super::feed::{self, Run};
use super::{drive, is_long};
use datafusion::arrow::datatypes::TimeUnit;
use std::path::Path;
use waterwheel::dstream::record::BatchKind;
use waterwheel::{Engine, Update};

const BY_KEY: &str = "SELECT window_start, k, count(*), sum(v), sum(f), array_agg(id ORDER BY id) \
                      FROM HOP(t, ts, INTERVAL '5 seconds', INTERVAL '20 seconds') GROUP BY window_start, window_end, k";

/// Windows of two hundred panes, which are made of merged ones.
const MANY_PANES: [&str; 2] = [
    "SELECT window_end, k, count(*), sum(v), sum(f), avg(f), max(f), count(DISTINCT s) \
     FROM HOP(t, ts, INTERVAL '100 milliseconds', INTERVAL '20 seconds') GROUP BY window_start, window_end, k",
    "SELECT window_end, count(*), sum(f), stddev(f), min(f) \
     FROM HOP(t, ts, INTERVAL '100 milliseconds', INTERVAL '20 seconds') GROUP BY window_start, window_end",
];

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

fn rows(rows: usize, splits: usize) -> Vec<Table> {
    let shape = Shape {
        rows,
        splits,
        unit: TimeUnit::Millisecond,
        odd_floats: true,
        spread: data::Spread::Minutes,
    };
    let mut table = data::table("t", &mut Rng::new(7), shape);
    table.delay_ms = 5_000;
    vec![table]
}

async fn over_files(sql: &str, tables: &[Table], run: Run, folder: &Path) -> (Vec<Update>, u64) {
    feed::write_files(tables, folder);
    let engine = feed::engine(run, folder).await.expect("an engine");
    feed::declare_files(&engine, tables, folder).await.expect("sources");
    let query = engine.query(sql).await.expect("a query");
    let updates = drive(&engine, &query, run.faults).await.expect("an answer");
    (updates, query.summary().recomputed)
}

/// Batches, weights and interval numbers, exactly.
fn assert_same_bytes(a: &[Update], b: &[Update]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert_eq!((a.interval, &a.weights), (b.interval, &b.weights));
        assert!(
            a.batch == b.batch,
            "interval {}:\n{:?}\n{:?}",
            a.interval,
            a.batch,
            b.batch
        );
    }
}

#[test]
fn the_same_cuts_give_the_same_bytes_whatever_is_lost() {
    the_same_bytes(BY_KEY, 6_000);
}

#[test]
fn windows_of_many_panes_have_the_same_bytes_whatever_is_lost() {
    MANY_PANES.into_iter().for_each(|sql| the_same_bytes(sql, 1_500));
}

fn the_same_bytes(sql: &str, total: usize) {
    let tables = rows(total, 2);
    for (cut, parallelism) in [(7, 4), (50, 1), (5_000, 4)] {
        // Cut 7 has many intervals, and as many recoveries.
        let few = [tables[0].prefix(400)];
        let tables = if cut == 7 { &few[..] } else { &tables[..] };
        let folder = tempfile::tempdir().expect("a folder");
        let of = |faults| Run {
            cut,
            parallelism,
            faults,
        };
        let (quiet, none) = block_on(over_files(sql, tables, of(None), folder.path()));
        let (again, _) = block_on(over_files(sql, tables, of(None), folder.path()));
        let (lossy, recomputed) = block_on(over_files(sql, tables, of(Some(3)), folder.path()));
        assert_same_bytes(&quiet, &again);
        assert_same_bytes(&quiet, &lossy);
        assert_eq!(none, 0, "nothing is made twice without a loss");
        assert!(
            recomputed > 0 || quiet.len() < 3,
            "cut {cut}: what was lost was made again"
        );
    }
}

/// Rows in order, two a second, so that what is open is known.
fn steady(rows: usize) -> Table {
    let row = |n: usize| data::Row {
        id: n as i64,
        k: Some(n as i64 % 3),
        s: None,
        v: Some(1),
        f: None,
        ts: Some(n as i64 * 500),
    };
    Table {
        name: "t",
        unit: TimeUnit::Millisecond,
        delay_ms: 0,
        splits: vec![(0..rows).map(row).collect()],
        odd_floats: false,
    }
}

async fn pushed(table: &Table, cut: usize) -> Engine {
    let engine = Engine::builder()
        .set("max_rows_per_interval", &cut.to_string())
        .expect("a setting");
    let engine = engine.set("parallelism", "1").expect("a setting").manual().build();
    engine
        .execute(&table.create("connector = 'push'"))
        .await
        .expect("a source");
    engine
}

/// Windows of 10 s over intervals of 1 s: at most the last ten intervals are made again, whatever came before.
#[test]
fn only_the_intervals_of_open_panes_are_made_again() {
    block_on(async {
        let table = steady(400);
        let engine = pushed(&table, 2).await;
        let sql = "SELECT window_start, k, count(*) FROM TUMBLE(t, ts, INTERVAL '10 seconds') GROUP BY window_start, window_end, k";
        let query = engine.query(sql).await.expect("a query");
        let handle = engine.push_source("t").expect("a handle");
        handle.send(table.batch(&table.splits[0])).await.expect("sent");
        for _ in 0..105 {
            engine.step().await.expect("a step");
        }
        assert_eq!(query.summary().recomputed, 0);
        let state = query.batches().into_iter().find(|id| id.kind == BatchKind::State);
        assert!(query.lose(state.expect("a state")), "it was there");
        engine.step().await.expect("a step");
        let recomputed = query.summary().recomputed;
        // Five intervals feed the open window; each is read, taken into panes and folded.
        assert!(recomputed > 0, "the state was made again");
        assert!(
            recomputed <= 3 * 10,
            "{recomputed} tasks for the intervals of one window"
        );
    });
}

/// A late row or an old state must not keep what is behind it for ever.
#[test]
fn nothing_grows_over_many_intervals() {
    block_on(async {
        let intervals = if is_long() { 100_000 } else { 2_000 };
        let table = steady(intervals * 2);
        let engine = pushed(&table, 2).await;
        let sql = "SELECT window_start, k, count(*), count(DISTINCT id) FROM HOP(t, ts, INTERVAL '2 seconds', INTERVAL '10 seconds') \
                   GROUP BY window_start, window_end, k";
        let query = engine.query(sql).await.expect("a query");
        let mut stream = query.stream();
        let handle = engine.push_source("t").expect("a handle");
        let mut peak = (0, 0, 0);
        for rows in table.splits[0].chunks(2) {
            handle.send(table.batch(rows)).await.expect("sent");
            engine.step().await.expect("a step");
            while stream.try_next().is_some() {}
            let summary = query.summary();
            let now = (summary.journal, summary.state_rows, query.batches().len());
            peak = (peak.0.max(now.0), peak.1.max(now.1), peak.2.max(now.2));
        }
        assert_eq!(query.summary().intervals, intervals as u64);
        let (journal, state_rows, batches) = peak;
        assert!(journal <= 20, "{journal} intervals written down for windows of 10");
        assert!(state_rows <= 60, "{state_rows} rows of state");
        assert!(batches <= 10, "{batches} batches kept");
    });
}
