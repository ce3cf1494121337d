//! LATE ROWS INTO: each late row once, whatever is lost on the way.

use super::data::{self, Rng, Shape};
use super::feed::{self, Run};
use super::{answer::Answer, drive, runs};
use datafusion::arrow::datatypes::TimeUnit;
use waterwheel::error::Result;

/// Queries of which the same rows are late: that rows come several times, or that keys are left out above the windows,
/// changes nothing of it.
const COUNTS: [&str; 4] = [
    "SELECT window_end, count(*) FROM TUMBLE(t, ts, INTERVAL '5 seconds') GROUP BY window_start, window_end",
    "SELECT window_end, x, count(*) FROM TUMBLE((SELECT t.*, n.x FROM t CROSS JOIN UNNEST([v, 1, 2]) AS n(x)), ts, \
     INTERVAL '5 seconds') GROUP BY window_start, window_end, x",
    "SELECT w.window_end, d.label, count(*) FROM TUMBLE(t, ts, INTERVAL '5 seconds') AS w LEFT JOIN dim AS d ON w.k = d.k \
     GROUP BY window_start, window_end, d.label",
    "SELECT window_end, k, count(*) FROM TUMBLE(t, ts, INTERVAL '5 seconds') GROUP BY window_start, window_end, k \
     HAVING k = 1",
];

/// What the clause has put into its table, and what `late_rows` shows of the query.
async fn late(sql: &str, tables: &[data::Table], run: Run, folder: &std::path::Path) -> Result<(Answer, Answer)> {
    let engine = feed::engine(run, folder).await?;
    feed::declare_files(&engine, tables, folder).await?;
    let query = engine.query(&format!("{sql} LATE ROWS INTO missed")).await?;
    drive(&engine, &query, run.faults).await?;
    let shown = engine.query("SELECT * FROM late_rows('q1')").await?;
    let shown = drive(&engine, &shown, None).await?;
    let kept = engine.query("SELECT * FROM missed").await?;
    let kept = drive(&engine, &kept, None).await?;
    let answer = |updates: Vec<waterwheel::Update>| {
        let batches: Vec<_> = updates.into_iter().map(|u| u.batch).collect();
        Answer::of(&batches, false)
    };
    Ok((answer(kept), answer(shown)))
}

#[test]
fn every_late_row_goes_into_the_table_once() {
    let shape = Shape {
        rows: 300,
        splits: 1,
        unit: TimeUnit::Millisecond,
        odd_floats: false,
        spread: data::Spread::Minutes,
    };
    let mut table = data::table("t", &mut Rng::new(3), shape);
    table.delay_ms = 0;
    let tables = vec![table];
    let folder = tempfile::tempdir().expect("a folder");
    feed::write_files(&tables, folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let nothing = Answer::of(&[], false);
    let mut first = None;
    for sql in COUNTS {
        for run in runs(9) {
            let found = runtime.block_on(late(sql, &tables, run, folder.path()));
            let (kept, shown) = found.unwrap_or_else(|e| panic!("{run:?}: {e}\n{sql}"));
            assert!(
                shown.difference(&nothing, 0.0).is_some(),
                "{run:?}: some rows are late\n{sql}"
            );
            let wanted = first.get_or_insert(shown.clone());
            for given in [&kept, &shown] {
                if let Some(difference) = given.difference(wanted, 0.0) {
                    panic!("{run:?}: {difference}\n{sql}");
                }
            }
        }
    }
}
