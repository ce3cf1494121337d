//! The map side of windows: each row goes into one pane, whatever the number of windows over it.
//!
//! Lateness is judged here, row by row, by the watermark of the row's own split (docs/time.md, "Late rows"):
//! slices in which no row lies behind its watermark take the quick way, others are judged.
//!
//! Lineage: same interval, same partition of the source. State: none.

use super::exchange::by_key;
use super::folding::Tally;
use super::fragment::{Fragment, Workshop, failed};
use super::{Batch, Dataset, LateRow, NOT_REFUSED, Piece, Report, Slice, SourceRow};
use crate::dstream::graph::{Aggregation, PanesNode, Windowing};
use crate::dstream::nodes::{PANE, ROW, WM};
use crate::dstream::record::NO_WATERMARK;
use crate::dstream::table::unit_ns;
use crate::dstream::window::WindowSpec;
use crate::error::{Error, Result};
use crate::operators::sessions::SessionMap;
use crate::operators::windows::Aggregates;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{filter_record_batch, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// One partition's copy of a [`PanesNode`].
pub struct Panes {
    window: Windowing,
    rows: Fragment,
    judged: Option<Fragment>,
    partial: Option<Partial>,
    /// Partitions of the state side.
    partitions: usize,
}

/// The partial aggregation: rows to states by pane and key.
struct Partial {
    by_pane_and_key: Fragment,
    /// For rows of one pane: grouping by one column less is much cheaper, above all when one is left.
    by_key: Option<Fragment>,
    /// Without keys.
    tally: Option<Tally>,
    keys: usize,
    sessions: Option<SessionMap>,
}

/// Rows of an interval are mostly in the order of time, so a batch falls into a few long runs of one pane each. Up to so
/// many runs are aggregated one by one, if they are long enough to be worth a run of a plan.
const RUNS_MAX: usize = 8;
const RUN_ROWS_MIN: usize = 1_024;

impl Panes {
    pub fn new(node: &PanesNode, partitions: usize, shop: &Workshop) -> Result<Panes> {
        let judged = node.judged.as_ref().map(|plan| Fragment::new(plan, shop)).transpose()?;
        let partial = match &node.aggregation {
            Some(aggregation) => Some(Partial::new(aggregation, node.window.spec, shop)?),
            None => None,
        };
        Ok(Panes {
            window: node.window,
            rows: Fragment::new(&node.rows, shop)?,
            judged,
            partial,
            partitions,
        })
    }

    /// One interval's rows of one partition, as pieces for each partition of the state side.
    pub fn run(&mut self, input: &Batch, clock_ns: i64) -> Result<Batch> {
        let mut report = Report::default();
        let mut groups: BTreeMap<i64, Vec<RecordBatch>> = BTreeMap::new();
        match &input.data {
            Dataset::Slices(slices) => {
                let (in_time, doubtful): (Vec<&Slice>, Vec<&Slice>) = slices
                    .iter()
                    .partition(|s| s.watermarks.is_none() || self.judged.is_none());
                let batches = in_time.iter().map(|s| s.batch.clone()).collect();
                if self.take_in_time(batches, clock_ns, &mut groups)? {
                    self.note_untimed(&in_time, clock_ns, &mut report)?;
                }
                for slice in doubtful {
                    self.judge(slice, clock_ns, &mut groups, &mut report)?;
                }
            }
            Dataset::Buckets(_) => drop(self.take_in_time(input.record_batches(), clock_ns, &mut groups)?),
        }
        let mut buckets = vec![Vec::new(); self.partitions];
        for (refused, batches) in groups {
            for batch in self.aggregated(batches)? {
                for (bucket, batch) in buckets.iter_mut().zip(self.exchanged(batch)?) {
                    if batch.num_rows() > 0 {
                        bucket.push(Piece { batch, refused });
                    }
                }
            }
        }
        Ok(Batch {
            data: Dataset::Buckets(buckets),
            since: input.since,
            report,
        })
    }

    /// True when there are rows without event time.
    fn take_in_time(
        &mut self,
        batches: Vec<RecordBatch>,
        clock_ns: i64,
        groups: &mut BTreeMap<i64, Vec<RecordBatch>>,
    ) -> Result<bool> {
        let mut untimed = false;
        if batches.iter().all(|b| b.num_rows() == 0) {
            return Ok(untimed);
        }
        for batch in self.rows.run_at(clock_ns, vec![batches])? {
            let rows = batch.num_rows();
            let (batch, times) = timed(batch, &self.window)?;
            untimed |= batch.num_rows() < rows;
            groups
                .entry(NOT_REFUSED)
                .or_default()
                .push(paned(&batch, &times, &self.window, 0)?);
        }
        Ok(untimed)
    }

    /// Notes which rows have no event time. Those of sources, that is: others are not judged.
    fn note_untimed(&mut self, slices: &[&Slice], clock_ns: i64, report: &mut Report) -> Result<()> {
        let Some(fragment) = self.judged.as_mut() else {
            return Ok(());
        };
        for slice in slices {
            let mut counted = HashSet::new();
            let watermarks = Arc::new(Int64Array::from_value(NO_WATERMARK, slice.batch.num_rows()));
            let rows = vec![vec![with_watermarks(&slice.batch, &watermarks)?]];
            for batch in fragment.run_at(clock_ns, rows)? {
                note_nulls(&batch, slice.record, &mut counted, report);
            }
        }
        Ok(())
    }

    /// Rows of a slice in which some lie behind the watermark: each is judged by its own.
    fn judge(
        &mut self,
        slice: &Slice,
        clock_ns: i64,
        groups: &mut BTreeMap<i64, Vec<RecordBatch>>,
        report: &mut Report,
    ) -> Result<()> {
        let (Some(fragment), Some(watermarks)) = (self.judged.as_mut(), &slice.watermarks) else {
            return Ok(());
        };
        let rows = vec![vec![with_watermarks(&slice.batch, watermarks)?]];
        // A row may come several times, once per element of a list or match of a join: it is late once.
        let mut counted: HashSet<i64> = HashSet::new();
        for batch in fragment.run_at(clock_ns, rows)? {
            note_nulls(&batch, slice.record, &mut counted, report);
            let (batch, times) = timed(batch, &self.window)?;
            let last = batch.num_columns();
            let wms = batch.column(last - 2).as_primitive::<Int64Type>();
            let row_numbers = batch.column(last - 1).as_primitive::<Int64Type>();
            let unit = unit_ns(self.window.unit);
            let mut kept: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
            for row in 0..batch.num_rows() {
                let number = row_numbers.value(row);
                let source = SourceRow {
                    slice: slice.record,
                    row: number as usize,
                };
                match refused(&self.window, times.value(row), wms.value(row)) {
                    Verdict::InTime => kept.entry(NOT_REFUSED).or_default().push(row as u32),
                    Verdict::Partly(end) => {
                        report.late_partial.extend(counted.insert(number).then_some(source));
                        kept.entry(end).or_default().push(row as u32);
                    }
                    Verdict::Late(_) if !counted.insert(number) => {}
                    Verdict::Late(end) => report.late.push(LateRow {
                        source,
                        window_start: self.window.spec.start_of(end),
                        window_end: end,
                        watermark_ns: wms.value(row),
                        behind_ns: wms.value(row).saturating_sub(times.value(row).saturating_mul(unit)),
                    }),
                }
            }
            let paned = paned(&batch, &times, &self.window, 2)?;
            for (end, rows) in kept {
                let taken = take_record_batch(&paned, &UInt32Array::from(rows)).map_err(|e| failed(e.into()))?;
                groups.entry(end).or_default().push(taken);
            }
        }
        Ok(())
    }

    fn aggregated(&mut self, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        match &mut self.partial {
            Some(partial) => partial.run(batches),
            None => Ok(batches),
        }
    }

    fn exchanged(&self, batch: RecordBatch) -> Result<Vec<RecordBatch>> {
        let keys = self.partial.as_ref().map_or(0, |p| p.keys);
        let keys: Vec<ArrayRef> = (1..=keys).map(|i| Arc::clone(batch.column(i))).collect();
        by_key(batch, &keys, self.partitions).map_err(failed)
    }
}

impl Partial {
    fn new(aggregation: &Aggregation, window: WindowSpec, shop: &Workshop) -> Result<Partial> {
        let Aggregates {
            partial,
            partial_by_key,
            tally,
            keys,
            rows,
            ..
        } = Aggregates::new(aggregation, shop)?;
        let sessions = match window {
            WindowSpec::Session { gap } => Some(SessionMap::new(gap, keys, &rows)),
            _ => None,
        };
        Ok(Partial {
            by_pane_and_key: partial,
            by_key: partial_by_key,
            tally,
            keys: aggregation.keys,
            sessions,
        })
    }

    fn run(&mut self, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        if batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(Vec::new());
        }
        if let Some(sessions) = &self.sessions {
            let (batches, partials) = sessions.assign(batches)?;
            let states = self.by_pane_and_key.run(vec![batches])?;
            return states.into_iter().map(|s| partials.spanned(s)).collect();
        }
        let schema = self.by_pane_and_key.schema();
        // Without keys and aggregates nothing is left beside the pane.
        let by_key = self.by_key.as_mut().filter(|_| schema.fields().len() > 1);
        let by_runs = by_key.and_then(|by_key| Some((by_key, runs_of_one_pane(&batches)?)));
        let Some((by_key, runs)) = by_runs else {
            return match &mut self.tally {
                Some(tally) => Ok(vec![tally.run(batches)?]),
                None => self.by_pane_and_key.run(vec![batches]),
            };
        };
        let mut states = Vec::new();
        for (pane, rows) in runs {
            for batch in by_key.run(vec![rows])? {
                let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_value(pane, batch.num_rows()))];
                columns.extend_from_slice(batch.columns());
                states.push(RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|e| failed(e.into()))?);
            }
        }
        Ok(states)
    }
}

