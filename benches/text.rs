//! Reading CSV and JSON lines: Waterwheel and plain DataFusion on the same file, turn by turn.
//!
//!     cargo bench --bench text -- [--events 5000000] [--repeat 3]
//!
//! Owns: the measurement. Every column of every row is decoded and given away. Both sides run as processes of their own,
//! with the same declared columns; wall time is the median of the repetitions. A side that gives another number of rows
//! is a failure. Start reading at [`main`].

#[path = "nexmark/run.rs"]
mod run;

use std::error::Error;
use std::path::{Path, PathBuf};

/// Where everything that this benchmark writes goes.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/text-bench");

/// Our wall time over that of DataFusion's own reader.
const BAR: f64 = 1.4;

const COLUMNS: &str = "auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, \
                       date_time TIMESTAMP, extra VARCHAR";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [flag, sql, files] = arguments.as_slice()
        && flag == run::BATCH_FLAG
    {
        return run::batch(sql, files);
    }
    let (mut events, mut repeat) = (5_000_000u64, 3usize);
    for pair in arguments.chunks(2) {
        match pair {
            [flag, value] if flag == "--events" => events = value.replace('_', "").parse()?,
            [flag, value] if flag == "--repeat" => repeat = value.parse::<usize>()?.max(1),
            _ => return Err("the options are --events and --repeat, each with a number".into()),
        }
    }
    println!(
        "{:6} {:>10} {:>9} {:>9} {:>9}   {:>9} {:>9}   {:>8} {:>8}",
        "format", "rows", "intervals", "wall s", "cpu s", "df s", "cpu s", "ours/df", "bar"
    );
    let mut missed = false;
    for format in ["csv", "json"] {
        let file = on_disk(format, events)?;
        let script = write_script(format, &file)?;
        let options = if format == "csv" {
            " OPTIONS ('format.has_header' 'true')"
        } else {
            ""
        };
        let declared = format!(
            "CREATE EXTERNAL TABLE bid ({COLUMNS}) STORED AS {format} LOCATION '{}'{options}",
            file.display()
        );
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..repeat {
            ours.push(run::waterwheel(&script)?);
            theirs.push(run::datafusion("SELECT * FROM bid", &declared)?);
        }
        let (ours, theirs) = (run::median(ours)?, run::median(theirs)?);
        let ratio = ours.wall_s / theirs.wall_s;
        let holds = ratio <= BAR && ours.rows == theirs.rows;
        missed |= !holds;
        println!(
            "{format:6} {:>10} {:>9} {:>9.3} {:>9.2}   {:>9.3} {:>9.2}   {ratio:>8.3} {BAR:>8.3}{}",
            ours.rows,
            ours.intervals,
            ours.wall_s,
            ours.cpu_s,
            theirs.wall_s,
            theirs.cpu_s,
            if holds { "" } else { "  MISSED" }
        );
    }
    if missed {
        Err("a bar was missed, or the two sides disagree".into())
    } else {
        Ok(())
    }
}

/// The bids of so many events as one file; written now if it is not there.
fn on_disk(format: &str, events: u64) -> Result<PathBuf> {
    std::fs::create_dir_all(FOLDER)?;
    let file = Path::new(FOLDER).join(format!("bids-{events}.{format}"));
    if !file.exists() {
        eprintln!("writing {}", file.display());
        let script = Path::new(FOLDER).join(format!("write-{format}.sql"));
        let text = format!(
            "CREATE SOURCE bid WITH (connector = 'nexmark', type = 'bid', events = {events});\n\
             CREATE SINK file WITH (connector = 'file', path = '{}');\n\
             INSERT INTO file SELECT auction, bidder, price, channel, url, date_time, extra FROM bid;\n",
            file.display()
        );
        std::fs::write(&script, text)?;
        // The file appears when it is whole.
        run::waterwheel(&script)?;
    }
    Ok(file)
}

fn write_script(format: &str, file: &Path) -> Result<PathBuf> {
    let script = Path::new(FOLDER).join(format!("read-{format}.sql"));
    let text = format!(
        "SET parallelism = {};\n\
         CREATE SOURCE bid ({COLUMNS}) WITH (connector = 'file', path = '{}');\n\
         CREATE SINK discard WITH (connector = 'blackhole');\n\
         INSERT INTO discard SELECT * FROM bid;\n",
        run::THREADS,
        file.display()
    );
    std::fs::write(&script, text)?;
    Ok(script)
}
