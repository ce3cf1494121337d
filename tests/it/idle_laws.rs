//! Several splits per source that fall quiet, come back, appear and end at random, against the rules of docs/time.md
//! written down once more.

use crate::idle::counts;
use crate::laws::data::Rng;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use waterwheel::connectors::push::PushHandle;
use waterwheel::{Engine, ManualClock, Outcome, Query};

const SOURCES: usize = 2;
const STEPS: usize = 40;

/// How windows lie, in seconds; windows of ten by ten do not overlap.
#[derive(Clone, Copy)]
struct Windows {
    slide: i64,
    size: i64,
}

impl Windows {
    fn ends(self, ts: i64) -> impl Iterator<Item = i64> {
        let first = ts.div_euclid(self.slide) * self.slide + self.slide;
        let last = (ts.div_euclid(self.slide) * self.slide) + self.size;
        (first..=last).step_by(self.slide as usize)
    }

    fn query(self, timeout: i64) -> String {
        let Windows { slide, size } = self;
        format!(
            "SELECT window_end, count(*) AS n FROM HOP((SELECT ts FROM t0 UNION ALL SELECT ts FROM t1), ts, \
             INTERVAL '{slide}' SECOND, INTERVAL '{size}' SECOND) GROUP BY window_start, window_end \
             IDLE TIMEOUT INTERVAL '{timeout}' SECOND"
        )
    }
}

/// What one query makes of the intervals.
struct Model {
    windows: Windows,
    delays: [i64; SOURCES],
    timeout: i64,
    splits: BTreeMap<usize, Split>,
    /// The watermark of each source.
    reached: [i64; SOURCES],
    intervals: u64,
    /// Rows that were in time, per window end.
    counts: BTreeMap<i64, i64>,
    late: u64,
    late_partial: u64,
}

struct Split {
    source: usize,
    own: i64,
    floor: i64,
    quiet_since: i64,
    idle: bool,
    ended: bool,
}

/// What an interval holds of a split that is known by then.
#[derive(Clone, Default)]
struct Came {
    source: usize,
    rows: Vec<i64>,
    ended: bool,
}

impl Model {
    fn new(windows: Windows, delays: [i64; SOURCES], timeout: i64) -> Model {
        Model {
            windows,
            delays,
            timeout,
            splits: BTreeMap::new(),
            reached: [i64::MIN; SOURCES],
            intervals: 0,
            counts: BTreeMap::new(),
            late: 0,
            late_partial: 0,
        }
    }

    fn step(&mut self, clock: i64, came: &BTreeMap<usize, Came>) {
        for (id, came) in came {
            let before = self.reached[came.source];
            let appears = || Split {
                source: came.source,
                own: i64::MIN,
                floor: if self.intervals > 0 { before } else { i64::MIN },
                quiet_since: clock,
                idle: false,
                ended: false,
            };
            let split = self.splits.entry(*id).or_insert_with(appears);
            if !came.rows.is_empty() {
                split.quiet_since = clock;
            }
            split.ended |= came.ended;
            let idle = !split.ended && clock - split.quiet_since >= self.timeout;
            if split.idle && !idle {
                split.floor = split.floor.max(before);
            }
            split.idle = idle;
            for ts in &came.rows {
                let watermark = split.own.max(split.floor);
                let (refused, taken): (Vec<i64>, Vec<i64>) = self.windows.ends(*ts).partition(|end| *end <= watermark);
                self.late += u64::from(taken.is_empty());
                self.late_partial += u64::from(!taken.is_empty() && !refused.is_empty());
                for end in taken {
                    *self.counts.entry(end).or_default() += 1;
                }
                split.own = split.own.max(ts - self.delays[split.source]);
            }
        }
        self.intervals += 1;
        self.advance();
    }

