//! Windows of arrival time: a row belongs to the window over the recorded clock of its interval, and the clock closes it.
//!
//! They depend on how the stream was cut. What is promised is that a replay gives the same bytes.

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, TimestampNanosecondType};
use futures::StreamExt;
use waterwheel::{Engine, ManualClock, Update};

/// Per step: the clock in milliseconds, and how many rows come.
const STEPS: [(i64, i64); 8] = [
    (1_000, 2),
    (1_400, 3),
    (2_000, 1),
    (2_000, 2),
    (3_700, 4),
    (9_000, 0),
    (9_050, 1),
    (12_000, 0),
];

const CREATE: &str = "CREATE SOURCE t (id BIGINT, p AS PROCTIME()) WITH (connector = 'push')";

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

async fn stepped(sql: &str, lose: bool) -> Vec<Update> {
    let clock = ManualClock::at_ns(0);
    let engine = Engine::builder().set("parallelism", "2").expect("a setting");
    let engine = engine.manual_at(&clock).build();
    engine.execute(CREATE).await.expect("a source");
    engine.execute("SET interval = '100ms'").await.expect("a setting");
    let query = engine.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let mut stream = query.stream();
    let handle = engine.push_source("t").expect("a handle");
    let mut updates = Vec::new();
    let mut next = 0;
    for (at_ms, rows) in STEPS {
        clock.set_ns(at_ms * 1_000_000);
        for _ in 0..rows {
            let row = format!("{{\"id\": {next}}}\n");
            handle.send_json(row.as_bytes()).await.expect("sent");
            next += 1;
        }
        engine.step().await.expect("a step");
        while let Some(update) = stream.try_next() {
            updates.push(update.expect("rows"));
        }
        if lose {
            for id in query.batches() {
                query.lose(id);
            }
        }
    }
    drop(handle);
    engine.step().await.expect("a step");
    while let Some(update) = stream.next().await {
        updates.push(update.expect("rows"));
    }
    updates
}

/// Interval, end of the window in milliseconds, and a number; columns 0 and 1 of each row.
fn counts(updates: &[Update]) -> Vec<(u64, i64, i64)> {
    let of = |update: &Update| {
        let ends = update.batch.column(0).as_primitive::<TimestampNanosecondType>().clone();
        let numbers = update.batch.column(1).as_primitive::<Int64Type>().clone();
        let interval = update.interval;
        let rows =
            (0..update.batch.num_rows()).map(move |row| (interval, ends.value(row) / 1_000_000, numbers.value(row)));
        rows.collect::<Vec<_>>()
    };
    updates.iter().flat_map(of).collect()
}

fn shown(sql: &str, expected: &[(u64, i64, i64)]) {
    block_on(async {
        let quiet = stepped(sql, false).await;
        assert_eq!(counts(&quiet), expected, "{sql}");
        let lossy = stepped(sql, true).await;
        let batches = |updates: &[Update]| updates.iter().map(|u| u.batch.clone()).collect::<Vec<RecordBatch>>();
        assert_eq!(batches(&quiet), batches(&lossy), "{sql}");
        assert_eq!(counts(&lossy), expected, "{sql}");
    });
}

#[test]
fn tumble_over_a_column_and_over_the_clock_itself() {
    // The rows of the interval at 2,000 belong to the window that begins then; that interval closes the one before.
    let expected = [(2, 2_000, 5), (5, 4_000, 7), (7, 10_000, 1)];
    for time in ["p", "DESCRIPTOR(p)", "PROCTIME()"] {
        let sql = format!(
            "SELECT window_end, count(*) FROM TUMBLE(t, {time}, INTERVAL '2 seconds') GROUP BY window_start, window_end"
        );
        shown(&sql, &expected);
    }
    let sql = "SELECT window_end, sum(n) FROM TUMBLE((SELECT 1 AS n, PROCTIME() AS q FROM t WHERE id >= 0), q, \
               INTERVAL '2 seconds') GROUP BY window_start, window_end";
    shown(sql, &expected);
}

#[test]
fn hop_and_cumulate() {
    let sql = "SELECT window_end, count(*) FROM HOP(t, p, INTERVAL '1 second', INTERVAL '2 seconds') \
               GROUP BY window_start, window_end";
    let expected = [
        (2, 2_000, 5),
        (4, 3_000, 8),
        (5, 4_000, 7),
        (5, 5_000, 4),
        (7, 10_000, 1),
        (7, 11_000, 1),
    ];
    shown(sql, &expected);
    let sql = "SELECT window_end, count(*) FROM CUMULATE(t, p, INTERVAL '1 second', INTERVAL '4 seconds') \
               GROUP BY window_start, window_end";
    let expected = [
        (2, 2_000, 5),
        (4, 3_000, 8),
        (5, 4_000, 12),
        (7, 10_000, 1),
        (7, 11_000, 1),
        (7, 12_000, 1),
    ];
    shown(sql, &expected);
}

