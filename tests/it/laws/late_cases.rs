//! LATE ROWS INTO: each late row once, whatever is lost on the way.

use super::data::{self, Rng, Shape};
use super::feed::{self, Run};
use super::{answer::Answer, drive, runs};
use datafusion::arrow::datatypes::TimeUnit;
use waterwheel::error::Result;

const COUNT: &str =
    "SELECT window_end, count(*) FROM TUMBLE(t, ts, INTERVAL '5 seconds') GROUP BY window_start, window_end";

/// What the clause has put into its table, and what `late_rows` shows of a query without it.
async fn late(tables: &[data::Table], run: Run, folder: &std::path::Path) -> Result<(Answer, Answer)> {
    let engine = feed::engine(run, folder).await?;
    feed::declare_files(&engine, tables, folder).await?;
    let query = engine.query(&format!("{COUNT} LATE ROWS INTO missed")).await?;
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
    for run in runs(9) {
        let found = runtime.block_on(late(&tables, run, folder.path()));
        let (kept, shown) = found.unwrap_or_else(|e| panic!("{run:?}: {e}"));
        assert!(shown.difference(&nothing, 0.0).is_some(), "{run:?}: some rows are late");
        if let Some(difference) = kept.difference(&shown, 0.0) {
            panic!("{run:?}: {difference}");
        }
    }
}
