//! What the answer should be: DataFusion's batch answer to SQL that a test writes out with `date_bin` and the like, over
//! rows whose lateness was told from their order alone.
//!
//! In an oracle's SQL each source has one more column, `wm`: the watermark of the row's split before it. `@T@` stands for
//! the type of event time, `@SHOWN@` for "this window has been shown".

use super::data::Table;
use super::functions;
use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::error::Result;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;

/// How far windows have been shown.
#[derive(Debug, Clone, Copy)]
pub enum Shown {
    /// The input has ended.
    All,
    /// `window_end <= W`; before the first watermark nothing is.
    UpTo(Option<i64>),
}

/// The batch answer over the rows of `tables`.
pub async fn answer(sql: &str, tables: &[Table], shown: Shown) -> Result<Vec<RecordBatch>> {
    let config = SessionConfig::new().with_target_partitions(1);
    let context = SessionContext::new_with_config(config);
    functions::both().0.into_iter().for_each(|f| context.register_udf(f));
    functions::both().1.into_iter().for_each(|f| context.register_udaf(f));
    for table in tables {
        context.register_batch(table.name, table.judged())?;
    }
    context.register_batch("dim", dim())?;
    let data_type = tables.first().map_or("", |t| type_name(t.unit));
    let shown = match shown {
        Shown::All => "TRUE".to_string(),
        Shown::UpTo(None) => "FALSE".to_string(),
        Shown::UpTo(Some(w)) => format!("window_end <= arrow_cast({w}, '@T@')"),
    };
    let sql = sql.replace("@SHOWN@", &shown).replace("@T@", data_type);
    context.sql(&sql).await?.collect().await
}

/// The static table that every case may join with.
pub const DIM: [(Option<i64>, &str); 4] = [(Some(0), "zero"), (Some(1), "one"), (Some(2), "two"), (Some(1), "uno")];

fn dim() -> RecordBatch {
    let keys: Int64Array = DIM.iter().map(|(k, _)| *k).collect();
    let labels: StringArray = DIM.iter().map(|(_, label)| Some(*label)).collect();
    RecordBatch::try_from_iter([("k", Arc::new(keys) as _), ("label", Arc::new(labels) as _)]).expect("two columns")
}

fn type_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "Timestamp(Second, None)",
        TimeUnit::Millisecond => "Timestamp(Millisecond, None)",
        TimeUnit::Microsecond => "Timestamp(Microsecond, None)",
        TimeUnit::Nanosecond => "Timestamp(Nanosecond, None)",
    }
}

/// Rows of `from` with `window_start` and `window_end`, in time and shown. Seconds.
pub fn tumble(from: &str, size: i64, offset: i64) -> String {
    let start = bin(size, offset);
    let windows = format!(
        "SELECT *, {start} AS window_start, arrow_cast({start} + INTERVAL '{size} seconds', '@T@') AS window_end FROM {from}"
    );
    in_time(&windows)
}

/// Each row once per window over it: every start a slide apart, back to the first that still holds the row.
pub fn hop(from: &str, slide: i64, size: i64, offset: i64) -> String {
    let start = format!("arrow_cast({} - back, '@T@')", bin(slide, offset));
    let back: Vec<String> = (0..=size / slide)
        .map(|n| format!("(INTERVAL '{} seconds')", n * slide))
        .collect();
    let windows = format!(
        "SELECT *, arrow_cast(window_start + INTERVAL '{size} seconds', '@T@') AS window_end FROM \
         (SELECT *, {start} AS window_start FROM {from} CROSS JOIN (VALUES {}) AS hops(back))",
        back.join(", ")
    );
    in_time(&format!("SELECT * FROM ({windows}) WHERE window_end > ts"))
}

/// Each row once per end, a step apart, from the first after it to the end of the whole.
pub fn cumulate(from: &str, step: i64, size: i64, offset: i64) -> String {
    let start = bin(size, offset);
    let on: Vec<String> = (1..=size / step)
        .map(|n| format!("(INTERVAL '{} seconds')", n * step))
        .collect();
    let windows = format!(
        "SELECT *, arrow_cast(window_start + forth, '@T@') AS window_end FROM \
         (SELECT *, {start} AS window_start FROM {from} CROSS JOIN (VALUES {}) AS steps(forth))",
        on.join(", ")
    );
    in_time(&format!("SELECT * FROM ({windows}) WHERE window_end > ts"))
}

/// Rows of `from` with their session: those of one key in the order of time, cut where the gap or more lies between two.
/// A row is late when it lies behind the watermark.
pub fn session(from: &str, gap: i64, keys: &str) -> String {
    let by = match keys {
        "" => String::new(),
        keys => format!("PARTITION BY {keys}"),
    };
    let and = if keys.is_empty() { "PARTITION BY" } else { "," };
    let in_time = format!("SELECT * FROM {from} WHERE ts IS NOT NULL AND (wm IS NULL OR ts >= wm)");
    let opens = format!(
        "SELECT *, CASE WHEN ts < lag(ts) OVER ({by} ORDER BY ts) + INTERVAL '{gap} seconds' THEN 0 ELSE 1 END AS opens \
         FROM ({in_time})"
    );
    // Equal times are one step of the sum, so that it does not matter which of them came first.
    let numbered = format!("SELECT *, sum(opens) OVER ({by} ORDER BY ts) AS number FROM ({opens})");
    let windows = format!(
        "SELECT *, min(ts) OVER ({by} {and} number) AS window_start, \
         arrow_cast(max(ts) OVER ({by} {and} number) + INTERVAL '{gap} seconds', '@T@') AS window_end FROM ({numbered})"
    );
    format!("(SELECT * FROM ({windows}) WHERE @SHOWN@)")
}

fn bin(width: i64, offset: i64) -> String {
    let origin = format!("TIMESTAMP '1970-01-01T00:00:00' + INTERVAL '{offset} seconds'");
    format!("arrow_cast(date_bin(INTERVAL '{width} seconds', ts, {origin}), '@T@')")
}

/// The definition of lateness, window by window: refused when `window_end <= wm`.
fn in_time(windows: &str) -> String {
    format!("(SELECT * FROM ({windows}) WHERE ts IS NOT NULL AND (wm IS NULL OR window_end > wm) AND @SHOWN@)")
}