/// Windows of many panes, whose merged panes must be those of the first time.
#[test]
fn hop_of_many_panes() {
    let sql = "SELECT window_end, count(*) FROM HOP(t, p, INTERVAL '100 milliseconds', INTERVAL '2 seconds') \
               GROUP BY window_start, window_end";
    let mut expected: Vec<(u64, i64, i64)> = Vec::new();
    for end in (1..=200).map(|n| n * 100) {
        let rows = STEPS
            .iter()
            .filter(|(at, _)| end - 2_000 <= *at && *at < end)
            .map(|(_, rows)| rows);
        let count: i64 = rows.sum();
        let closes = STEPS.iter().position(|(at, _)| *at >= end).unwrap_or(STEPS.len());
        if count > 0 {
            expected.push((closes as u64, end, count));
        }
    }
    shown(sql, &expected);
}

#[test]
fn sessions_rows_and_windows_above() {
    let sql = "SELECT window_end, count(*) FROM SESSION(t, p, INTERVAL '1 second') GROUP BY window_start, window_end";
    shown(sql, &[(4, 3_000, 8), (5, 4_700, 4), (7, 10_050, 1)]);
    let sql = "SELECT window_end, id FROM TUMBLE(t, p, INTERVAL '2 seconds') WHERE id % 4 = 0";
    shown(sql, &[(0, 2_000, 0), (1, 2_000, 4), (4, 4_000, 8), (6, 10_000, 12)]);
    let sql = "SELECT a.window_end, a.n + b.top FROM \
               (SELECT window_start, window_end, count(*) AS n FROM TUMBLE(t, p, INTERVAL '2 seconds') GROUP BY window_start, window_end) AS a \
               JOIN (SELECT window_start, window_end, max(id) AS top FROM TUMBLE(t, p, INTERVAL '2 seconds') GROUP BY window_start, window_end) AS b \
               ON a.window_start = b.window_start AND a.window_end = b.window_end";
    shown(sql, &[(2, 2_000, 9), (5, 4_000, 18), (7, 10_000, 13)]);
}

/// Windows of what windows of arrival time gave.
#[test]
fn windows_over_windows() {
    let inner = "SELECT window_time AS at, count(*) AS n FROM TUMBLE(t, p, INTERVAL '1 second') \
                 GROUP BY window_start, window_end, window_time";
    let sql = format!(
        "SELECT window_end, sum(n) FROM TUMBLE(({inner}), at, INTERVAL '4 seconds') GROUP BY window_start, window_end"
    );
    shown(&sql, &[(5, 4_000, 12), (7, 12_000, 1)]);
    block_on(async {
        let engine = Engine::in_memory();
        engine.execute(CREATE).await.expect("a source");
        let sql = sql
            .replace("1 second", "10 milliseconds")
            .replace("4 seconds", "40 milliseconds");
        let query = engine.query(&sql).await.expect("a query");
        let handle = engine.push_source("t").expect("a handle");
        handle.send_json(b"{\"id\": 1}\n").await.expect("sent");
        let update = query.stream().next().await.expect("a window").expect("rows");
        assert_eq!(update.batch.num_rows(), 1);
        drop(handle);
    });
}

/// Nothing comes any more, nothing has ended, and the window closes all the same.
#[test]
fn the_clock_closes_windows_without_rows() {
    block_on(async {
        let engine = Engine::in_memory();
        engine.execute(CREATE).await.expect("a source");
        let sql = "SELECT window_end, count(*) FROM TUMBLE(t, p, INTERVAL '20 milliseconds') GROUP BY window_start, window_end";
        let query = engine.query(sql).await.expect("a query");
        let mut stream = query.stream();
        let handle = engine.push_source("t").expect("a handle");
        handle.send_json(b"{\"id\": 1}\n").await.expect("sent");
        let update = stream.next().await.expect("a window").expect("rows");
        assert_eq!(update.batch.column(1).as_primitive::<Int64Type>().value(0), 1);
        handle.send_json(b"{\"id\": 2}\n").await.expect("sent");
        let update = stream.next().await.expect("another").expect("rows");
        assert_eq!(update.batch.num_rows(), 1);
        drop(handle);
        query.wait().await.expect("an end");
    });
}
