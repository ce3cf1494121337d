//! Taking rows from the splits of one source: what is there is cut into slices, and watermarks are counted.

use crate::connectors::{BadRecord, Bell, Chunk, Next, Offset, Source, Split, SplitReader};
use crate::dstream::graph::SourceNode;
use crate::dstream::record::{ENDED, NO_WATERMARK, Place, SliceRecord, SourceRecord, SplitRecord};
use crate::dstream::table::unit_ns;
use crate::error::{Error, Result};
use crate::operators::Slice;
use crate::operators::fragment::failed;
use crate::operators::panes::as_i64;
use datafusion::arrow::array::{Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::physical_plan::PhysicalExpr;
use std::sync::Arc;

/// Event time as the intake reads it.
pub struct Clockwork {
    /// Over the source's batch.
    pub expr: Arc<dyn PhysicalExpr>,
    pub unit: TimeUnit,
    pub delay_ns: i64,
}

/// One source of a running program.
pub struct Intake {
    source: Arc<dyn Source>,
    columns: Vec<usize>,
    time: Option<Clockwork>,
    bell: Bell,
    splits: Vec<SplitIntake>,
    /// Splits may still appear.
    more: bool,
    /// The source's watermark; never goes back.
    watermark_ns: i64,
    /// How many splits are read ahead at once.
    ahead: usize,
    pub bounded: bool,
}

struct SplitIntake {
    split: Split,
    reader: Option<Box<dyn SplitReader>>,
    /// What has been read and not been taken yet.
    chunk: Option<Chunk>,
    /// The place after the last row that was taken.
    taken_to: Offset,
    ended: bool,
    pending: bool,
    /// Why it cannot be read on; told once the rows before it have been run.
    broken: Option<Error>,
    /// Own watermark, at least the floor that it got when it appeared (docs/time.md).
    watermark_ns: i64,
    /// Rows behind this are judged one by one, whatever the split's own watermark: a query may judge them by more.
    judged_from_ns: i64,
    /// Since when, on the recorded clock, the source has answered that nothing is there.
    quiet_since_ns: Option<i64>,
    /// Rows taken so far.
    rows: u64,
}

/// How a split stands.
pub struct Stand<'a> {
    pub split: &'a Split,
    pub watermark_ns: i64,
    pub ended: bool,
    /// The source says that nothing is there.
    pub quiet: bool,
}
/// How far the splits of a source have been taken: those that are being read, and whether they have ended.
#[derive(Debug, Default)]
pub struct Reached(Vec<(u32, Offset, bool)>);

/// Rows taken for an interval, before they are dealt out to partitions.
#[derive(Default)]
pub struct Taken {
    pub slices: Vec<TakenSlice>,
    pub bad: Vec<BadRecord>,
    pub rows: usize,
    pub bytes: usize,
}

pub struct TakenSlice {
    pub split: u32,
    pub from: Offset,
    pub rows_before: u64,
    pub batch: RecordBatch,
    pub watermark_before_ns: i64,
    pub watermarks: Option<Arc<Int64Array>>,
}

impl Intake {
    pub fn new(
        source: Arc<dyn Source>,
        node: &SourceNode,
        time: Option<Clockwork>,
        bell: Bell,
        ahead: usize,
    ) -> Result<Intake> {
        let mut intake = Intake {
            bounded: source.bounded(),
            columns: node.columns.clone(),
            source,
            time,
            bell,
            splits: Vec::new(),
            more: true,
            watermark_ns: NO_WATERMARK,
            ahead,
        };
        intake.source.watch(intake.bell.clone());
        intake.discover()?;
        Ok(intake)
    }

    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// The declared delay of its watermark; 0 without one.
    pub fn delay_ns(&self) -> i64 {
        self.time.as_ref().map_or(0, |time| time.delay_ns)
    }

    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    pub fn split(&self, id: u32) -> Option<&Split> {
        self.splits.iter().map(|s| &s.split).find(|s| s.id == id)
    }

    /// Every split has ended and none can appear.
    pub fn ended(&self) -> bool {
        !self.more && self.splits.iter().all(|s| s.ended)
    }

    /// Nothing more can be said before the bell rings: every live split waits.
    pub fn waits(&self) -> bool {
        self.splits.iter().all(|s| s.ended || (s.pending && s.chunk.is_none()))
    }

