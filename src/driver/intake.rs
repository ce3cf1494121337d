//! Taking rows from the splits of one source: what is there is cut into slices, and watermarks are counted.

use super::event_time::{Clockwork, Origin};
use crate::connectors::{BadRecord, Bell, BlockText, Chunk, Next, Offset, Source, Split, SplitReader};
use crate::dstream::graph::SourceNode;
use crate::dstream::record::{ENDED, NO_WATERMARK, Place, SliceRecord, SourceRecord, SplitRecord};
use crate::error::{Error, Result};
use crate::operators::Slice;
use crate::operators::fragment::failed;
use datafusion::arrow::array::{Int64Array, RecordBatch};
use std::sync::Arc;

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
    /// The same as [`SplitIntake::judged_from_ns`] for splits that are yet to appear.
    new_judged_from_ns: i64,
    /// How many splits are read ahead at once.
    ahead: usize,
    pub bounded: bool,
    /// Its end is waited for: it comes from outside and ends by itself, be it slowly (files, stdin, a socket).
    pub awaited: bool,
    waits: bool,
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
    /// The same after the interval before, and the greatest that was set explicitly.
    settled_ns: i64,
    explicit_ns: i64,
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
    /// As [`Chunk::text`].
    text: Option<Arc<BlockText>>,
    pub watermark_before_ns: i64,
    pub watermarks: Option<Arc<Int64Array>>,
    watermark_after_ns: i64,
    /// The greatest watermark that was set explicitly before it.
    explicit_ns: i64,
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
            awaited: source.bounded() || node.bounded && node.table.connector.is_some(),
            waits: source.waits(),
            columns: node.columns.clone(),
            source,
            time,
            bell,
            splits: Vec::new(),
            more: true,
            watermark_ns: NO_WATERMARK,
            new_judged_from_ns: NO_WATERMARK,
            ahead,
        };
        intake.source.watch(intake.bell.clone());
        intake.discover()?;
        Ok(intake)
    }

    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// The columns of the source that are read, ascending.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The declared delay of its watermark; 0 without one.
    pub fn delay_ns(&self) -> i64 {
        self.time.as_ref().map_or(0, |time| time.delay_ns)
    }

    pub fn split(&self, id: u32) -> Option<&Split> {
        self.splits.iter().map(|s| &s.split).find(|s| s.id == id)
    }

    /// Every split has ended and none can appear.
    pub fn ended(&self) -> bool {
        !self.more && self.splits.iter().all(|s| s.ended)
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
                    judged_from_ns: self.new_judged_from_ns,
                    quiet_since_ns: None,
                    settled_ns: floor,
                    explicit_ns: NO_WATERMARK,
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

    /// Asks the splits that come next for rows. True when one of them has ended, or its watermark has moved: then others
    /// come next.
    fn look(&mut self) -> Result<bool> {
        let mut again = false;
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
                    let passed = chunk.passed.zip(self.time.as_ref());
                    let passed = passed.map(|(greatest, time)| time.watermark_at(greatest));
                    if let Some(watermark) = chunk.watermark_ns.max(passed) {
                        split.watermark_ns = split.watermark_ns.max(watermark);
                        split.explicit_ns = split.explicit_ns.max(watermark);
                        again = true;
                    }
                    split.chunk = Some(chunk);
                }
                Ok(Next::Pending) => split.pending = true,
                Ok(Next::Ended) => {
                    split.ended = true;
                    again = true;
                    // A push source is still to be told that its last rows are committed.
                    if self.bounded {
                        split.reader = None;
                    }
                }
            }
        }
        Ok(again)
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
        // A watermark or a bad record alone is something too.
        split.quiet_since_ns = None;
        taken.bad.append(&mut chunk.bad);
        let rows = chunk.batch.num_rows().min(max_rows - taken.rows);
        let batch = chunk.batch.slice(0, rows);
        let (from, text) = (chunk.from, chunk.text.clone());
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
            Some(time) => time.advance(&time.times(&batch)?, before, split.judged_from_ns),
            None => (before, None),
        };
        split.watermark_ns = after;
        taken.rows += rows;
        taken.bytes += batch.get_array_memory_size().min(rows * 1024);
        let rows_before = split.rows;
        split.rows += rows as u64;
        taken.slices.push(TakenSlice {
            split: split.split.id,
            from,
            rows_before,
            batch,
            text,
            watermark_before_ns: before,
            watermarks,
            watermark_after_ns: after,
            explicit_ns: split.explicit_ns,
        });
        Ok(())
    }

    /// Some split has fallen quiet, and no interval has written that down yet.
    pub fn fell_quiet(&self) -> bool {
        self.splits
            .iter()
            .any(|s| s.quiet_since_ns.is_none() && self.is_quiet(s))
    }

    /// A file that is being decoded is not quiet, nor is a generator that makes rows as fast as it can: what they have is
    /// there.
    fn is_quiet(&self, split: &SplitIntake) -> bool {
        self.waits && !split.ended && split.pending && split.chunk.is_none()
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

    /// Its watermark, if no split of it is there to be read and some may appear.
    pub fn awaits_split(&self) -> Option<i64> {
        (self.more && self.splits.iter().all(|s| s.ended)).then_some(self.watermark_ns)
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

    /// Judges what was taken by the clock of its interval. Rows of the future move no watermark, and are bad records:
    /// with `on_error = 'fail'` their split breaks off before the first. Gives how far ahead of the clock the event
    /// time has jumped, when nothing forbids it.
    ///
    /// Errors: an event time cannot be told.
    pub fn settle(&mut self, taken: &mut Taken, clock_ns: i64) -> Result<Option<i64>> {
        let Some(time) = &self.time else { return Ok(None) };
        let Some(skew) = &time.skew else {
            let mut ahead = None;
            for slice in &taken.slices {
                let (before, after) = (slice.watermark_before_ns, slice.watermark_after_ns);
                ahead = ahead.max(time.jump(&slice.batch, before, after, clock_ns)?);
            }
            return Ok(ahead);
        };
        let mut kept = Vec::with_capacity(taken.slices.len());
        // Splits whose later rows come after one of the future. A split that cannot be read on is not one of them: what
        // was read of it counts.
        let mut broken_off = Vec::new();
        for mut slice in std::mem::take(&mut taken.slices) {
            let Some(split) = self.splits.iter_mut().find(|s| s.split.id == slice.split) else {
                continue;
            };
            if broken_off.contains(&slice.split) {
                taken.rows -= slice.batch.num_rows();
                continue;
            }
            let all = time.times(&slice.batch)?;
            let times = skew.without_future(&all, time.unit, clock_ns);
            let origin = Origin {
                split: &split.split.name,
                text: slice.text.take(),
                first_row: slice.from.row,
            };
            let future = skew.future_rows(&slice.batch, &all, &times, &origin, clock_ns);
            taken.rows -= future.len();
            if skew.fails
                && let Some(first) = future.first()
            {
                split.broken = Some(first.record.failure());
                (split.chunk, split.ended) = (None, false);
                broken_off.push(slice.split);
                taken.rows -= slice.batch.num_rows() - first.row - future.len();
                slice.batch = slice.batch.slice(0, first.row);
            } else {
                taken.bad.extend(future.into_iter().map(|future| future.record));
            }
            let rows = slice.batch.num_rows();
            let before = split.settled_ns.max(slice.explicit_ns);
            (split.settled_ns, slice.watermarks) = time.advance(&times.slice(0, rows), before, split.judged_from_ns);
            slice.watermark_before_ns = before;
            if rows > 0 {
                kept.push(slice);
            }
        }
        taken.slices = kept;
        for split in &mut self.splits {
            split.settled_ns = split.settled_ns.max(split.explicit_ns);
            split.watermark_ns = split.settled_ns;
        }
        Ok(None)
    }

    /// A slice without its rows of the future, as the recorded clock of its interval tells them.
    pub fn without_future(&self, slice: Slice, clock_ns: i64) -> Result<Slice> {
        match &self.time {
            Some(time) => time.drop_future(slice, clock_ns),
            None => Ok(slice),
        }
    }

    /// Whole rows of a slice, with all columns of the source, without those of the future.
    pub fn whole_without_future(&self, batch: RecordBatch, clock_ns: i64) -> Result<RecordBatch> {
        let Some(time) = self.time.as_ref().filter(|time| time.skew.is_some()) else {
            return Ok(batch);
        };
        let read = batch.project(&self.columns).map_err(|e| failed(e.into()))?;
        time.filter_future(&read, batch, clock_ns)
    }

    /// From now on rows of a split behind `judged_from` are judged one by one; `None` are the splits yet to appear.
    pub fn judge_from(&mut self, judged_from: impl Fn(Option<u32>) -> i64) {
        self.new_judged_from_ns = judged_from(None);
        for split in &mut self.splits {
            split.judged_from_ns = judged_from(Some(split.split.id));
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
    pub fn reread(&self, record: &SliceRecord, clock_ns: i64) -> Result<(RecordBatch, Option<Arc<Int64Array>>)> {
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
        let watermarks = self.watermarks(&batch, record, clock_ns)?;
        Ok((batch, watermarks))
    }

    /// The watermark before each row of a recorded slice, if its rows were judged one by one.
    pub fn watermarks(
        &self,
        batch: &RecordBatch,
        record: &SliceRecord,
        clock_ns: i64,
    ) -> Result<Option<Arc<Int64Array>>> {
        match &self.time {
            Some(time) if record.judged => {
                let mut times = time.times(batch)?;
                if let Some(skew) = &time.skew {
                    times = skew.without_future(&times, time.unit, clock_ns);
                }
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
