//! Outputs of a program: rows of an interval go to each, in order, are prepared and then committed. One that fails leaves
//! the others running.

use super::lanes::{Lanes, News, Parcel, Ring, Ticket};
use crate::dstream::graph::Output;
use crate::error::{Error, Result};
use crate::operators::Batch;
use crate::operators::fragment::failed;
use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where the rows of one query go.
pub trait Delivery: Send {
    /// Takes the rows of an interval (none when there are none); nothing becomes visible yet.
    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()>;

    /// The recorded clock of the interval that is committed next.
    fn clock(&mut self, _clock_ns: i64) {}

    /// For how long it keeps rows back at most, if it does: it is told the clock of intervals without rows too, and there
    /// is one when the time is up.
    fn keeps_back_ns(&self) -> Option<i64> {
        None
    }

    /// Makes them visible. False when the reader wants no more.
    fn commit(&mut self, interval: u64) -> Result<bool>;

    /// The query has given everything.
    fn finish(&mut self) -> Result<()>;

    /// The query has been stopped: by its user (`None`) or by an error.
    fn stop(&mut self, why: Option<&Error>);

    /// Bytes that it was given and that nobody has taken yet.
    fn waiting_bytes(&self) -> usize {
        0
    }

    /// Whether others would have to wait for it.
    fn pace(&self) -> Pace {
        Pace::AtOnce
    }
}

/// How an output is delivered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// It never waits for anybody: within the interval.
    AtOnce,
    /// It may be slow: at its own pace. Intervals without rows pass it by.
    Own,
    /// The same, together with all others of that name, in the order of intervals and outputs.
    Shared(&'static str),
}

/// Who takes the rows of one query, and (`LATE ROWS INTO`) those that came too late for it.
pub struct Receiver {
    pub rows: Box<dyn Delivery>,
    pub late: Option<Box<dyn Delivery>>,
}

impl Receiver {
    /// Delivers an interval. False when the reader wants no more.
    pub fn give(&mut self, parcel: &Parcel) -> Result<bool> {
        self.rows.prepare(parcel.interval, &parcel.rows)?;
        if let Some(late) = &mut self.late {
            late.prepare(parcel.interval, &parcel.late)?;
        }
        self.rows.clock(parcel.clock_ns);
        let more = self.rows.commit(parcel.interval)?;
        if let Some(late) = &mut self.late {
            late.clock(parcel.clock_ns);
            // Whoever wants no late rows may want the others still.
            late.commit(parcel.interval)?;
        }
        Ok(more)
    }

    pub fn finish(&mut self) -> Result<()> {
        self.rows.finish()?;
        self.late.as_mut().map_or(Ok(()), |late| late.finish())
    }

    pub fn stop(&mut self, why: Option<&Error>) {
        self.rows.stop(why);
        if let Some(late) = &mut self.late {
            late.stop(why);
        }
    }

    fn keep_back_ns(&self) -> Vec<i64> {
        let late = self.late.as_ref().and_then(|late| late.keeps_back_ns());
        self.rows.keeps_back_ns().into_iter().chain(late).collect()
    }

    /// That of the slower of the two.
    pub fn pace(&self) -> Pace {
        let late = self.late.as_ref().map(|late| late.pace());
        late.into_iter().fold(self.rows.pace(), Pace::max)
    }
}

/// Is told which output has failed, and why.
pub type OnFailure = Box<dyn Fn(usize, &Arc<Error>) + Send>;

/// All outputs of a program.
pub struct Outputs {
    all: Vec<Delivered>,
    lanes: Lanes,
    on_failure: OnFailure,
    /// Those that have failed, and why.
    failed: BTreeMap<usize, Arc<Error>>,
    /// Some output has come to its end without having failed.
    some_ended: bool,
}

/// The outputs that were cancelled and still deliver what they had been given, after the end of their program.
pub struct Lingering {
    pub outputs: BTreeSet<usize>,
    pub lanes: Lanes,
}