    /// Splits that have appeared since.
    pub fn discover(&mut self) -> Result<()> {
        if !self.more {
            return Ok(());
        }
        let found = self.source.splits()?;
        self.more = found.more;
        for split in found.known {
            if self.splits.iter().all(|s| s.split.id != split.id) {
                let floor = self.watermark_ns;
                // Rows pushed once the query has started are to find its reader there.
                let reader = match self.bounded {
                    true => None,
                    false => Some(self.source.open(&split, &self.columns, self.bell.clone())?),
                };
                self.splits.push(SplitIntake {
                    split,
                    reader,
                    chunk: None,
                    taken_to: Offset::default(),
                    ended: false,
                    pending: false,
                    broken: None,
                    watermark_ns: floor,
                    judged_from_ns: NO_WATERMARK,
                    quiet_since_ns: None,
                    rows: 0,
                });
            }
        }
        Ok(())
    }

    /// Adds what is there to `taken`, up to the limits, the split with the lowest watermark first. What has come is
    /// enough when `cut` says so.
    pub fn take(&mut self, taken: &mut Taken, max_rows: usize, max_bytes: usize, cut: &dyn Fn() -> bool) -> Result<()> {
        while taken.rows < max_rows && taken.bytes < max_bytes && !(taken.rows > 0 && cut()) {
            while self.look()? {}
            if taken.rows == 0
                && let Some(error) = self.splits.iter_mut().find_map(|s| s.broken.take())
            {
                return Err(error);
            }
            let Some(index) = self.lowest() else {
                return Ok(());
            };
            self.take_from(index, taken, max_rows)?;
        }
        Ok(())
    }

    /// Asks the splits that come next for rows. True when one of them has ended: then others come next.
    fn look(&mut self) -> Result<bool> {
        let mut ended = false;
        let mut order: Vec<usize> = (0..self.splits.len()).filter(|i| !self.splits[*i].ended).collect();
        order.sort_by_key(|i| self.splits[*i].watermark_ns);
        // Whoever has no rows yet may have some any time, unless its rows come from reading ahead.
        let ahead = if self.bounded { self.ahead } else { order.len() };
        for index in order.into_iter().take(ahead) {
            let split = &mut self.splits[index];
            if split.chunk.is_some() || split.broken.is_some() {
                continue;
            }
            if split.reader.is_none() {
                split.reader = Some(self.source.open(&split.split, &self.columns, self.bell.clone())?);
            }
            let Some(reader) = &mut split.reader else { continue };
            split.pending = false;
            match reader.next() {
                Err(error) => split.broken = Some(error),
                Ok(Next::Chunk(chunk)) => {
                    if let Some(watermark) = chunk.watermark_ns {
                        split.watermark_ns = split.watermark_ns.max(watermark);
                    }
                    split.chunk = Some(chunk);
                }
                Ok(Next::Pending) => split.pending = true,
                Ok(Next::Ended) => {
                    split.ended = true;
                    ended = true;
                    // A push source is still to be told that its last rows are committed.
                    if self.bounded {
                        split.reader = None;
                    }
                }
            }
        }
        Ok(ended)
    }

    /// The split to read next. A bounded source waits for the split that holds the watermark back, so that the order of
    /// reading does not depend on which file happens to be decoded first.
    fn lowest(&self) -> Option<usize> {
        let live = (0..self.splits.len()).filter(|i| !self.splits[*i].ended);
        let lowest =
            |candidates: &mut dyn Iterator<Item = usize>| candidates.min_by_key(|i| (self.splits[*i].watermark_ns, *i));
        match self.bounded {
            true => lowest(&mut live.into_iter()).filter(|i| self.splits[*i].chunk.is_some()),
            false => lowest(&mut live.filter(|i| self.splits[*i].chunk.is_some())),
        }
    }

    fn take_from(&mut self, index: usize, taken: &mut Taken, max_rows: usize) -> Result<()> {
        let split = &mut self.splits[index];
        let Some(mut chunk) = split.chunk.take() else {
            return Ok(());
        };
        taken.bad.append(&mut chunk.bad);
        let rows = chunk.batch.num_rows().min(max_rows - taken.rows);
        let batch = chunk.batch.slice(0, rows);
        let from = chunk.from;
        if rows < chunk.batch.num_rows() {
            chunk.batch = chunk.batch.slice(rows, chunk.batch.num_rows() - rows);
            chunk.from.row += rows as u64;
            split.taken_to = chunk.from;
            split.chunk = Some(chunk);
        } else {
            split.taken_to = chunk.to;
        }
        if rows == 0 {
            return Ok(());
        }
        let before = split.watermark_ns;
        let (after, watermarks) = match &self.time {
            Some(time) => time.advance(&batch, before, split.judged_from_ns)?,
            None => (before, None),
        };
        split.watermark_ns = after;
        split.quiet_since_ns = None;
        taken.rows += rows;
        taken.bytes += batch.get_array_memory_size().min(rows * 1024);
        let rows_before = split.rows;
        split.rows += rows as u64;
        let split = split.split.id;
        taken.slices.push(TakenSlice {
            split,
            from,
            rows_before,
            batch,
            watermark_before_ns: before,
            watermarks,
        });
        Ok(())
    }

