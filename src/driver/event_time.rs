//! Event time as the intake reads it: watermarks, and rows that lie too far ahead of the clock (docs/time.md).

use crate::connectors::{BadRecord, BlockText};
use crate::dstream::record::NO_WATERMARK;
use crate::dstream::table::{TableSpec, unit_ns};
use crate::error::Result;
use crate::formats::{Encoder, Format, JsonFormat, OnError};
use crate::operators::Slice;
use crate::operators::fragment::failed;
use crate::operators::panes::{ROWS_TOGETHER, as_i64, extent};
use datafusion::arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::{filter, filter_record_batch, max, min, nullif};
use datafusion::arrow::datatypes::{Int64Type, TimeUnit};
use datafusion::physical_plan::PhysicalExpr;
use std::sync::Arc;

/// From so far ahead of the clock on, an event time that jumps there is worth a warning.
const JUMP_NS: i64 = 86_400_000_000_000;

/// Event time as the intake reads it.
pub struct Clockwork {
    /// Over the source's batch.
    pub expr: Arc<dyn PhysicalExpr>,
    pub unit: TimeUnit,
    pub delay_ns: i64,
    /// `max_future_skew`.
    pub skew: Option<Skew>,
}

impl Clockwork {
    /// The split's watermark after these rows, and before each of them if some row lies behind it: a running maximum
    /// over all rows, less the delay, in the unit of the column, rounded down (docs/time.md). NULLs do not move it. Rows
    /// behind `judged_from_ns` count as behind too.
    pub fn advance(&self, times: &Int64Array, before_ns: i64, judged_from_ns: i64) -> (i64, Option<Arc<Int64Array>>) {
        let (unit, delay) = (unit_ns(self.unit), self.delay());
        let reached = |ts: i64| ts.saturating_sub(delay).saturating_mul(unit);
        let step = |(watermark, behind): (i64, bool), ts: i64| {
            let is_behind = ts.saturating_mul(unit) < watermark.max(judged_from_ns);
            (watermark.max(reached(ts)), behind | is_behind)
        };
        let start = (before_ns, false);
        let block = |(watermark, behind): (i64, bool), rows: &[i64]| {
            let (least, greatest) = extent(rows);
            let after = watermark.max(reached(greatest));
            // Mostly rows lie so close together that none can be behind another.
            match least.saturating_mul(unit) >= after.max(judged_from_ns) {
                true => (after, behind),
                false => rows.iter().copied().fold((watermark, behind), step),
            }
        };
        let (watermark, behind) = match times.null_count() {
            0 => times.values().chunks(ROWS_TOGETHER).fold(start, block),
            _ => times.iter().flatten().fold(start, step),
        };
        let each = behind.then(|| self.before_each(times, before_ns));
        (watermark, each)
    }

    pub fn times(&self, batch: &RecordBatch) -> Result<Int64Array> {
        let times = self
            .expr
            .evaluate(batch)
            .and_then(|v| v.into_array(batch.num_rows()))
            .map_err(failed)?;
        as_i64(&times)
    }

    /// The watermark when `greatest`, in the unit of the column, is the greatest event time.
    pub fn watermark_at(&self, greatest: i64) -> i64 {
        greatest.saturating_sub(self.delay()).saturating_mul(unit_ns(self.unit))
    }

    /// The declared delay in the unit of the column, rounded up, so that the watermark is rounded down.
    fn delay(&self) -> i64 {
        let unit = unit_ns(self.unit);
        self.delay_ns.div_euclid(unit) + i64::from(self.delay_ns.rem_euclid(unit) != 0)
    }

    pub fn before_each(&self, times: &Int64Array, before_ns: i64) -> Arc<Int64Array> {
        let (unit, delay) = (unit_ns(self.unit), self.delay());
        let mut running = before_ns;
        let each = times.iter().map(|ts| {
            let before = running;
            if let Some(ts) = ts {
                running = running.max(ts.saturating_sub(delay).saturating_mul(unit));
            }
            before
        });
        Arc::new(Int64Array::from_iter_values(each))
    }

    /// How far ahead of the clock these rows have moved the watermark, if they moved it from the present into the
    /// future. A stream that lies in the future as a whole does not jump.
    pub fn jump(&self, batch: &RecordBatch, before_ns: i64, after_ns: i64, clock_ns: i64) -> Result<Option<i64>> {
        let limit = clock_ns.saturating_add(JUMP_NS);
        if after_ns <= limit || before_ns > limit {
            return Ok(None);
        }
        let (times, unit) = (self.times(batch)?, unit_ns(self.unit));
        let present = before_ns > NO_WATERMARK || min(&times).is_some_and(|ts| ts.saturating_mul(unit) <= limit);
        let last = max(&times).map(|ts| ts.saturating_mul(unit).saturating_sub(clock_ns));
        Ok(last.filter(|_| present))
    }

    /// A slice without its rows of the future.
    pub fn drop_future(&self, slice: Slice, clock_ns: i64) -> Result<Slice> {
        let Some(keep) = self.present(&slice.batch, clock_ns)? else {
            return Ok(slice);
        };
        let broken = |e: datafusion::arrow::error::ArrowError| failed(e.into());
        let watermarks = match &slice.watermarks {
            Some(watermarks) => {
                let kept = filter(watermarks.as_ref(), &keep).map_err(broken)?;
                Some(Arc::new(kept.as_primitive::<Int64Type>().clone()))
            }
            None => None,
        };
        Ok(Slice {
            batch: filter_record_batch(&slice.batch, &keep).map_err(broken)?,
            watermarks,
            ..slice
        })
    }