/// The rows cut where the pane changes, pieces of one pane together; `None` when that gives too many or too short ones.
fn runs_of_one_pane(batches: &[RecordBatch]) -> Option<BTreeMap<i64, Vec<RecordBatch>>> {
    let mut runs: BTreeMap<i64, Vec<RecordBatch>> = BTreeMap::new();
    let (mut pieces, mut rows) = (0, 0);
    for batch in batches {
        let panes = batch.column(0).as_primitive::<Int64Type>().values();
        rows += panes.len();
        let mut at = 0;
        for run in panes.chunk_by(|a, b| a == b) {
            pieces += 1;
            if pieces > RUNS_MAX + 2 * batches.len() {
                return None;
            }
            runs.entry(run[0]).or_default().push(batch.slice(at, run.len()));
            at += run.len();
        }
    }
    let long = runs.len() <= RUNS_MAX && rows >= runs.len() * RUN_ROWS_MIN;
    (runs.len() <= 1 || long).then_some(runs)
}

enum Verdict {
    InTime,
    /// Refused by windows that end up to here.
    Partly(i64),
    /// Refused by all its windows, the last of which ends here.
    Late(i64),
}

/// `window_end + L <= wm`, for the windows over `ts`.
fn refused(window: &Windowing, ts: i64, wm_ns: i64) -> Verdict {
    let bound = wm_ns
        .saturating_sub(window.lateness_ns)
        .div_euclid(unit_ns(window.unit));
    if let WindowSpec::Session { gap } = window.spec {
        // A row in time never belongs to a session that has ended, whatever else is in it.
        return match ts < bound && wm_ns != i64::MIN {
            true => Verdict::Late(ts.saturating_add(gap)),
            false => Verdict::InTime,
        };
    }
    match window.spec.last_end_up_to(ts, bound) {
        _ if wm_ns == i64::MIN => Verdict::InTime,
        None => Verdict::InTime,
        Some(end) if end == window.spec.ends(ts).last => Verdict::Late(end),
        Some(end) => Verdict::Partly(end),
    }
}