struct Delivered {
    way: Way,
    rows: Vec<RecordBatch>,
    /// Late rows of the interval that runs.
    late: Vec<RecordBatch>,
    takes_late: bool,
    /// For how long it keeps rows back. If it does, intervals without rows are delivered too.
    keep_back_ns: Vec<i64>,
    /// The clock on which it was given rows last, and on which it is to be told the clock, rows or not.
    given_ns: Option<i64>,
    tell_ns: Option<i64>,
    /// Rows that OFFSET still leaves out, and that LIMIT still lets through.
    skip: usize,
    left: Option<usize>,
    done: bool,
    /// It has been given everything.
    finished: bool,
}

impl Delivered {
    /// When the time of the rows that it was given last is up, behind a clock.
    fn next_tell_ns(&self, clock_ns: i64) -> Option<i64> {
        let given_ns = self.given_ns?;
        let ends = self.keep_back_ns.iter().map(|ns| given_ns.saturating_add(*ns));
        ends.filter(|end_ns| *end_ns > clock_ns).min()
    }
}

enum Way {
    AtOnce(Receiver),
    Lane(Ticket),
}

impl Outputs {
    /// In the order of [`Graph::outputs`](crate::dstream::graph::Graph::outputs). With `ring`, outputs that may be slow
    /// are delivered to at their own pace, and it is rung when they have got on.
    ///
    /// Errors: a thread cannot be started.
    pub fn new(
        outputs: &[Output],
        receivers: Vec<Receiver>,
        ring: Option<&Ring>,
        on_failure: OnFailure,
    ) -> Result<Self> {
        let traits = |r: &Receiver| (r.late.is_some(), r.keep_back_ns());
        let traits: Vec<(bool, Vec<i64>)> = receivers.iter().map(traits).collect();
        let mut receivers: BTreeMap<usize, Receiver> = receivers.into_iter().enumerate().collect();
        let (lanes, mut tickets) = match ring {
            Some(ring) => Lanes::start(&mut receivers, ring)?,
            None => Default::default(),
        };
        let mut all = Vec::new();
        for (index, (output, (takes_late, keep_back_ns))) in outputs.iter().zip(traits).enumerate() {
            let lane = tickets.remove(&index).map(Way::Lane);
            let Some(way) = lane.or_else(|| receivers.remove(&index).map(Way::AtOnce)) else {
                return Err(Error::internal("an output has no receiver"));
            };
            all.push(Delivered {
                way,
                rows: Vec::new(),
                late: Vec::new(),
                takes_late,
                keep_back_ns,
                given_ns: None,
                tell_ns: None,
                skip: output.skip,
                left: output.fetch,
                done: false,
                finished: false,
            });
        }
        Ok(Outputs {
            all,
            lanes,
            on_failure,
            failed: BTreeMap::new(),
            some_ended: false,
        })
    }

    /// Whether an output still wants rows.
    pub fn runs(&self, index: usize) -> bool {
        self.all.get(index).is_some_and(|d| !d.done)
    }

    /// Whether any of them does.
    pub fn any_runs(&self) -> bool {
        self.all.iter().any(|d| !d.done)
    }

    /// Why nothing more is wanted, when that is because every output has failed.
    pub fn all_failed(&self) -> Option<&Arc<Error>> {
        self.failed
            .values()
            .next()
            .filter(|_| !self.some_ended && !self.any_runs())
    }

    /// Why an output has failed, if it has.
    pub fn failure(&self, index: usize) -> Option<&Arc<Error>> {
        self.failed.get(&index)
    }

    /// Takes the rows of the interval that runs for an output; gives how many there are.
    pub fn take(&mut self, index: usize, output: &Output, batches: &[Arc<Batch>]) -> Result<usize> {
        let Some(delivered) = self.all.get_mut(index).filter(|d| !d.done) else {
            return Ok(0);
        };
        let batches = batches
            .iter()
            .flat_map(|b| b.record_batches())
            .filter(|b| b.num_rows() > 0)
            .collect();
        delivered.rows = limited(in_order(batches, output)?, &mut delivered.skip, &mut delivered.left);
        Ok(delivered.rows.iter().map(RecordBatch::num_rows).sum())
    }

    /// Rows of the interval that came too late for an output.
    pub fn came_late(&mut self, index: usize, rows: Vec<RecordBatch>) {
        if let Some(delivered) = self.all.get_mut(index)
            && delivered.takes_late
        {
            delivered.late.extend(rows);
        }
    }

