//! Quiet splits: time-outs, floors, and what SHOW PROGRESS says of them.

use crate::laws::data::Rng;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use datafusion::arrow::datatypes::{Int64Type, TimestampMillisecondType, TimestampNanosecondType};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use waterwheel::connectors::push::PushHandle;
use waterwheel::{Engine, ManualClock, Outcome, Updates};

/// Two streams as one, counted by windows of ten seconds.
const COUNTS: &str = "SELECT window_end, count(*) AS n FROM TUMBLE((SELECT ts FROM clicks UNION ALL SELECT ts FROM quiet), \
     ts, INTERVAL '10 seconds') GROUP BY window_end";

struct Streams {
    engine: Engine,
    clock: ManualClock,
    handles: Vec<PushHandle>,
}

async fn streams(delays_s: [i64; 2]) -> Streams {
    let clock = ManualClock::at_ns(0);
    let engine = Engine::manual_at(&clock);
    let mut handles = Vec::new();
    for (name, delay) in ["clicks", "quiet"].into_iter().zip(delays_s) {
        let create = format!(
            "CREATE SOURCE {name} (n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '{delay}' SECOND) \
             WITH (connector = 'push')"
        );
        engine.execute(&create).await.expect("a source");
        handles.push(engine.push_source(name).expect("a handle"));
    }
    Streams { engine, clock, handles }
}

impl Streams {
    async fn send(&self, stream: usize, seconds: &[i64]) {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(seconds.iter().copied())),
            Arc::new(TimestampMillisecondArray::from_iter_values(
                seconds.iter().map(|s| s * 1_000),
            )),
        ];
        let handle = &self.handles[stream];
        let batch = RecordBatch::try_new(handle.schema(), columns).expect("two columns");
        handle.send(batch).await.expect("an open source");
    }

    async fn step(&self, after_s: u64) {
        self.clock.advance(Duration::from_secs(after_s));
        self.engine.step().await.expect("an engine without timer");
    }
}

/// Window end in seconds, count.
pub fn counts(batch: &RecordBatch) -> Vec<(i64, i64)> {
    let ends = batch.column(0).as_primitive::<TimestampMillisecondType>().values();
    let counts = batch.column(1).as_primitive::<Int64Type>().values();
    ends.iter().map(|end| end / 1_000).zip(counts.iter().copied()).collect()
}

fn shown(updates: &mut Updates, all: &mut BTreeMap<i64, i64>) {
    while let Some(update) = updates.try_next() {
        all.extend(counts(&update.expect("rows").batch));
    }
}

async fn progress(engine: &Engine) -> RecordBatch {
    let mut script = engine.script("SHOW PROGRESS").expect("a statement");
    match script.next().await {
        Some(Ok(Outcome::Rows(batch))) => batch,
        _ => panic!("SHOW PROGRESS gives rows"),
    }
}

/// Per source: its state, its watermark and the end of the oldest open window in seconds.
fn stands(batch: &RecordBatch) -> Vec<(String, String, Option<i64>, Option<i64>)> {
    let text = |name: &str| batch.column_by_name(name).expect("a column").as_string::<i32>().clone();
    let time = |name: &str, row| {
        let column = batch
            .column_by_name(name)
            .expect("a column")
            .as_primitive::<TimestampNanosecondType>();
        column.is_valid(row).then(|| column.value(row) / 1_000_000_000)
    };
    let (source, state) = (text("source"), text("state"));
    let row = |row| {
        let name = source.value(row).to_string();
        (
            name,
            state.value(row).to_string(),
            time("watermark", row),
            time("open_window_end", row),
        )
    };
    (0..batch.num_rows()).map(row).collect()
}