/// Notes the rows of a judged batch that have no event time.
fn note_nulls(batch: &RecordBatch, slice: usize, counted: &mut HashSet<i64>, report: &mut Report) {
    let Some(times) = batch.column(0).logical_nulls() else {
        return;
    };
    let row_numbers = batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>();
    for (number, is_there) in row_numbers.values().iter().zip(times.iter()) {
        if !is_there && counted.insert(*number) {
            let row = *number as usize;
            report.null_time.push(SourceRow { slice, row });
        }
    }
}

/// The rows that have an event time, and those times.
fn timed(batch: RecordBatch, window: &Windowing) -> Result<(RecordBatch, Int64Array)> {
    if window.spec == WindowSpec::Forever {
        let rows = batch.num_rows();
        return Ok((batch, Int64Array::from(vec![0; rows])));
    }
    let nulls = batch.column(0).logical_null_count();
    if nulls == 0 {
        let times = as_i64(batch.column(0))?;
        return Ok((batch, times));
    }
    let present = datafusion::arrow::compute::is_not_null(batch.column(0)).map_err(|e| failed(e.into()))?;
    let present: BooleanArray = present;
    let batch = filter_record_batch(&batch, &present).map_err(|e| failed(e.into()))?;
    let times = as_i64(batch.column(0))?;
    Ok((batch, times))
}

