//! Nexmark over Parquet files on disk: Waterwheel and plain DataFusion on the same files, turn by turn.
//!
//!     cargo bench --bench nexmark -- [--events 10000000] [--repeat 3] [--query q5]
//!
//! Owns: the measurement. Both sides run as processes of their own, start-up included; wall time is the median of the
//! repetitions, and so is the CPU time. A query whose two sides disagree on the number of rows is a failure. Behind the
//! queries come pairs of ours, which show that what should cost little more does.
//! Start reading at [`main`]; what is asked is in `queries`, what is read in `bids`.

#[path = "nexmark/bids.rs"]
mod bids;
#[path = "nexmark/queries.rs"]
mod queries;
#[path = "nexmark/run.rs"]
mod run;

use queries::{PAIRS, Pair, QUERIES, Query};
use run::Measured;
use std::error::Error;
use std::io::ErrorKind;
use std::path::Path;

/// DataFusion runs below this are so short that the intervals' own cost shows: it is taken off before comparing.
const SHORT_RUN_S: f64 = 0.3;

/// What an interval may cost by itself.
const PER_INTERVAL_S: f64 = 0.0003;

/// Fewer would be a batch by another name.
const INTERVALS_MIN: u64 = 100;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, sql, files] = arguments.as_slice()
        && flag == run::BATCH_FLAG
    {
        return run::batch(sql, files);
    }
    let wanted = Wanted::parse(&arguments)?;
    let files = bids::on_disk(wanted.events)?;
    println!(
        "{} events, {} bids, in {}",
        wanted.events,
        files.bids,
        files.folder.display()
    );
    println!(
        "{:5} {:>10} {:>9} {:>9} {:>11}   {:>9} {:>9} {:>11}   {:>8} {:>8}",
        "query", "intervals", "wall s", "cpu s", "rows/s", "batch s", "cpu s", "rows/s", "ours/df", "bar"
    );
    let mut failed = false;
    for query in QUERIES.iter().filter(|q| wanted.has(q.name)) {
        let compared = compare(query, &files, wanted.repeat)?;
        failed |= !compared.holds();
        println!("{}", compared.line(query, files.bids));
    }
    for pair in PAIRS.iter().filter(|p| wanted.has(p.name)) {
        failed |= !pair_holds(pair, &files, wanted.repeat)?;
    }
    if failed {
        Err("a bar was missed, or the two sides disagree".into())
    } else {
        Ok(())
    }
}

/// What the command line asks for.
struct Wanted {
    events: u64,
    repeat: usize,
    query: Option<String>,
}

impl Wanted {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut wanted = Wanted {
            events: 10_000_000,
            repeat: 3,
            query: None,
        };
        // Cargo adds `--bench` to what the user gave.
        let mut rest = arguments.iter().filter(|a| *a != "--bench");
        while let Some(flag) = rest.next() {
            let value = rest.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--events" => wanted.events = value.replace('_', "").parse()?,
                "--repeat" => wanted.repeat = value.parse::<usize>()?.max(1),
                "--query" => wanted.query = Some(value.clone()),
                _ => return Err(format!("no option {flag}; there are --events, --repeat, --query").into()),
            }
        }
        Ok(wanted)
    }

    fn has(&self, name: &str) -> bool {
        self.query.as_deref().is_none_or(|wanted| wanted == name)
    }
}

/// Both sides of one query.
struct Compared {
    ours: Measured,
    batch: Measured,
    /// Our wall time over DataFusion's, after what short runs are allowed.
    ratio: f64,
    bar: f64,
}

fn compare(query: &Query, files: &bids::Files, repeat: usize) -> Result<Compared> {
    let out = Path::new(bids::FOLDER).join("out");
    let into = |text: &str| text.replace(queries::OUT, &out.to_string_lossy());
    let script = write_script(query.name, query.stream, &into(query.sink), files)?;
    let folder = files.folder.to_str().ok_or("the folder's name is not text")?;
    let (mut ours, mut batch) = (Vec::new(), Vec::new());
    for _ in 0..repeat {
        clear(&out)?;
        ours.push(run::waterwheel(&script)?);
        clear(&out)?;
        batch.push(run::datafusion(&into(query.batch), folder)?);
    }
    clear(&out)?;
    let (ours, batch) = (run::median(ours)?, run::median(batch)?);
    let short = batch.wall_s < SHORT_RUN_S;
    let allowed = if short {
        PER_INTERVAL_S * ours.intervals as f64
    } else {
        0.0
    };
    Ok(Compared {
        ratio: (ours.wall_s - allowed) / batch.wall_s,
        bar: query.bar,
        ours,
        batch,
    })
}

/// Removes what a run has written, if it has.
fn clear(out: &Path) -> Result<()> {
    match std::fs::remove_dir_all(out) {
        Err(why) if why.kind() != ErrorKind::NotFound => Err(why.into()),
        _ => Ok(()),
    }
}

/// Runs both streams of a pair, turn by turn, and prints how they compare.
fn pair_holds(pair: &Pair, files: &bids::Files, repeat: usize) -> Result<bool> {
    let script = write_script(pair.name, pair.stream, queries::DISCARD, files)?;
    let against = write_script(&format!("{}-against", pair.name), pair.against, queries::DISCARD, files)?;
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for _ in 0..repeat {
        ours.push(run::waterwheel(&script)?);
        others.push(run::waterwheel(&against)?);
    }
    let (ours, other) = (run::median(ours)?, run::median(others)?);
    let ratio = ours.wall_s / other.wall_s;
    let verdict = if ratio <= pair.bar { "" } else { "  MISSED" };
    println!(
        "{:5} {:>10} {:>9.3} {:>9.2}   against {:>9.3} {:>9.2}   rows {} and {}   ratio {:.3}, bar {:.3}{verdict}",
        pair.name,
        ours.intervals,
        ours.wall_s,
        ours.cpu_s,
        other.wall_s,
        other.cpu_s,
        ours.rows,
        other.rows,
        ratio,
        pair.bar,
    );
    Ok(ratio <= pair.bar)
}

fn write_script(name: &str, sql: &str, sink: &str, files: &bids::Files) -> Result<std::path::PathBuf> {
    // As large as the default allows, and small enough for the least number of intervals.
    let rows = (files.bids / (INTERVALS_MIN + INTERVALS_MIN / 10)).clamp(1, 65_536);
    let text = queries::script(sql, sink, &files.folder, rows);
    let path = Path::new(bids::FOLDER).join(format!("{name}.sql"));
    std::fs::write(&path, text)?;
    Ok(path)
}

impl Compared {
    fn holds(&self) -> bool {
        self.ratio <= self.bar && self.ours.rows == self.batch.rows && self.ours.intervals >= INTERVALS_MIN
    }

    fn line(&self, query: &Query, bids: u64) -> String {
        let per_second = |side: &Measured| bids as f64 / side.wall_s;
        let verdict = if self.holds() { "" } else { "  MISSED" };
        let rows = match self.ours.rows == self.batch.rows {
            true => String::new(),
            false => format!("  rows {} against {}", self.ours.rows, self.batch.rows),
        };
        format!(
            "{:5} {:>10} {:>9.3} {:>9.2} {:>11.0}   {:>9.3} {:>9.2} {:>11.0}   {:>8.3} {:>8.3}{verdict}{rows}",
            query.name,
            self.ours.intervals,
            self.ours.wall_s,
            self.ours.cpu_s,
            per_second(&self.ours),
            self.batch.wall_s,
            self.batch.cpu_s,
            per_second(&self.batch),
            self.ratio,
            self.bar,
        )
    }
}
