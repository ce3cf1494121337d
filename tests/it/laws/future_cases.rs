//! `max_future_skew`: rows too far ahead of the recorded clock are bad records, for every cut and after every loss.

use super::answer::Answer;
use super::data::{self, Rng, Shape, Table};
use super::oracle::{self, Shown};
use super::{ALL, drive, feed, runs};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use std::path::Path;
use std::time::Duration;
use waterwheel::error::Result;
use waterwheel::{Engine, ManualClock, Update};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// After every time that made-up tables hold.
const CLOCK_S: i64 = 1_704_203_200;

/// The table, and the same with rows of the future strewn in.
fn tables(rng: &mut Rng, shape: Shape) -> (Table, Table) {
    let mut clean = data::table("t", rng, shape);
    clean.odd_floats = false;
    for row in clean.splits.iter_mut().flatten() {
        row.f = row.f.filter(|f| f.is_finite());
    }
    let mut strewn = clean.clone();
    for rows in &mut strewn.splits {
        let mut with_future = Vec::new();
        for row in rows.drain(..) {
            if rng.one_in(4) {
                let mut future = row.clone();
                let ahead_s = 3_601 + rng.below(3_000_000_000) as i64;
                // Nanoseconds end in the year 2262.
                future.ts = Some((CLOCK_S + ahead_s) * 1_000_000_000 / data::unit_ns(shape.unit));
                with_future.push(future);
            }
            with_future.push(row);
        }
        *rows = with_future;
    }
    (clean, strewn)
}

struct Found {
    answer: Answer,
    late: Answer,
    bad: u64,
}

async fn run(sql: &str, table: &Table, run: feed::Run, folder: &Path) -> Result<Found> {
    let clock = ManualClock::at_ns(CLOCK_S * 1_000_000_000);
    let engine = feed::engine_at(run, folder, &clock).await?;
    let with = format!(
        "connector = 'file', path = '{}', format = 'json', max_future_skew = '1 hour', on_error = 'skip'",
        folder.join("t").display()
    );
    engine.execute(&table.create(&with)).await?;
    let query = engine.query(sql).await?;
    let batches = |updates: Vec<Update>| updates.into_iter().map(|u| u.batch).collect::<Vec<RecordBatch>>();
    let answer = batches(drive(&engine, &query, run.faults).await?);
    Ok(Found {
        answer: Answer::of(&answer, false),
        late: Answer::of(&query.late_rows(), false),
        bad: query.summary().bad,
    })
}

#[test]
fn rows_of_the_future_are_not_there() {
    let windows = oracle::tumble("t", 10, 0);
    let cases = [
        (
            "SELECT window_start, k, count(*), sum(v) FROM TUMBLE(t, ts, INTERVAL '10 seconds') \
             GROUP BY window_start, window_end, k"
                .to_string(),
            format!("SELECT window_start, k, count(*), sum(v) FROM {windows} GROUP BY window_start, window_end, k"),
        ),
        // No operator uses time.
        (
            "SELECT id, s FROM t WHERE v > 0".to_string(),
            "SELECT id, s FROM t WHERE v > 0".to_string(),
        ),
        (
            "SELECT k, count(*) FROM t GROUP BY k".to_string(),
            "SELECT k, count(*) FROM t GROUP BY k".to_string(),
        ),
    ];
    for (seed, rows) in [(1, 60), (2, 60), (3, 10_000)] {
        let mut rng = Rng::new(seed);
        let shape = Shape {
            rows,
            ..Shape::small(&mut rng, 3)
        };
        let (clean, strewn) = tables(&mut rng, shape);
        let future = strewn.rows() - clean.rows();
        let folders = [
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        ];
        feed::write_files(std::slice::from_ref(&strewn), folders[0].path());
        feed::write_files(std::slice::from_ref(&clean), folders[1].path());
        for (sql, oracle) in &cases {
            let expected = block_on(oracle::answer(oracle, std::slice::from_ref(&clean), Shown::All));
            let expected = Answer::of(&expected.expect("the oracle"), false);
            let whole = feed::Run {
                cut: ALL,
                parallelism: 1,
                faults: None,
            };
            let without = block_on(run(sql, &clean, whole, folders[1].path())).expect("an answer");
            for of in runs(seed).into_iter().filter(|run| rows < 1_000 || run.cut >= 1_000) {
                let found = block_on(run(sql, &strewn, of, folders[0].path()));
                let found = found.unwrap_or_else(|e| panic!("{sql}: {of:?}: {e}"));
                if let Some(difference) = found.answer.difference(&expected, 1e-6) {
                    panic!("{sql}: seed {seed}: {of:?}: {difference}");
                }
                if let Some(difference) = found.late.difference(&without.late, 1e-6) {
                    panic!("late rows of {sql}: seed {seed}: {of:?}: {difference}");
                }
                assert_eq!(found.bad, future as u64, "{sql}: {of:?}");
            }
        }
    }
}