#[tokio::test]
async fn a_silent_source_holds_the_windows_until_its_time_out() {
    let streams = streams([5, 0]).await;
    let query = streams
        .engine
        .query(&format!("{COUNTS} IDLE TIMEOUT INTERVAL '30' SECOND"))
        .await;
    let query = query.expect("a query");
    let (mut updates, mut seen) = (query.stream(), BTreeMap::new());
    streams.send(0, &[1, 4, 9, 7, 16, 21, 33, 2]).await;
    streams.step(1).await;
    shown(&mut updates, &mut seen);
    assert_eq!(seen, BTreeMap::new(), "nobody knows how far `quiet` is");
    let held = stands(&progress(&streams.engine).await);
    let of = |name: &str, state: &str, watermark, open| (name.to_string(), state.to_string(), watermark, open);
    assert_eq!(
        held,
        [
            of("clicks", "quiet", Some(28), None),
            of("quiet", "quiet", None, Some(10))
        ]
    );
    assert!(hints(&progress(&streams.engine).await)[1].2.ends_with("quiet for 30s"));
    streams.handles[0].close();
    streams.step(29).await;
    shown(&mut updates, &mut seen);
    assert_eq!(seen, BTreeMap::new(), "29 of 30 seconds have gone");
    streams.step(1).await;
    shown(&mut updates, &mut seen);
    assert_eq!(
        seen,
        BTreeMap::from([(10, 4), (20, 1)]),
        "W is 28, the largest that any split reached"
    );
    let held = stands(&progress(&streams.engine).await);
    assert_eq!(
        held,
        [of("clicks", "ended", Some(28), None), of("quiet", "idle", None, None)]
    );
    // It comes back: a row behind the floor is late, one ahead of it is not.
    streams.send(1, &[3, 29]).await;
    streams.step(1).await;
    streams.handles[1].close();
    streams.step(1).await;
    while let Some(update) = updates.next().await {
        seen.extend(counts(&update.expect("rows").batch));
    }
    assert_eq!(seen, BTreeMap::from([(10, 4), (20, 1), (30, 2), (40, 1)]));
    assert_eq!(query.summary().late, 2, "02 of clicks, 03 of quiet");
}

/// Per row of SHOW PROGRESS: source, split, and the hint.
fn hints(batch: &RecordBatch) -> Vec<(String, String, String)> {
    let text = |name: &str| batch.column_by_name(name).expect("a column").as_string::<i32>().clone();
    let (source, split, hint) = (text("source"), text("split"), text("hint"));
    let words = |row| match hint.is_valid(row) {
        true => hint.value(row).to_string(),
        false => String::new(),
    };
    let row = |row| (source.value(row).to_string(), split.value(row).to_string(), words(row));
    (0..batch.num_rows()).map(row).collect()
}

#[tokio::test]
async fn progress_says_what_would_help() {
    let streams = streams([0, 0]).await;
    let engine = &streams.engine;
    engine
        .execute(
            "CREATE TABLE empty (n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
             CREATE TABLE plain (n BIGINT)",
        )
        .await
        .expect("tables");
    let text = COUNTS.replace("SELECT ts FROM quiet", "SELECT ts FROM empty");
    let mut script = engine.script(&format!(
        "CREATE TABLE c (e TIMESTAMP(3), n BIGINT); INSERT INTO c {text}; INSERT INTO plain SELECT n FROM quiet; \
         CREATE TABLE d (e TIMESTAMP(3), n BIGINT); INSERT INTO d {COUNTS}"
    ));
    while let Some(outcome) = script.as_mut().expect("a script").next().await {
        outcome.expect("a start");
    }
    streams.send(0, &[1, 25]).await;
    streams.step(1).await;
    let shown = hints(&progress(engine).await);
    assert_eq!((shown[0].0.as_str(), shown[0].2.as_str()), ("clicks", ""));
    assert_eq!((shown[1].0.as_str(), shown[1].1.as_str()), ("empty", "none"));
    assert!(shown[1].2.contains("which no IDLE TIMEOUT passes over"), "{shown:?}");
    assert_eq!(
        (shown[2].0.as_str(), shown[2].2.as_str()),
        ("quiet", ""),
        "no windows wait"
    );
    assert!(shown[4].2.contains("IDLE TIMEOUT INTERVAL '10' SECOND"), "{shown:?}");
}

