//! The law harness: any query, any input, any cut into intervals, any number of partitions, any loss of batches give the
//! same answer, that of DataFusion's batch over the rows that are in time; and after every interval the answer so far is
//! that of the rows so far.
//!
//! Start reading at [`law`]; a case is a streaming query and the SQL of its oracle. `WATERWHEEL_LONG=1` tries more seeds
//! and all combinations; `WATERWHEEL_SEED=n` tries one.

mod answer;
mod arrival_cases;
mod batch_cases;
mod calendar_cases;
mod chance_cases;
mod closed_cases;
pub mod data;
mod dstream_cases;
mod faults;
mod feed;
pub mod functions;
mod future_cases;
mod late_cases;
mod number_cases;
mod oracle;
mod pruning_cases;
mod session_cases;
mod stream_cases;
mod window_cases;

use answer::Answer;
use data::{Rng, Shape, Spread, Table};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::TimeUnit;
use feed::Run;
use futures::StreamExt;
use oracle::Shown;
use std::path::Path;
use waterwheel::error::Result;
use waterwheel::{DStream, Engine, Query, Update};

/// A query and what its answer is measured by.
#[derive(Debug, Clone)]
pub struct Case {
    sql: String,
    /// The query by methods instead of SQL.
    stream: Option<fn(&Engine) -> Result<DStream>>,
    oracle: String,
    tables: Vec<&'static str>,
    /// Something is known before the input has ended.
    prefixes: bool,
    /// The rows must come in the oracle's order.
    ordered: bool,
    /// Also over ten thousand rows.
    large: bool,
    spread: Spread,
    /// Of the time column; any, if not given.
    unit: Option<TimeUnit>,
    /// Statements before the query.
    settings: Vec<String>,
}

impl Case {
    /// A query over the source `t`.
    pub fn new(sql: impl Into<String>, oracle: impl Into<String>) -> Case {
        Case {
            sql: sql.into(),
            stream: None,
            oracle: oracle.into(),
            tables: vec!["t"],
            prefixes: true,
            ordered: false,
            large: true,
            spread: Spread::Minutes,
            unit: None,
            settings: Vec::new(),
        }
    }

    /// The same as a D-Stream.
    pub fn of_stream(stream: fn(&Engine) -> Result<DStream>, oracle: impl Into<String>) -> Case {
        Case {
            stream: Some(stream),
            ..Case::new("(by methods)", oracle)
        }
    }

    async fn start(&self, engine: &Engine) -> Result<Query> {
        match self.stream {
            Some(stream) => stream(engine)?.query().await,
            None => engine.query(&self.sql).await,
        }
    }

    /// Over two sources, `t` and `u`, which have delays of their own.
    pub fn over_two(mut self) -> Case {
        self.tables.push("u");
        self
    }

    /// Has an answer only when its input has ended, or is looked at only then.
    pub fn at_end(mut self) -> Case {
        self.prefixes = false;
        self
    }

    pub fn ordered(mut self) -> Case {
        self.ordered = true;
        self
    }

    /// Rows over days or months.
    pub fn spread(mut self, spread: Spread) -> Case {
        self.spread = spread;
        self
    }

    pub fn unit(mut self, unit: TimeUnit) -> Case {
        self.unit = Some(unit);
        self
    }

    pub fn set(mut self, setting: &str, value: &str) -> Case {
        self.settings.push(format!("SET {setting} = '{value}'"));
        self
    }

    pub fn small_only(mut self) -> Case {
        self.large = false;
        self
    }
}

pub fn is_long() -> bool {
    std::env::var("WATERWHEEL_LONG").is_ok_and(|v| v == "1")
}

fn seeds() -> Vec<u64> {
    match std::env::var("WATERWHEEL_SEED") {
        Ok(seed) => vec![seed.parse().expect("WATERWHEEL_SEED is a number")],
        Err(_) if is_long() => (0..40).collect(),
        Err(_) => (0..3).collect(),
    }
}