    /// The rows of `whole` that stand in `read` with a time that is not of the future.
    pub fn filter_future(&self, read: &RecordBatch, whole: RecordBatch, clock_ns: i64) -> Result<RecordBatch> {
        match self.present(read, clock_ns)? {
            Some(keep) => filter_record_batch(&whole, &keep).map_err(|e| failed(e.into())),
            None => Ok(whole),
        }
    }

    /// Which rows are not of the future; `None`: all.
    fn present(&self, batch: &RecordBatch, clock_ns: i64) -> Result<Option<BooleanArray>> {
        let Some(skew) = &self.skew else { return Ok(None) };
        let times = self.times(batch)?;
        Ok(skew.future(&times, self.unit, clock_ns).map(|future| {
            let keep = future.iter().map(|future| future != Some(true));
            keep.collect::<Vec<bool>>().into()
        }))
    }
}

/// `max_future_skew`: how far ahead of the recorded clock of its interval a row may lie.
pub struct Skew {
    ahead_ns: i64,
    /// What people wrote.
    text: String,
    /// A row of the future ends the query.
    pub fails: bool,
    column: String,
}

/// A row that lies too far ahead.
pub struct FutureRow {
    pub row: usize,
    pub record: BadRecord,
}

impl Skew {
    /// `column`: the name of the event time, for people.
    ///
    /// Errors: an option has a value that it cannot have.
    pub fn of(table: &TableSpec, column: &str) -> Result<Option<Skew>> {
        let Some(text) = table.options.get("max_future_skew") else {
            return Ok(None);
        };
        Ok(Some(Skew {
            ahead_ns: crate::config::parse_duration_ns(text).unwrap_or(i64::MAX),
            text: text.clone(),
            fails: OnError::of(table)? == OnError::Fail,
            column: column.to_string(),
        }))
    }

    /// Which times lie too far ahead; `None`: none.
    fn future(&self, times: &Int64Array, unit: TimeUnit, clock_ns: i64) -> Option<BooleanArray> {
        // The last time that is allowed, in the unit of the column.
        let last = clock_ns.saturating_add(self.ahead_ns).div_euclid(unit_ns(unit));
        if max(times).is_none_or(|greatest| greatest <= last) {
            return None;
        }
        Some(times.iter().map(|ts| Some(ts.is_some_and(|ts| ts > last))).collect())
    }

    /// The times with NULL for those that lie too far ahead.
    pub fn without_future(&self, times: &Int64Array, unit: TimeUnit, clock_ns: i64) -> Int64Array {
        let Some(future) = self.future(times, unit, clock_ns) else {
            return times.clone();
        };
        // Both have the same length, which is all that can go wrong.
        nullif(times, &future).map_or_else(|_| times.clone(), |times| times.as_primitive::<Int64Type>().clone())
    }

    /// The rows that have a time in `all`, and none in `times`: each as it stands in its source, where that is text.
    pub fn future_rows(
        &self,
        batch: &RecordBatch,
        all: &Int64Array,
        times: &Int64Array,
        origin: &Origin,
        clock_ns: i64,
    ) -> Vec<FutureRow> {
        if all.null_count() == times.null_count() {
            return Vec::new();
        }
        let message = format!(
            "column `{}` lies more than max_future_skew = '{}' ahead of the clock, which stands at {}",
            self.column,
            self.text,
            instant(clock_ns)
        );
        let is_future = |row: &usize| all.is_valid(*row) && times.is_null(*row);
        let rows: Vec<usize> = (0..all.len()).filter(is_future).collect();
        let first = usize::try_from(origin.first_row).unwrap_or(usize::MAX);
        let records = match &origin.text {
            Some(text) => text.bad_records(rows.iter().map(|row| first.saturating_add(*row)), &message),
            None => rows
                .iter()
                .map(|row| origin.record(&batch.slice(*row, 1), &message))
                .collect(),
        };
        let future = rows.into_iter().zip(records);
        future.map(|(row, record)| FutureRow { row, record }).collect()
    }
}

/// Where the rows of a slice come from.
pub struct Origin<'a> {
    pub split: &'a str,
    pub text: Option<Arc<BlockText>>,
    /// The place of the first row in its block.
    pub first_row: u64,
}

impl Origin<'_> {
    /// A row of a source that is no text, as JSON.
    fn record(&self, row: &RecordBatch, message: &str) -> BadRecord {
        // A row that has no form in JSON is told of without its text.
        let json = Format::Json(JsonFormat::default());
        let written = Encoder::new(&json, row.schema(), Vec::new()).and_then(|mut encoder| {
            encoder.write(row)?;
            encoder.finish()
        });
        let mut bytes = written.unwrap_or_default();
        bytes.truncate(bytes.trim_ascii_end().len());
        BadRecord {
            split: self.split.into(),
            byte_offset: 0,
            line: 0,
            message: message.to_string(),
            bytes,
        }
    }
}

/// A moment as people write it.
fn instant(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}