    /// Delivers the interval everywhere: prepared, then committed, now or at the pace of the output.
    pub fn deliver(&mut self, interval: u64, clock_ns: i64) {
        for index in 0..self.all.len() {
            let delivered = &mut self.all[index];
            if delivered.done {
                continue;
            }
            let parcel = Parcel {
                interval,
                clock_ns,
                rows: std::mem::take(&mut delivered.rows),
                late: std::mem::take(&mut delivered.late),
            };
            let has_rows = !parcel.rows.is_empty() || !parcel.late.is_empty();
            if has_rows {
                delivered.given_ns = Some(clock_ns);
            }
            delivered.tell_ns = delivered.next_tell_ns(clock_ns);
            let more = match &mut delivered.way {
                Way::AtOnce(receiver) => receiver.give(&parcel),
                Way::Lane(ticket) => {
                    if has_rows || !delivered.keep_back_ns.is_empty() {
                        ticket.send(parcel);
                    }
                    Ok(true)
                }
            };
            match more {
                Err(error) => self.fail(index, &Arc::new(error)),
                Ok(false) => self.stop_one(index),
                Ok(true) if self.all[index].left == Some(0) => self.finish_one(index),
                Ok(true) => {}
            }
        }
    }

    /// When the next output is to be told the clock, as the time of rows that it keeps back is up.
    pub fn next_tell_ns(&self) -> Option<i64> {
        let live = self.all.iter().filter(|d| !d.done);
        live.filter_map(|d| d.tell_ns).min()
    }

    /// What has happened to outputs at their own pace. True when one of them wants no more.
    pub fn look(&mut self) -> bool {
        let mut changed = false;
        for index in 0..self.all.len() {
            let Way::Lane(ticket) = &self.all[index].way else {
                continue;
            };
            let Some(news) = ticket.news() else { continue };
            changed |= !self.all[index].done;
            match news {
                News::Failed(error) => self.note_failure(index, &Arc::new(error)),
                News::Enough => {
                    // Whoever wants no more does not miss what could not be made.
                    self.failed.remove(&index);
                    self.some_ended = true;
                }
            }
            self.all[index].done = true;
        }
        changed
    }

    /// The outputs that have been given everything, of which everything is delivered.
    pub fn finished(&self) -> impl Iterator<Item = usize> {
        let is_delivered = |d: &Delivered| match &d.way {
            Way::Lane(ticket) => ticket.has_ended(),
            Way::AtOnce(_) => true,
        };
        let all = self.all.iter().enumerate();
        let finished = all.filter(move |(_, d)| d.finished && is_delivered(d));
        finished
            .map(|(index, _)| index)
            .filter(|index| !self.failed.contains_key(index))
    }

    /// Bytes that wait for the slowest output.
    pub fn waiting_bytes(&self) -> usize {
        let waiting = |d: &Delivered| match &d.way {
            Way::Lane(ticket) => ticket.waiting_bytes(),
            Way::AtOnce(receiver) => receiver.rows.waiting_bytes(),
        };
        let live = self.all.iter().filter(|d| !d.done);
        live.map(waiting).max().unwrap_or(0)
    }

    /// The oldest interval that some output has not committed.
    pub fn oldest_waiting(&self) -> Option<u64> {
        let oldest = |d: &Delivered| match &d.way {
            Way::Lane(ticket) => ticket.oldest(),
            Way::AtOnce(_) => None,
        };
        self.all.iter().filter_map(oldest).min()
    }

    /// Everything has been given: waits until it is delivered. Failures that only show now are told as all others.
    pub fn finish(&mut self) {
        for index in 0..self.all.len() {
            if !self.all[index].done {
                self.finish_one(index);
            }
        }
        self.lanes.join();
        self.look();
    }

    /// Stops all; what has been given is delivered still, by an output that is slow as far as it gets in a few seconds.
    pub fn stop(&mut self, why: Option<&Error>) {
        for delivered in self.all.iter_mut().filter(|d| !d.done) {
            delivered.done = true;
            match (&mut delivered.way, why) {
                (Way::AtOnce(receiver), _) => receiver.stop(why),
                (Way::Lane(ticket), Some(_)) => ticket.stop(why),
                (Way::Lane(ticket), None) => ticket.stop_soon(),
            }
        }
        self.lanes.join();
        self.look();
    }