#[tokio::test]
async fn each_query_has_its_own_time_out() {
    let streams = streams([0, 0]).await;
    streams
        .engine
        .execute("SET idle_timeout = '5s'")
        .await
        .expect("a setting");
    let short = streams.engine.query(COUNTS).await.expect("a query");
    let never = streams
        .engine
        .query(&format!("{COUNTS} IDLE TIMEOUT INTERVAL '0' SECOND"))
        .await
        .expect("a query");
    let (mut of_short, mut of_never) = (short.stream(), never.stream());
    let (mut by_short, mut by_never) = (BTreeMap::new(), BTreeMap::new());
    streams.send(0, &[1, 25]).await;
    for _ in 0..4 {
        streams.step(3).await;
    }
    streams.send(0, &[35]).await;
    streams.step(1).await;
    shown(&mut of_short, &mut by_short);
    shown(&mut of_never, &mut by_never);
    assert_eq!(
        (by_short, by_never),
        (BTreeMap::from([(10, 1), (30, 1)]), BTreeMap::new())
    );
}

/// What a table holds: window end in seconds, count.
async fn held(engine: &Engine, table: &str) -> BTreeMap<i64, i64> {
    let query = engine.query(&format!("SELECT * FROM {table}")).await.expect("a query");
    let mut updates = query.stream();
    for _ in 0..4 {
        engine.step().await.expect("an engine without timer");
    }
    let mut all = BTreeMap::new();
    shown(&mut updates, &mut all);
    all
}

/// An INSERT is a split. One that begins when a window has closed without a quiet one is judged by that window.
#[tokio::test]
async fn a_split_that_appears_is_judged_by_what_has_been_shown() {
    let streams = streams([0, 0]).await;
    let engine = &streams.engine;
    let text = "CREATE TABLE both (n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
                CREATE TABLE counts (window_end TIMESTAMP(3), n BIGINT);
                INSERT INTO both SELECT * FROM clicks;
                INSERT INTO both SELECT * FROM quiet;
                INSERT INTO counts SELECT window_end, count(*) FROM TUMBLE(both, ts, INTERVAL '10 seconds')
                GROUP BY window_end IDLE TIMEOUT INTERVAL '5' SECOND";
    engine.execute(text).await.expect("tables and what fills them");
    streams.send(0, &[5, 25]).await;
    streams.send(1, &[3]).await;
    for _ in 0..4 {
        streams.step(1).await;
    }
    assert_eq!(
        held(engine, "counts").await,
        BTreeMap::new(),
        "the second split stands at 3"
    );
    // It falls quiet, the first goes on.
    for _ in 0..8 {
        streams.send(0, &[25]).await;
        streams.step(2).await;
    }
    assert_eq!(held(engine, "counts").await, BTreeMap::from([(10, 2)]));
    let insert = "INSERT INTO both VALUES (7, '1970-01-01T00:00:07'), (22, '1970-01-01T00:00:22')";
    engine.execute(insert).await.expect("rows");
    streams.send(0, &[31]).await;
    for _ in 0..8 {
        streams.step(2).await;
    }
    assert_eq!(held(engine, "counts").await, BTreeMap::from([(10, 2), (30, 10)]));
    let late = engine
        .query("SELECT n FROM late_rows('counts')")
        .await
        .expect("a query");
    let late = late.collect().await.expect("rows");
    let late: usize = late.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(late, 1, "07 came for a window that had been shown");
}

/// What comes of a split in an interval: a watermark that stands before the rows, and those.
#[derive(Default)]
struct Came {
    watermark: Option<i64>,
    rows: Vec<i64>,
}

/// The rules of docs/time.md for two sources of one split each, written down once more.
#[derive(Default)]
struct Model {
    splits: [Split; 2],
    /// Rows that were in time: second, per window end.
    counts: BTreeMap<i64, i64>,
    late: u64,
}

