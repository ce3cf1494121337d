//! What the answer should be: DataFusion's batch answer to SQL that a test writes out with `date_bin` and the like, over
//! rows whose lateness was told from their order alone.
//!
//! In an oracle's SQL each source has one more column, `wm`: the watermark of the row's split before it. `@T@` stands for
//! the type of event time, `@U@, …)` for that type with a zone, `@SHOWN@` for
//! "this window has been shown".

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
    let in_zones = data_type.trim_end_matches(", None)");
    let sql = sql.replace("@SHOWN@", &shown).replace("@T@", data_type);
    let sql = sql.replace("@U@", in_zones);
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
    tumble_in("seconds", from, size, offset)
}

pub fn tumble_in(unit: &str, from: &str, size: i64, offset: i64) -> String {
    let start = bin(unit, size, offset);
    let windows = format!(
        "SELECT *, {start} AS window_start, arrow_cast({start} + INTERVAL '{size} {unit}', '@T@') AS window_end FROM {from}"
    );
    in_time(&windows)
}

/// Each row once per window over it: every start a slide apart, back to the first that still holds the row.
pub fn hop(from: &str, slide: i64, size: i64, offset: i64) -> String {
    hop_in("seconds", from, slide, size, offset)
}

pub fn hop_in(unit: &str, from: &str, slide: i64, size: i64, offset: i64) -> String {
    let start = format!("arrow_cast({} - back, '@T@')", bin(unit, slide, offset));
    let back: Vec<String> = (0..=size / slide)
        .map(|n| format!("(INTERVAL '{} {unit}')", n * slide))
        .collect();
    let windows = format!(
        "SELECT *, arrow_cast(window_start + INTERVAL '{size} {unit}', '@T@') AS window_end FROM \
         (SELECT *, {start} AS window_start FROM {from} CROSS JOIN (VALUES {}) AS hops(back))",
        back.join(", ")
    );
    in_time(&format!("SELECT * FROM ({windows}) WHERE window_end > ts"))
}

/// Each row once per end, a step apart, from the first after it to the end of the whole.
pub fn cumulate(from: &str, step: i64, size: i64, offset: i64) -> String {
    cumulate_in("seconds", from, step, size, offset)
}

pub fn cumulate_in(unit: &str, from: &str, step: i64, size: i64, offset: i64) -> String {
    let start = bin(unit, size, offset);
    let on: Vec<String> = (1..=size / step)
        .map(|n| format!("(INTERVAL '{} {unit}')", n * step))
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

/// Windows of days or months on the clocks of a zone: what they show is cut, and turned back into times.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    pub zone: &'static str,
    /// `day` or `month`.
    pub period: &'static str,
    /// The start of a window, as shown by the clocks.
    pub origin: &'static str,
}

impl Clocks {
    /// What the clocks show at `ts`, down to the start of a stretch of so many periods.
    fn bin(&self, periods: i64) -> String {
        let Clocks { zone, period, origin } = self;
        let shown =
            format!("to_local_time(arrow_cast(arrow_cast(ts, '@U@, Some(\"UTC\"))'), '@U@, Some(\"{zone}\"))'))");
        format!("arrow_cast(date_bin(INTERVAL '{periods} {period}', {shown}, TIMESTAMP '{origin}'), '@T@')")
    }

    /// What the clocks show, so many periods on, as a time.
    fn time(&self, shown: &str, periods: &str) -> String {
        let Clocks { zone, .. } = self;
        let there = format!("arrow_cast({shown} + {periods}, '@T@')");
        let at = format!("arrow_cast(arrow_cast({there}, '@U@, Some(\"{zone}\"))'), '@U@, Some(\"UTC\"))')");
        // Adding nothing keeps the optimizer from comparing what the clocks show with a watermark: it takes the casts of
        // a comparison away, and with them the zone.
        format!("arrow_cast({at} + INTERVAL '0 seconds', '@T@')")
    }

    /// Rows with their windows: those from `starts` to `ends`, both in periods from the bin of `width` periods on.
    fn windows(&self, from: &str, width: i64, windows: impl Iterator<Item = (i64, i64)>) -> String {
        let Clocks { period, .. } = self;
        let of = |n: i64| format!("INTERVAL '{n} {period}'");
        let pairs: Vec<String> = windows.map(|(a, b)| format!("({}, {})", of(a), of(b))).collect();
        let binned = format!(
            "SELECT *, {} AS shown FROM {from} WHERE ts IS NOT NULL",
            self.bin(width)
        );
        let (start, end) = (self.time("shown", "starts"), self.time("shown", "ends"));
        let windows = format!(
            "SELECT *, {start} AS window_start, {end} AS window_end FROM \
             ({binned}) CROSS JOIN (VALUES {}) AS w(starts, ends)",
            pairs.join(", ")
        );
        in_time(&format!(
            "SELECT * FROM ({windows}) WHERE window_start <= ts AND ts < window_end"
        ))
    }

    pub fn tumble(&self, from: &str, size: i64) -> String {
        self.windows(from, size, std::iter::once((0, size)))
    }

    pub fn hop(&self, from: &str, slide: i64, size: i64) -> String {
        self.windows(from, slide, (0..=size / slide).map(|n| (-n * slide, size - n * slide)))
    }

    pub fn cumulate(&self, from: &str, step: i64, size: i64) -> String {
        self.windows(from, size, (1..=size / step).map(|n| (0, n * step)))
    }
}

fn bin(unit: &str, width: i64, offset: i64) -> String {
    let origin = format!("TIMESTAMP '1970-01-01T00:00:00' + INTERVAL '{offset} {unit}'");
    format!("arrow_cast(date_bin(INTERVAL '{width} {unit}', ts, {origin}), '@T@')")
}

/// The definition of lateness, window by window: refused when `window_end <= wm`.
fn in_time(windows: &str) -> String {
    format!("(SELECT * FROM ({windows}) WHERE ts IS NOT NULL AND (wm IS NULL OR window_end > wm) AND @SHOWN@)")
}