    fn advance(&mut self) {
        let live = |source: usize| self.splits.values().filter(move |s| s.source == source && !s.ended);
        let awake = |source: usize| {
            let awake = live(source).filter(|s| !s.idle);
            awake.map(|s| s.own.max(s.floor)).min()
        };
        let own: [Option<i64>; SOURCES] = std::array::from_fn(|source| {
            let least = awake(source)?;
            Some(self.reached[source].max(least))
        });
        let greatest = self.splits.values().map(|s| s.own).max().unwrap_or(i64::MIN);
        let followed = own.iter().flatten().min().copied().unwrap_or(greatest);
        let sleeps: [bool; SOURCES] = std::array::from_fn(|source| own[source].is_none() && live(source).count() > 0);
        for source in 0..SOURCES {
            let watermark = own[source].or(sleeps[source].then_some(followed));
            self.reached[source] = watermark.map_or(self.reached[source], |w| self.reached[source].max(w));
        }
    }

    fn shown(&self) -> BTreeMap<i64, i64> {
        let watermark = self.reached.iter().min().copied().unwrap_or(i64::MIN);
        self.counts.range(..=watermark).map(|(end, n)| (*end, *n)).collect()
    }
}

/// A split of the plan: an INSERT from a push source of its own.
struct Planned {
    source: usize,
    appears: usize,
    ends: usize,
    handle: PushHandle,
    is_there: bool,
    ended: bool,
}

struct Bench {
    engine: Engine,
    clock: ManualClock,
    clock_s: i64,
    splits: Vec<Planned>,
    /// Programs step in the order of their start: what an INSERT gives that began behind the queries comes a step later.
    on_the_way: BTreeMap<usize, Came>,
}

impl Bench {
    async fn new(rng: &mut Rng, delays: [i64; SOURCES]) -> Bench {
        let clock = ManualClock::at_ns(0);
        let engine = Engine::manual_at(&clock);
        let mut splits = Vec::new();
        for (source, delay) in delays.iter().enumerate() {
            let table = format!(
                "CREATE TABLE t{source} (n BIGINT, ts TIMESTAMP(3), \
                 WATERMARK FOR ts AS ts - INTERVAL '{delay}' SECOND)"
            );
            engine.execute(&table).await.expect("a table");
            for _ in 0..1 + rng.below(3) {
                let name = format!("s{}", splits.len());
                let create = format!("CREATE SOURCE {name} (n BIGINT, ts TIMESTAMP(3)) WITH (connector = 'push')");
                engine.execute(&create).await.expect("a source");
                let appears = [0, rng.below(20) as usize][rng.below(2) as usize];
                let ends = [STEPS, appears + 1 + rng.below(20) as usize][rng.below(3) as usize / 2];
                let handle = engine.push_source(&name).expect("a handle");
                splits.push(Planned {
                    source,
                    appears,
                    ends,
                    handle,
                    is_there: false,
                    ended: false,
                });
            }
        }
        for table in ["c0", "c1", "c2"] {
            let create = format!("CREATE TABLE {table} (e TIMESTAMP(3), n BIGINT)");
            engine.execute(&create).await.expect("a table");
        }
        Bench {
            engine,
            clock,
            clock_s: 0,
            splits,
            on_the_way: BTreeMap::new(),
        }
    }

    /// Starts the splits that appear at a step.
    async fn appear(&mut self, step: usize) {
        for id in 0..self.splits.len() {
            if self.splits[id].appears == step {
                let insert = format!("INSERT INTO t{} SELECT * FROM s{id}", self.splits[id].source);
                self.engine.execute(&insert).await.expect("an INSERT");
                self.splits[id].is_there = true;
            }
        }
    }