/// A time column as numbers in its own unit, without copying.
pub fn as_i64(column: &ArrayRef) -> Result<Int64Array> {
    let data = column.to_data().into_builder().data_type(DataType::Int64).build();
    match (column.data_type(), data) {
        (DataType::Timestamp(_, _) | DataType::Int64, Ok(data)) => Ok(Int64Array::from(data)),
        (other, _) => Err(Error::internal(format!("event time of type {other}"))),
    }
}

/// `__pane` in place of the time column; the last `hidden` columns fall away.
fn paned(batch: &RecordBatch, times: &Int64Array, window: &Windowing, hidden: usize) -> Result<RecordBatch> {
    let width = batch.num_columns() - hidden;
    let mut fields = vec![Arc::new(Field::new(PANE, DataType::Int64, false))];
    fields.extend(batch.schema().fields()[1..width].iter().cloned());
    let mut columns: Vec<ArrayRef> = vec![Arc::new(pane_starts(times, window))];
    columns.extend_from_slice(&batch.columns()[1..width]);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| failed(e.into()))
}

/// Rows mostly come in the order of time, so most lie in the pane of the row before: no division for those.
fn pane_starts(times: &Int64Array, window: &Windowing) -> Int64Array {
    match window.spec {
        WindowSpec::Session { .. } => return times.clone(),
        WindowSpec::Forever => return Int64Array::from(vec![0; times.len()]),
        _ => {}
    }
    let (mut start, mut end) = (0, 0);
    let mut starts = Vec::with_capacity(times.len());
    for block in times.values().chunks(ROWS_TOGETHER) {
        let (least, greatest) = extent(block);
        if start <= least && greatest < end {
            starts.resize(starts.len() + block.len(), start);
            continue;
        }
        for few in block.chunks(ROWS_OF_SHORT_PANES) {
            let (least, greatest) = extent(few);
            if start <= least && greatest < end {
                starts.resize(starts.len() + few.len(), start);
                continue;
            }
            for ts in few {
                if *ts < start || *ts >= end {
                    start = window.spec.pane_start(*ts);
                    end = window.spec.pane_end(start);
                }
                starts.push(start);
            }
        }
    }
    Int64Array::from(starts)
}

/// Times that are looked at together.
pub const ROWS_TOGETHER: usize = 1_024;

/// The same where panes are shorter than that.
const ROWS_OF_SHORT_PANES: usize = 16;

/// The least and the greatest of some times. Eight at a time, so that none waits for the one before.
pub fn extent(times: &[i64]) -> (i64, i64) {
    let (mut least, mut greatest) = ([i64::MAX; 8], [i64::MIN; 8]);
    let (eights, rest) = times.as_chunks::<8>();
    for eight in eights {
        for (at, ts) in eight.iter().enumerate() {
            least[at] = least[at].min(*ts);
            greatest[at] = greatest[at].max(*ts);
        }
    }
    let wider = |(least, greatest): (i64, i64), ts: &i64| (least.min(*ts), greatest.max(*ts));
    let of_rest = rest.iter().fold((i64::MAX, i64::MIN), wider);
    let all = least.iter().chain(&greatest);
    let of_eights = match eights {
        [] => (i64::MAX, i64::MIN),
        _ => all.fold((i64::MAX, i64::MIN), wider),
    };
    (of_rest.0.min(of_eights.0), of_rest.1.max(of_eights.1))
}

/// The slice's rows with what judging them needs: `__wm` and `__row`.
fn with_watermarks(batch: &RecordBatch, watermarks: &Arc<Int64Array>) -> Result<RecordBatch> {
    let rows = Int64Array::from_iter_values(0..batch.num_rows() as i64);
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(WM, DataType::Int64, false)));
    fields.push(Arc::new(Field::new(ROW, DataType::Int64, false)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::clone(watermarks) as ArrayRef);
    columns.push(Arc::new(rows));
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    RecordBatch::try_new(schema, columns).map_err(|e| failed(e.into()))
}

#[cfg(test)]
mod tests {
    use super::extent;

    #[test]
    fn the_extent_of_times_is_that_of_all_of_them() {
        for rows in 0..40_i64 {
            for least_at in 0..rows {
                let times: Vec<i64> = (0..rows)
                    .map(|i| if i == least_at { -7 } else { i * 31 % 17 })
                    .collect();
                let by_hand = (times.iter().min().copied(), times.iter().max().copied());
                let (least, greatest) = extent(&times);
                assert_eq!((Some(least), Some(greatest)), by_hand, "{times:?}");
            }
        }
        assert_eq!(extent(&[]), (i64::MAX, i64::MIN));
    }
}