    /// Once everything is stopped or finished: what is left of it.
    pub fn lingering(self) -> Lingering {
        let lingers = |d: &Delivered| matches!(&d.way, Way::Lane(ticket) if ticket.lingers());
        let all = self.all.iter().enumerate();
        Lingering {
            outputs: all.filter(|(_, d)| lingers(d)).map(|(index, _)| index).collect(),
            lanes: self.lanes,
        }
    }

    /// Whether an output that was stopped still delivers what it has been given.
    pub fn lingers(&self, index: usize) -> bool {
        let delivered = self.all.get(index);
        delivered.is_some_and(|d| matches!(&d.way, Way::Lane(ticket) if ticket.lingers()))
    }

    /// Stops one output; what it has been given is delivered still.
    pub fn stop_one(&mut self, index: usize) {
        self.some_ended = true;
        self.end(index, None);
    }

    /// Stops one output that cannot go on. That is told when everything it has been given before is delivered.
    pub fn fail(&mut self, index: usize, why: &Arc<Error>) {
        if !self.runs(index) {
            return;
        }
        self.end(index, Some(why));
        match self.all[index].way {
            Way::AtOnce(_) => self.note_failure(index, why),
            Way::Lane(_) => drop(self.failed.insert(index, Arc::clone(why))),
        }
    }

    fn end(&mut self, index: usize, why: Option<&Error>) {
        let Some(delivered) = self.all.get_mut(index).filter(|d| !d.done) else {
            return;
        };
        delivered.done = true;
        match (&mut delivered.way, why) {
            (Way::AtOnce(receiver), _) => receiver.stop(why),
            (Way::Lane(ticket), None) => ticket.abandon(),
            (Way::Lane(ticket), Some(_)) => ticket.stop(why),
        }
    }

    /// One output has been given everything.
    pub fn finish_one(&mut self, index: usize) {
        let Some(delivered) = self.all.get_mut(index).filter(|d| !d.done) else {
            return;
        };
        delivered.done = true;
        let finished = match &mut delivered.way {
            Way::AtOnce(receiver) => receiver.finish(),
            Way::Lane(ticket) => {
                ticket.finish();
                Ok(())
            }
        };
        match finished {
            Ok(()) => (delivered.finished, self.some_ended) = (true, true),
            Err(error) => self.note_failure(index, &Arc::new(error)),
        }
    }

    fn note_failure(&mut self, index: usize, why: &Arc<Error>) {
        self.failed.insert(index, Arc::clone(why));
        (self.on_failure)(index, why);
    }
}

/// Windows come from several partitions: in the order of their ends, and within one in the order of partitions.
fn in_order(batches: Vec<RecordBatch>, output: &Output) -> Result<Vec<RecordBatch>> {
    let (Some(column), Some(first)) = (output.order_by, batches.first()) else {
        return renamed(batches, output);
    };
    let all = concat_batches(&first.schema(), &batches).map_err(|e| failed(e.into()))?;
    let places = UInt32Array::from_iter_values(0..all.num_rows() as u32);
    let keys = [
        SortColumn {
            values: Arc::clone(all.column(column)),
            options: None,
        },
        SortColumn {
            values: Arc::new(places),
            options: None,
        },
    ];
    let order = lexsort_to_indices(&keys, None).map_err(|e| failed(e.into()))?;
    let sorted = take_record_batch(&all, &order).map_err(|e| failed(e.into()))?;
    renamed(vec![sorted], output)
}

fn renamed(batches: Vec<RecordBatch>, output: &Output) -> Result<Vec<RecordBatch>> {
    let columns: Vec<usize> = (0..output.schema.fields().len()).collect();
    let rename = |b: RecordBatch| crate::operators::input::renamed(&b, &columns, &output.schema).map_err(failed);
    batches.into_iter().map(rename).collect()
}

fn limited(batches: Vec<RecordBatch>, skip: &mut usize, left: &mut Option<usize>) -> Vec<RecordBatch> {
    let mut kept = Vec::new();
    for batch in batches {
        let skipped = batch.num_rows().min(*skip);
        *skip -= skipped;
        let mut count = batch.num_rows() - skipped;
        if let Some(left) = left {
            count = count.min(*left);
            *left -= count;
        }
        if count > 0 {
            kept.push(batch.slice(skipped, count));
        }
    }
    kept
}