    /// Some split has fallen quiet, and no interval has written that down yet.
    pub fn fell_quiet(&self) -> bool {
        self.splits
            .iter()
            .any(|s| s.quiet_since_ns.is_none() && self.is_quiet(s))
    }

    /// A file that is being decoded is not quiet: what it has is there.
    fn is_quiet(&self, split: &SplitIntake) -> bool {
        !self.bounded && !split.ended && split.pending && split.chunk.is_none()
    }

    /// How every split stands at the end of an interval of that clock.
    pub fn stand(&mut self, clock_ns: i64) -> Vec<SplitRecord> {
        for index in 0..self.splits.len() {
            let quiet = self.is_quiet(&self.splits[index]);
            let split = &mut self.splits[index];
            split.quiet_since_ns = quiet.then(|| split.quiet_since_ns.unwrap_or(clock_ns));
        }
        let record = |s: &SplitIntake| SplitRecord {
            split: s.split.id,
            ended: s.ended,
            quiet_since_ns: s.quiet_since_ns,
            watermark_ns: s.watermark_ns,
        };
        self.splits.iter().map(record).collect()
    }

    /// How every split stands now, for people.
    pub fn stands(&self) -> impl Iterator<Item = Stand<'_>> {
        self.splits.iter().map(|s| Stand {
            split: &s.split,
            watermark_ns: s.watermark_ns,
            ended: s.ended,
            quiet: self.is_quiet(s),
        })
    }

    /// From now on rows of a split behind `judged_from` are judged one by one.
    pub fn judge_from(&mut self, judged_from: impl Fn(u32) -> i64) {
        for split in &mut self.splits {
            split.judged_from_ns = judged_from(split.split.id);
        }
    }

    /// How far each split has been taken.
    pub fn reached(&self) -> Reached {
        let read = self.splits.iter().filter(|s| s.reader.is_some());
        Reached(read.map(|s| (s.split.id, s.taken_to, s.ended)).collect())
    }

    /// What had been taken then is committed.
    pub fn committed(&mut self, reached: &Reached) {
        for (id, to, ended) in &reached.0 {
            let Some(split) = self.splits.iter_mut().find(|s| s.split.id == *id) else {
                continue;
            };
            if let Some(reader) = &mut split.reader {
                reader.committed(*to);
            }
            if *ended {
                split.reader = None;
            }
        }
    }

    /// Nobody reads it any more.
    pub fn close(&mut self) {
        self.more = false;
        self.splits.clear();
    }

    /// Nothing more will be committed.
    pub fn failed(&mut self, why: &Error) {
        let readers = self.splits.iter_mut().filter_map(|s| s.reader.as_mut());
        readers.for_each(|reader| reader.failed(why));
    }

    /// The watermark would move, rows or not: a split has ended, or a push source has set one.
    pub fn would_advance(&self) -> bool {
        self.watermark_now() > self.watermark_ns
    }

    /// Moves the watermark of the source on; it never goes back.
    pub fn advance_watermark(&mut self) -> i64 {
        self.watermark_ns = self.watermark_ns.max(self.watermark_now());
        self.watermark_ns
    }

    /// The watermark of the source (docs/time.md): the least over its live splits.
    fn watermark_now(&self) -> i64 {
        let live = self.splits.iter().filter(|s| !s.ended).map(|s| s.watermark_ns).min();
        match live {
            _ if self.time.is_none() && !self.ended() => NO_WATERMARK,
            Some(least) => least,
            None if self.more => self.watermark_ns,
            None => ENDED,
        }
    }

    /// The rows of a recorded slice again, with their watermarks.
    pub fn reread(&self, record: &SliceRecord) -> Result<(RecordBatch, Option<Arc<Int64Array>>)> {
        let Some(split) = self.split(record.split) else {
            return Err(Error::internal("a recorded split is not there"));
        };
        let (from, to) = (offset(record.from), offset(record.to));
        let batches = self.source.reread(split, from, to, record.rows, &self.columns)?;
        let schema = match batches.first() {
            Some(batch) => batch.schema(),
            None => Arc::new(
                self.source
                    .schema()
                    .project(&self.columns)
                    .map_err(|e| failed(e.into()))?,
            ),
        };
        let batch = datafusion::arrow::compute::concat_batches(&schema, &batches).map_err(|e| failed(e.into()))?;
        let watermarks = self.watermarks(&batch, record)?;
        Ok((batch, watermarks))
    }

    /// The watermark before each row of a recorded slice, if its rows were judged one by one.
    pub fn watermarks(&self, batch: &RecordBatch, record: &SliceRecord) -> Result<Option<Arc<Int64Array>>> {
        match &self.time {
            Some(time) if record.judged => {
                let times = time.times(batch)?;
                Ok(Some(time.before_each(&times, record.watermark_before_ns)))
            }
            _ => Ok(None),
        }
    }
}