#[derive(Clone, Copy)]
struct Split {
    own: i64,
    floor: i64,
    idle: bool,
    quiet_since: i64,
    watermark: i64,
}

impl Default for Split {
    fn default() -> Self {
        Split {
            own: i64::MIN,
            floor: i64::MIN,
            idle: false,
            quiet_since: 0,
            watermark: i64::MIN,
        }
    }
}

impl Model {
    fn step(&mut self, clock: i64, first: bool, came: &[Came; 2], delays: [i64; 2], timeout: i64) {
        for ((split, came), delay) in self.splits.iter_mut().zip(came).zip(delays) {
            if !came.rows.is_empty() || came.watermark.is_some() || first {
                split.quiet_since = clock;
            }
            let idle = clock - split.quiet_since >= timeout;
            if split.idle && !idle {
                split.floor = split.floor.max(split.watermark);
            }
            split.idle = idle;
            split.own = split.own.max(came.watermark.unwrap_or(i64::MIN));
            for ts in &came.rows {
                let end = ts.div_euclid(10) * 10 + 10;
                match end <= split.own.max(split.floor) {
                    true => self.late += 1,
                    false => *self.counts.entry(end).or_default() += 1,
                }
                split.own = split.own.max(ts - delay);
            }
        }
        let live = self.splits.iter().filter(|s| !s.idle).map(|s| s.own.max(s.floor)).min();
        let reached = self.splits.iter().map(|s| s.own).max().unwrap_or(i64::MIN);
        for split in &mut self.splits {
            let watermark = match split.idle {
                true => live.unwrap_or(reached),
                false => split.own.max(split.floor),
            };
            split.watermark = split.watermark.max(watermark);
        }
    }

    fn shown(&self) -> BTreeMap<i64, i64> {
        let watermark = self.splits.iter().map(|s| s.watermark).min().unwrap_or(i64::MIN);
        self.counts.range(..=watermark).map(|(end, n)| (*end, *n)).collect()
    }
}

#[tokio::test]
async fn idle_splits_follow_the_rules_after_every_interval() {
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let delays = [rng.below(8) as i64, rng.below(8) as i64];
        let timeout = 1 + rng.below(6) as i64;
        let streams = streams(delays).await;
        let query = streams
            .engine
            .query(&format!("{COUNTS} IDLE TIMEOUT INTERVAL '{timeout}' SECOND"))
            .await;
        let query = query.expect("a query");
        let (mut updates, mut seen) = (query.stream(), BTreeMap::new());
        let (mut model, mut clock) = (Model::default(), 0);
        for step in 0..40 {
            let after = rng.below(4);
            clock += after as i64;
            let mut came: [Came; 2] = Default::default();
            for (stream, came) in came.iter_mut().enumerate() {
                if rng.below(10) == 0 {
                    let watermark = step * 3 + rng.below(20) as i64;
                    came.watermark = Some(watermark);
                    streams.handles[stream].watermark(watermark * 1_000_000_000);
                }
                // A stream is silent for a while, now and then.
                if rng.below(10) < 4 {
                    came.rows
                        .extend((0..1 + rng.below(4)).map(|_| step * 3 + rng.below(30) as i64));
                    streams.send(stream, &came.rows).await;
                }
            }
            streams.step(after).await;
            model.step(clock, step == 0, &came, delays, timeout);
            if rng.below(3) == 0 {
                let batches = query.batches();
                batches.iter().for_each(|id| assert!(query.lose(*id)));
            }
            shown(&mut updates, &mut seen);
            assert_eq!(seen, model.shown(), "seed {seed}, step {step}");
        }
        streams.handles.iter().for_each(PushHandle::close);
        streams.step(1).await;
        while let Some(update) = updates.next().await {
            seen.extend(counts(&update.expect("rows").batch));
        }
        assert_eq!(seen, model.counts, "seed {seed}");
        assert_eq!(query.summary().late, model.late, "seed {seed}");
    }
}
