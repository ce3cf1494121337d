//! Row groups of Parquet that nobody asks for are left out, and the answer is that of all rows: watermarks too.

use super::answer::Answer;
use super::data::{self, Rng, Shape, Table};
use super::oracle::{self, Shown};
use super::{ALL, drive, feed};
use datafusion::arrow::array::RecordBatch;
use datafusion::parquet::file::properties::EnabledStatistics;
use std::path::Path;
use waterwheel::error::Result;

const ROWS: usize = 1_500;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// The answer, and how many rows were read for it.
async fn run(sql: &str, table: &Table, run: feed::Run, folder: &Path) -> Result<(Answer, u64)> {
    let engine = feed::engine(run, folder).await?;
    feed::declare_files(&engine, std::slice::from_ref(table), folder).await?;
    let query = engine.query(sql).await?;
    let updates = drive(&engine, &query, run.faults).await?;
    let batches: Vec<RecordBatch> = updates.into_iter().map(|u| u.batch).collect();
    Ok((Answer::of(&batches, false), query.summary().rows_in))
}

/// Runs a query over files with and without statistics. Gives the share of rows that were read, in per cent.
fn law(sql: &str, oracle: &str) -> u64 {
    let mut share = 0;
    for seed in 0..2 {
        let mut rng = Rng::new(seed);
        let shape = Shape {
            rows: ROWS,
            odd_floats: true,
            ..Shape::small(&mut rng, 3)
        };
        let table = data::table("t", &mut rng, shape);
        let expected = block_on(oracle::answer(oracle, std::slice::from_ref(&table), Shown::All));
        let expected = Answer::of(&expected.expect("the oracle"), false);
        let folder = tempfile::tempdir().expect("a folder");
        feed::write_files(std::slice::from_ref(&table), folder.path());
        for statistics in [EnabledStatistics::Chunk, EnabledStatistics::None] {
            for (number, rows) in table.splits.iter().enumerate() {
                let path = folder.path().join("t").join(format!("part-{number}.parquet"));
                feed::write_parquet(&table, rows, &path, 25, statistics);
            }
            for (cut, parallelism, faults) in [(100, 2, None), (ALL, 1, None), (500, 4, Some(seed))] {
                let of = feed::Run {
                    cut,
                    parallelism,
                    faults,
                };
                let found = block_on(run(sql, &table, of, folder.path()));
                let (answer, rows_in) = found.unwrap_or_else(|e| panic!("{sql}: seed {seed}: {of:?}: {e}"));
                if let Some(difference) = answer.difference(&expected, 1e-6) {
                    panic!("{sql}: seed {seed}: {of:?}: {difference}");
                }
                if statistics == EnabledStatistics::None {
                    assert_eq!(rows_in, table.rows() as u64, "{sql}: nothing is known");
                } else {
                    share = share.max(rows_in * 100 / table.rows() as u64);
                }
            }
        }
    }
    share
}

fn same(sql: &str) -> u64 {
    law(sql, sql)
}

#[test]
fn rows_that_nobody_asks_for_are_not_read() {
    assert!(same("SELECT id, s FROM t WHERE id < 150 AND v > 0") < 20);
    assert!(same("SELECT id FROM t AS x WHERE x.id BETWEEN 1000 AND 1050 OR id = 7") < 20);
    assert!(same("SELECT id FROM t WHERE id < 50 UNION ALL SELECT id + 1 FROM t WHERE id >= 1450") < 20);
    assert!(same("SELECT y FROM (SELECT id AS y, k FROM t) AS x WHERE y > 1400") < 20);
    assert!(same("SELECT k, count(*) FROM t WHERE id < 100 GROUP BY k") < 20);
    // NaN is greater than every number, and in no statistics.
    same("SELECT id FROM t WHERE f > 2000");
    same("SELECT id FROM t WHERE k IS NULL AND s IS NULL");
    same("SELECT id FROM t WHERE s >= 'z' AND doubled(id) < 4000");
}

#[test]
fn what_somebody_asks_for_is_read() {
    assert_eq!(same("SELECT id FROM t WHERE id < 200 UNION ALL SELECT id FROM t"), 100);
    assert_eq!(same("SELECT id FROM t WHERE id < 0 + k"), 100);
    assert_eq!(same("SELECT id FROM t WHERE id < 200 OR v = 5"), 100);
}

#[test]
fn watermarks_are_those_of_all_rows() {
    let columns = "window_start, k, count(*), sum(v)";
    let over = |from: &str| {
        format!(
            "SELECT {columns} FROM {} GROUP BY window_start, window_end, k",
            oracle::tumble(from, 10, 0)
        )
    };
    let oracle = over("(SELECT * FROM t WHERE id >= 500 AND id < 650)");
    let grouped = "GROUP BY window_start, window_end, k";
    let above =
        format!("SELECT {columns} FROM TUMBLE(t, ts, INTERVAL '10 seconds') WHERE id >= 500 AND id < 650 {grouped}");
    assert!(law(&above, &oracle) < 30);
    let below = format!(
        "SELECT {columns} FROM TUMBLE((SELECT * FROM t WHERE id >= 500 AND id < 650), ts, INTERVAL '10 seconds') {grouped}"
    );
    assert!(law(&below, &oracle) < 30);
    let oracle = format!(
        "SELECT k, window_start, window_end, count(*) FROM {} GROUP BY k, window_start, window_end",
        oracle::session("(SELECT * FROM t WHERE id < 300)", 5, "k")
    );
    let sessions = "SELECT k, window_start, window_end, count(*) FROM SESSION((SELECT * FROM t WHERE id < 300) \
                    PARTITION BY k, ts, INTERVAL '5 seconds') GROUP BY k, window_start, window_end";
    assert!(law(sessions, &oracle) < 30);
    // Above sessions, a condition leaves rows out of sessions that all rows have made.
    let oracle = format!(
        "SELECT k, window_start, window_end, count(*) FROM {} WHERE id < 300 GROUP BY k, window_start, window_end",
        oracle::session("t", 5, "k")
    );
    let sessions = "SELECT k, window_start, window_end, count(*) FROM SESSION(t PARTITION BY k, ts, \
                    INTERVAL '5 seconds') WHERE id < 300 GROUP BY k, window_start, window_end";
    assert_eq!(law(sessions, &oracle), 100);
}
