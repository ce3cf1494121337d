//! Tables into an engine: as files, one per split, or through push sources.

use super::data::{Row, Table};
use super::{functions, oracle};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::fmt::Write as _;
use std::fs::{File, create_dir_all, write};
use std::path::Path;
use waterwheel::error::Result;
use waterwheel::{Engine, EngineBuilder, ManualClock};

/// How an engine is to run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// `max_rows_per_interval`.
    pub cut: usize,
    pub parallelism: usize,
    /// With this seed, batches and states are lost between steps.
    pub faults: Option<u64>,
}

/// Writes the files of tables, and of the static table, into a folder.
pub fn write_files(tables: &[Table], folder: &Path) {
    for table in tables {
        let folder = folder.join(table.name);
        create_dir_all(&folder).expect("a folder for a table");
        for (number, rows) in table.splits.iter().enumerate() {
            match table.odd_floats {
                // Several row groups, so that a split has several blocks.
                true => {
                    let path = folder.join(format!("part-{number}.parquet"));
                    write_parquet(table, rows, &path, 3_000, EnabledStatistics::Page);
                }
                false => write(folder.join(format!("part-{number}.json")), json(rows)).expect("a file"),
            }
        }
    }
    let mut dim = "k,label\n".to_string();
    for (k, label) in oracle::DIM {
        writeln!(dim, "{},{label}", k.map_or(String::new(), |k| k.to_string())).expect("text");
    }
    write(folder.join("dim.csv"), dim).expect("a file");
}

/// With row groups of so many rows.
pub fn write_parquet(table: &Table, rows: &[Row], path: &Path, group_rows: usize, statistics: EnabledStatistics) {
    let file = File::create(path).expect("a file");
    let properties = WriterProperties::builder().set_statistics_enabled(statistics).build();
    let mut writer = ArrowWriter::try_new(file, table.schema(), Some(properties)).expect("a Parquet file");
    for rows in rows.chunks(group_rows) {
        writer.write(&table.batch(rows)).expect("rows");
        writer.flush().expect("a row group");
    }
    writer.close().expect("a Parquet file");
}

/// JSON lines; NULL is written as null or by leaving the key out.
pub fn json(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        write!(text, "{{\"id\":{}", row.id).expect("text");
        if let Some(k) = row.k {
            write!(text, ",\"k\":{k}").expect("text");
        }
        let quoted = row.s.as_ref().map_or("null".to_string(), |s| format!("\"{s}\""));
        write!(text, ",\"s\":{quoted}").expect("text");
        let number = |n: Option<i64>| n.map_or("null".to_string(), |n| n.to_string());
        write!(text, ",\"v\":{},\"ts\":{}", number(row.v), number(row.ts)).expect("text");
        if let Some(f) = row.f {
            write!(text, ",\"f\":{f:?}").expect("text");
        }
        text.push_str("}\n");
    }
    text
}

/// An engine without timer that knows the functions and the static table.
pub async fn engine(run: Run, folder: &Path) -> Result<Engine> {
    with_tools(builder(run)?.manual().build(), folder).await
}

/// The same with a clock that a test moves.
pub async fn engine_at(run: Run, folder: &Path, clock: &ManualClock) -> Result<Engine> {
    with_tools(builder(run)?.manual_at(clock).build(), folder).await
}

fn builder(run: Run) -> Result<EngineBuilder> {
    Engine::builder()
        .set("max_rows_per_interval", &run.cut.to_string())?
        .set("parallelism", &run.parallelism.to_string())
}

async fn with_tools(engine: Engine, folder: &Path) -> Result<Engine> {
    let (scalars, aggregates) = functions::both();
    scalars.into_iter().try_for_each(|f| engine.register_udf(f))?;
    aggregates.into_iter().try_for_each(|f| engine.register_udaf(f))?;
    functions::batches(&engine)?;
    functions::inverse_of_squares(&engine)?;
    let dim = folder.join("dim.csv");
    let create = format!(
        "CREATE EXTERNAL TABLE dim (k BIGINT, label VARCHAR) STORED AS CSV LOCATION '{}' WITH HEADER ROW",
        dim.display()
    );
    engine.execute(&create).await?;
    Ok(engine)
}

/// The tables as sources that read the folder's files.
pub async fn declare_files(engine: &Engine, tables: &[Table], folder: &Path) -> Result<()> {
    for table in tables {
        let format = if table.odd_floats { "parquet" } else { "json" };
        let path = folder.join(table.name);
        let with = format!("connector = 'file', path = '{}', format = '{format}'", path.display());
        engine.execute(&table.create(&with)).await?;
    }
    Ok(())
}