    /// Gives a split its rows of a step, and its end.
    async fn feed(&mut self, rng: &mut Rng, step: usize, id: usize) -> Came {
        let split = &mut self.splits[id];
        let mut came = Came {
            source: split.source,
            ..Came::default()
        };
        if (split.appears..=split.ends).contains(&step) && rng.below(10) < 4 {
            came.rows
                .extend((0..1 + rng.below(4)).map(|_| step as i64 * 3 + rng.below(30) as i64));
            let columns: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from(came.rows.clone())),
                Arc::new(TimestampMillisecondArray::from_iter_values(
                    came.rows.iter().map(|s| s * 1_000),
                )),
            ];
            let batch = RecordBatch::try_new(split.handle.schema(), columns).expect("two columns");
            split.handle.send(batch).await.expect("an open source");
        }
        split.ended = step >= split.ends;
        came.ended = split.ended;
        if step == split.ends {
            split.handle.close();
        }
        came
    }

    /// Starts what the texts insert, as one program.
    async fn start(&self, inserts: &str) -> Vec<Query> {
        let mut script = self.engine.script(inserts).expect("statements");
        let mut queries = Vec::new();
        while let Some(outcome) = script.next().await {
            match outcome.expect("a start") {
                Outcome::Started(query) => queries.push(query),
                _ => panic!("an INSERT starts a query"),
            }
        }
        queries
    }

    /// Runs an interval of all programs, and of the models. What came behind the queries in the interval before comes now,
    /// `fed` comes in this one or, to splits that began behind the queries, in the next.
    async fn step(&mut self, models: &mut [Model], mut fed: BTreeMap<usize, Came>) {
        let mut came = std::mem::take(&mut self.on_the_way);
        for (id, split) in self.splits.iter().enumerate().filter(|(_, s)| s.is_there) {
            let nothing = Came {
                source: split.source,
                rows: Vec::new(),
                ended: split.ended,
            };
            let fed = fed.remove(&id).unwrap_or(nothing.clone());
            if split.appears == 0 {
                came.insert(id, fed);
            } else {
                came.entry(id).or_insert(Came {
                    ended: false,
                    ..nothing
                });
                self.on_the_way.insert(id, fed);
            }
        }
        self.engine.step().await.expect("an engine without timer");
        models.iter_mut().for_each(|model| model.step(self.clock_s, &came));
    }

    /// What a table holds. To read it takes an interval.
    async fn held(&mut self, table: &str, models: &mut [Model]) -> BTreeMap<i64, i64> {
        let query = self
            .engine
            .query(&format!("SELECT * FROM {table}"))
            .await
            .expect("a query");
        let (mut updates, mut all) = (query.stream(), BTreeMap::new());
        self.step(models, BTreeMap::new()).await;
        while let Some(update) = updates.next().await {
            all.extend(counts(&update.expect("rows").batch));
        }
        all
    }
}

async fn run(seed: u64) {
    let mut rng = Rng::new(seed);
    let delays = [rng.below(8) as i64, rng.below(8) as i64];
    let windows = Windows {
        slide: [10, 5][rng.below(2) as usize],
        size: 10,
    };
    let timeouts: [i64; 3] = std::array::from_fn(|_| 1 + rng.below(6) as i64);
    let mut models = timeouts.map(|timeout| Model::new(windows, delays, timeout));
    let mut bench = Bench::new(&mut rng, delays).await;
    bench.appear(0).await;
    let inserts: [String; 3] = std::array::from_fn(|at| format!("INSERT INTO c{at} {};", windows.query(timeouts[at])));
    let alone = bench.start(&inserts[0]).await.remove(0);
    bench.start(&inserts[1..].concat()).await;
    for step in 0..=STEPS {
        let after = rng.below(4);
        bench.clock_s += after as i64;
        bench.clock.advance(Duration::from_secs(after));
        if step > 0 {
            bench.appear(step).await;
        }
        let mut fed = BTreeMap::new();
        for id in 0..bench.splits.len() {
            if bench.splits[id].is_there {
                fed.insert(id, bench.feed(&mut rng, step, id).await);
            }
        }
        bench.step(&mut models, fed).await;
        if rng.below(3) == 0 {
            let batches = alone.batches();
            batches.iter().for_each(|id| assert!(alone.lose(*id)));
        }
        // What is shown when the table is read was shown before it was.
        let wanted = models[0].shown();
        assert_eq!(bench.held("c0", &mut models).await, wanted, "seed {seed}, step {step}");
    }
    for (table, at) in [("c1", 1), ("c2", 2)] {
        let wanted = models[at].shown();
        assert_eq!(bench.held(table, &mut models).await, wanted, "seed {seed}, {table}");
    }
    let summary = alone.summary();
    let late = (models[0].late, models[0].late_partial);
    assert_eq!((summary.late, summary.late_partial), late, "seed {seed}");
}

#[tokio::test]
async fn splits_that_fall_quiet_appear_and_end_follow_the_rules_after_every_interval() {
    let seeds = match std::env::var("WATERWHEEL_SEED").map(|seed| seed.parse()) {
        Ok(Ok(seed)) => seed..seed + 1,
        _ => 0..16,
    };
    for seed in seeds {
        run(seed).await;
    }
}