/// More rows than any test has.
const ALL: usize = 1_000_000;

fn runs(seed: u64) -> Vec<Run> {
    let of = |cut, parallelism, faults| Run {
        cut,
        parallelism,
        faults,
    };
    if !is_long() {
        return vec![
            of(1, 1, None),
            of(2, 4, None),
            of(7, 2, None),
            of(1000, 4, None),
            of(ALL, 1, None),
            of(1, 4, Some(seed)),
            of(2, 1, Some(seed)),
            of(7, 2, Some(seed)),
        ];
    }
    let mut all = Vec::new();
    for cut in [1, 2, 7, 1000, ALL] {
        for parallelism in [1, 2, 4] {
            all.extend([of(cut, parallelism, None), of(cut, parallelism, Some(seed))]);
        }
    }
    all
}

/// Checks both laws for a case, on random data of several seeds.
pub fn law(case: Case) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    for seed in seeds() {
        let folder = tempfile::tempdir().expect("a folder");
        if let Err(what) = runtime.block_on(check(&case, seed, folder.path())) {
            let test = std::thread::current().name().unwrap_or("laws").to_string();
            panic!(
                "{what}\n\n{}\n\noracle:\n{}\n\nWATERWHEEL_SEED={seed} cargo test --test it {test}\n",
                case.sql, case.oracle
            );
        }
    }
}

async fn check(case: &Case, seed: u64, folder: &Path) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let any = Shape::small(&mut rng, 3);
    let shape = Shape {
        spread: case.spread,
        unit: case.unit.unwrap_or(any.unit),
        ..any
    };
    let tables = make(case, &mut rng, shape);
    invariance(case, &tables, &runs(seed), &folder.join("small")).await?;
    if case.prefixes {
        let single = make(case, &mut rng, Shape { splits: 1, ..shape });
        for cut in [1, 7] {
            prefixes(case, &single, cut, folder).await?;
        }
    }
    // Large intervals run in several partitions.
    if case.large && (seed == 0 || is_long()) {
        let shape = Shape { rows: 10_000, ..shape };
        let tables = make(case, &mut rng, shape);
        let of = |cut, parallelism, faults| Run {
            cut,
            parallelism,
            faults,
        };
        let runs = [
            of(1000, 2, None),
            of(ALL, 1, None),
            of(ALL, 4, None),
            of(5_000, 4, Some(seed)),
        ];
        invariance(case, &tables, &runs, &folder.join("large")).await?;
    }
    Ok(())
}

fn make(case: &Case, rng: &mut Rng, shape: Shape) -> Vec<Table> {
    case.tables.iter().map(|name| data::table(name, rng, shape)).collect()
}

/// Every run gives the oracle's answer.
async fn invariance(case: &Case, tables: &[Table], runs: &[Run], folder: &Path) -> Result<(), String> {
    feed::write_files(tables, folder);
    let expected = expected(case, tables, Shown::All).await?;
    for run in runs {
        let found = async {
            let engine = feed::engine(*run, folder).await?;
            feed::declare_files(&engine, tables, folder).await?;
            set(case, &engine).await?;
            let query = case.start(&engine).await?;
            drive(&engine, &query, run.faults).await
        };
        let found = found.await.map_err(|e| format!("{run:?}: {e}"))?;
        let found = seen(case, &found);
        if let Some(difference) = found.difference(&expected, tolerance(tables)) {
            return Err(format!("{run:?}: {difference}\n{}", told(tables)));
        }
    }
    Ok(())
}

async fn set(case: &Case, engine: &Engine) -> Result<()> {
    for setting in &case.settings {
        engine.execute(setting).await?;
    }
    Ok(())
}

fn told(tables: &[Table]) -> String {
    let tell = |t: &Table| format!("{}: {:?}, delay {} ms, {} rows", t.name, t.unit, t.delay_ms, t.rows());
    tables.iter().map(tell).collect::<Vec<_>>().join("; ")
}