/// An hour passes before each interval; each row lies so many minutes ahead of the clock at the start.
async fn hourly(
    minutes: &[i64],
    per_interval: usize,
    on_error: &str,
    lose: bool,
) -> (Vec<i64>, Option<String>, Engine) {
    let clock = ManualClock::at_ns(0);
    let engine = Engine::builder().set("max_rows_per_interval", &per_interval.to_string());
    let engine = engine.expect("a setting").manual_at(&clock).build();
    let create = format!(
        "CREATE SOURCE t (id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) \
         WITH (connector = 'push', max_future_skew = '10min', on_error = '{on_error}')"
    );
    engine.execute(&create).await.expect("a source");
    let sql =
        "SELECT window_end, max(id) AS id FROM TUMBLE(t, ts, INTERVAL '1 second') GROUP BY window_start, window_end";
    let query = engine.query(sql).await.expect("a query");
    let mut stream = query.stream();
    let handle = engine.push_source("t").expect("a handle");
    let line = |(n, m): (usize, &i64)| format!("{{\"id\": {n}, \"ts\": {}}}\n", m * 60_000);
    let lines: String = minutes.iter().enumerate().map(line).collect();
    handle.send_json(lines.as_bytes()).await.expect("sent");
    drop(handle);
    let (mut ids, mut failed) = (Vec::new(), None);
    for _ in 0..minutes.len() + 2 {
        clock.advance(Duration::from_secs(3_600));
        engine.step().await.expect("a step");
        while let Some(update) = stream.try_next() {
            match update {
                Ok(update) => ids.extend(update.batch.column(1).as_primitive::<Int64Type>().values()),
                Err(error) => failed = Some(error.message),
            }
        }
        for id in query.batches().into_iter().filter(|_| lose) {
            query.lose(id);
        }
    }
    ids.sort_unstable();
    (ids, failed, engine)
}

/// The clock that judges is that of the interval, also when the interval is run again with a later one.
#[test]
fn the_recorded_clock_judges() {
    // Clocks are 60, 120, 180, 240 minutes; a row may lie 10 minutes ahead, and no further.
    let minutes = [70, 131, 130, 500, 1_000_000, 190, 191, 249];
    for lose in [false, true] {
        let (ids, failed, engine) = block_on(hourly(&minutes, 2, "dead_letter", lose));
        assert_eq!(failed, None);
        assert_eq!(ids, [0, 2, 5, 6, 7], "lost: {lose}");
        let letters = block_on(async {
            let query = engine.query("SELECT bytes, message FROM dead_letters('t')").await?;
            query.one().await
        });
        let letters = letters.expect("dead letters");
        assert_eq!(letters.num_rows(), 3);
        let bytes = letters.column(0).as_binary::<i32>();
        assert_eq!(bytes.value(0), b"{\"id\":1,\"ts\":\"1970-01-01T02:11:00Z\"}");
        let message = letters.column(1).as_string::<i32>().value(0).to_string();
        assert!(
            message.starts_with(
                "column `ts` lies more than max_future_skew = '10min' ahead of the clock, which stands at 1970-01-01 01:00:00"
            ),
            "{message}"
        );
    }
    // One interval has one clock.
    let (ids, ..) = block_on(hourly(&minutes, 100, "skip", false));
    assert_eq!(ids, [0]);
}

#[test]
fn a_row_of_the_future_fails_the_query_after_the_rows_before_it() {
    let (ids, failed, _) = block_on(hourly(&[10, 20, 30, 9_000, 40], 100, "fail", false));
    // The window of the last row before it is still open.
    assert_eq!(ids, [0, 1]);
    let failed = failed.expect("an error");
    assert!(
        failed.contains("column `ts` lies more than max_future_skew = '10min' ahead"),
        "{failed}"
    );
    assert!(failed.contains("\"id\":3"), "{failed}");
}
