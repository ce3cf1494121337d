//! Running either side as a process of its own, and what it cost.

use super::Result;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::UInt64Type;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// Both sides get as many threads.
pub const THREADS: usize = 2;

/// Makes this binary run one batch query and nothing else.
pub const BATCH_FLAG: &str = "--batch";

/// Linux counts the CPU time of processes in hundredths of a second, whatever the kernel's own tick.
const TICKS_PER_S: f64 = 100.0;

/// One run, or the median of several.
#[derive(Debug, Clone)]
pub struct Measured {
    pub wall_s: f64,
    pub cpu_s: f64,
    /// Rows of the answer.
    pub rows: u64,
    /// 0 for a batch.
    pub intervals: u64,
}

/// Wall and CPU time each by its own median; rows and intervals are the same in all runs.
pub fn median(mut runs: Vec<Measured>) -> Result<Measured> {
    let middle = runs.len() / 2;
    runs.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
    let cpu_s = runs.get(middle).ok_or("no runs")?.cpu_s;
    runs.sort_by(|a, b| a.wall_s.total_cmp(&b.wall_s));
    Ok(Measured {
        cpu_s,
        ..runs[middle].clone()
    })
}

/// Runs a script with the binary under test; rows and intervals are those of its summary line.
pub fn waterwheel(script: &Path) -> Result<Measured> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waterwheel"));
    command.arg("run").arg(script);
    let (measured, output) = timed(&mut command)?;
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    let number = |key: &str| -> Result<u64> {
        let word = summary
            .split_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        Ok(word
            .ok_or_else(|| format!("no {key} in the summary: {summary}"))?
            .parse()?)
    };
    Ok(Measured {
        rows: number("rows_out")?,
        intervals: number("intervals")?,
        ..measured
    })
}

/// Runs a query over the same files with plain DataFusion, in a new process of this binary, which calls [`batch`].
pub fn datafusion(sql: &str, files: &str) -> Result<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([BATCH_FLAG, sql, files]);
    let (measured, output) = timed(&mut command)?;
    let rows = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(Measured { rows, ..measured })
}

/// The other process: counts the rows of the answer, reading every one, or those that a COPY says it wrote. `files` is a folder of Parquet files, or the
/// statement that declares the table over others.
pub fn batch(sql: &str, files: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()?;
    let rows = runtime.block_on(async {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(THREADS));
        match files.starts_with("CREATE ") {
            true => drop(context.sql(files).await?.collect().await?),
            false => {
                context
                    .register_parquet("bid", files, ParquetReadOptions::default())
                    .await?
            }
        }
        let mut batches = context.sql(sql).await?.execute_stream().await?;
        let mut rows = 0;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            rows += match sql.trim_start().starts_with("COPY ") {
                true => batch.column(0).as_primitive::<UInt64Type>().value(0) as usize,
                false => batch.num_rows(),
            };
        }
        Ok::<_, Box<dyn std::error::Error>>(rows)
    })?;
    println!("{rows}");
    Ok(())
}

fn timed(command: &mut Command) -> Result<(Measured, Output)> {
    let cpu_before = cpu_of_children_s()?;
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let wall_s = began.elapsed().as_secs_f64();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let measured = Measured {
        wall_s,
        cpu_s: cpu_of_children_s()? - cpu_before,
        rows: 0,
        intervals: 0,
    };
    Ok((measured, output))
}

/// CPU time of all child processes that have ended, in seconds. 0 where there is no `/proc`.
fn cpu_of_children_s() -> Result<f64> {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return Ok(0.0);
    };
    // The command's name may hold anything; fields are counted from behind it. cutime and cstime are the 14th and 15th.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(13).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<std::result::Result<u64, _>>()? as f64 / TICKS_PER_S)
}