/// After every interval the answer so far is the oracle's over the rows so far.
async fn prefixes(case: &Case, tables: &[Table], cut: usize, folder: &Path) -> Result<(), String> {
    let run = Run {
        cut,
        parallelism: 2,
        faults: None,
    };
    let failed = |e| format!("cut {cut}: {e}");
    let engine = feed::engine(run, &folder.join("small")).await.map_err(failed)?;
    let mut handles = Vec::new();
    for table in tables {
        let create = table.create("connector = 'push'");
        engine.execute(&create).await.map_err(failed)?;
        handles.push(engine.push_source(table.name).map_err(failed)?);
    }
    set(case, &engine).await.map_err(failed)?;
    let query = case.start(&engine).await.map_err(failed)?;
    let mut stream = query.stream();
    for (table, handle) in tables.iter().zip(&handles) {
        // Batches of an odd size, so that cuts fall inside and between them.
        for rows in table.splits[0].chunks(5) {
            handle.send(table.batch(rows)).await.map_err(failed)?;
        }
    }
    let longest = tables.iter().map(Table::rows).max().unwrap_or(0);
    let mut found = Vec::new();
    for taken in (cut..longest + cut).step_by(cut) {
        engine.step().await.map_err(failed)?;
        while let Some(update) = stream.try_next() {
            found.push(update.map_err(failed)?);
        }
        let so_far: Vec<Table> = tables.iter().map(|t| t.prefix(taken)).collect();
        // Of None and a time the least is None: nothing is shown before every source has a watermark.
        let least = so_far.iter().map(|t| t.watermark(&t.splits[0])).min().flatten();
        let expected = expected(case, &so_far, Shown::UpTo(least)).await?;
        if let Some(difference) = seen(case, &found).difference(&expected, tolerance(tables)) {
            return Err(format!("after {taken} rows, cut {cut}: {difference}\n{}", told(tables)));
        }
    }
    drop(handles);
    engine.step().await.map_err(failed)?;
    while let Some(update) = stream.next().await {
        found.push(update.map_err(failed)?);
    }
    let expected = expected(case, tables, Shown::All).await?;
    match seen(case, &found).difference(&expected, tolerance(tables)) {
        Some(difference) => Err(format!("at the end, cut {cut}: {difference}\n{}", told(tables))),
        None => Ok(()),
    }
}

async fn expected(case: &Case, tables: &[Table], shown: Shown) -> Result<Answer, String> {
    let answer = oracle::answer(&case.oracle, tables, shown).await;
    let batches = answer.map_err(|e| format!("the oracle: {e}"))?;
    Ok(Answer::of(&batches, case.ordered))
}

fn seen(case: &Case, updates: &[Update]) -> Answer {
    let batches: Vec<RecordBatch> = updates.iter().map(|u| u.batch.clone()).collect();
    Answer::of(&batches, case.ordered)
}

fn tolerance(tables: &[Table]) -> f64 {
    1e-9 * (1.0 + tables.iter().map(Table::magnitude).sum::<f64>())
}

/// Steps until the query has ended; with `faults`, batches and states are lost between the steps.
pub async fn drive(engine: &Engine, query: &Query, faults: Option<u64>) -> Result<Vec<Update>> {
    let mut rng = faults.map(Rng::new);
    let mut stream = query.stream();
    let mut updates = Vec::new();
    loop {
        let before = query.summary().intervals;
        engine.step().await?;
        while let Some(update) = stream.try_next() {
            updates.push(update?);
        }
        if query.summary().intervals == before {
            break;
        }
        if let Some(rng) = &mut rng {
            for id in query.batches() {
                if rng.one_in(3) {
                    query.lose(id);
                }
            }
        }
    }
    while let Some(update) = stream.next().await {
        updates.push(update?);
    }
    Ok(updates)
}