fn offset(place: Place) -> Offset {
    Offset {
        block: place.block,
        row: place.row,
    }
}

impl Clockwork {
    /// The split's watermark after these rows, and before each of them if some row lies behind it: a running maximum
    /// over all rows, less the delay, in the unit of the column, rounded down (docs/time.md). NULLs do not move it. Rows
    /// behind `judged_from_ns` count as behind too.
    fn advance(
        &self,
        batch: &RecordBatch,
        before_ns: i64,
        judged_from_ns: i64,
    ) -> Result<(i64, Option<Arc<Int64Array>>)> {
        let times = self.times(batch)?;
        let (unit, delay) = (unit_ns(self.unit), self.delay());
        let (mut watermark, mut behind) = (before_ns, false);
        let mut step = |ts: i64| {
            behind |= ts.saturating_mul(unit) < watermark.max(judged_from_ns);
            watermark = watermark.max(ts.saturating_sub(delay).saturating_mul(unit));
        };
        match times.null_count() {
            0 => times.values().iter().for_each(|ts| step(*ts)),
            _ => times.iter().flatten().for_each(step),
        }
        let each = behind.then(|| self.before_each(&times, before_ns));
        Ok((watermark, each))
    }

    fn times(&self, batch: &RecordBatch) -> Result<Int64Array> {
        let times = self
            .expr
            .evaluate(batch)
            .and_then(|v| v.into_array(batch.num_rows()))
            .map_err(failed)?;
        as_i64(&times)
    }

    /// The declared delay in the unit of the column, rounded up, so that the watermark is rounded down.
    fn delay(&self) -> i64 {
        let unit = unit_ns(self.unit);
        self.delay_ns.div_euclid(unit) + i64::from(self.delay_ns.rem_euclid(unit) != 0)
    }

    fn before_each(&self, times: &Int64Array, before_ns: i64) -> Arc<Int64Array> {
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
}

/// Deals the rows of an interval out to `partitions`, in order, about equally many to each.
pub fn deal(taken: Vec<TakenSlice>, partitions: usize, watermark_ns: i64) -> (SourceRecord, Vec<Vec<Slice>>) {
    let total: usize = taken.iter().map(|s| s.batch.num_rows()).sum();
    let mut record = SourceRecord {
        slices: Vec::new(),
        watermark_ns,
        splits: Vec::new(),
    };
    let mut dealt: Vec<Vec<Slice>> = vec![Vec::new(); partitions];
    let mut given = 0;
    for slice in taken {
        let rows = slice.batch.num_rows();
        let mut at = 0;
        while at < rows {
            let partition = ((given * partitions) / total.max(1)).min(partitions - 1);
            let until = ((partition + 1) * total).div_ceil(partitions);
            let count = (rows - at).min((until - given).max(1));
            let watermarks = slice.watermarks.as_ref().map(|w| Arc::new(w.slice(at, count)));
            let before = watermarks.as_ref().map_or(slice.watermark_before_ns, |w| w.value(0));
            let from = Place {
                block: slice.from.block,
                row: slice.from.row + at as u64,
            };
            let judged = watermarks.is_some();
            dealt[partition].push(Slice {
                batch: slice.batch.slice(at, count),
                watermarks,
                record: record.slices.len(),
            });
            record.slices.push(SliceRecord {
                split: slice.split,
                from,
                to: Place {
                    block: from.block,
                    row: from.row + count as u64,
                },
                rows_before: slice.rows_before + at as u64,
                rows: count,
                partition,
                watermark_before_ns: before,
                judged,
            });
            given += count;
            at += count;
        }
    }
    (record, dealt)
}
