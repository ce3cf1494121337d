//! What was sent and not yet read, once for every reader.
//!
//! Owns: the queues, their bound, the bells of the readers, the wake-up of senders, and how far each reader has
//! committed. Guarantees: a batch is in all queues or in none. While nobody reads, one queue keeps what is sent for the first who will.
//! Depends on nothing but the seam. Start reading at [`Queues::offer`].

use super::super::Bell;
use super::MAX_ROWS_WAITING;
use datafusion::arrow::array::RecordBatch;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

#[derive(Default)]
pub(super) struct Queues {
    state: Mutex<State>,
    /// Woken when there may be room again, and at the end.
    room: Notify,
    /// Woken when a reader has committed, failed, or gone.
    progress: Notify,
}

#[derive(Default)]
struct State {
    /// By the number of their reader.
    readers: BTreeMap<u64, (Queue, Bell)>,
    /// Filled while there are no readers.
    unclaimed: Queue,
    next_reader: u64,
    /// How many programs have failed with something uncommitted, and why the last one did.
    failures: u64,
    why: String,
    closed: bool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Sent>,
    rows: usize,
    /// How many things have been put in: the number of the newest.
    sent: u64,
    /// The number of the newest thing that its reader has committed.
    committed: u64,
}

/// One thing to read: an explicit watermark, the rows after it, or both.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sent {
    /// Counted from 1 in its queue; that of the newest when several were joined.
    pub(super) number: u64,
    pub(super) watermark_ns: Option<i64>,
    pub(super) batch: Option<RecordBatch>,
}

/// By the number of its reader, the newest thing in each queue.
pub(super) type SoFar = Vec<(u64, u64)>;

/// What became of everything up to some point.
pub(super) enum Fate {
    Committed,
    Open,
    /// How many programs have failed by now, and why the last one did.
    Failed(u64, String),
}

/// What became of a batch.
pub(super) enum Offered {
    Taken,
    Full,
    Closed,
}

/// What a reader found.
pub(super) enum Taken {
    Sent(Sent),
    Nothing,
    End,
}

impl Queues {
    /// Puts the rows into every queue unless one of them is full.
    pub(super) fn offer(&self, batch: &RecordBatch) -> Offered {
        let mut state = self.lock();
        if state.closed {
            return Offered::Closed;
        }
        if batch.num_rows() == 0 {
            return Offered::Taken;
        }
        if state.queues().any(|queue| queue.rows >= MAX_ROWS_WAITING) {
            return Offered::Full;
        }
        state.queues().for_each(|queue| queue.add_rows(batch.clone()));
        ring(state);
        Offered::Taken
    }

    /// Puts a watermark behind the rows sent so far. It takes no room: two in a row are one.
    pub(super) fn watermark(&self, ns: i64) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.queues().for_each(|queue| queue.add_watermark(ns));
        ring(state);
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        ring(state);
        self.room.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Resolves when a queue has become shorter since it was enabled.
    pub(super) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// Resolves when a reader has got on since it was enabled.
    pub(super) fn progress(&self) -> Notified<'_> {
        self.progress.notified()
    }

    /// Everything that has been sent by now.
    pub(super) fn sent(&self) -> SoFar {
        let state = self.lock();
        // What nobody reads yet is for the reader that comes next.
        let unclaimed = state
            .readers
            .is_empty()
            .then_some((state.next_reader, state.unclaimed.sent));
        let claimed = state.readers.iter().map(|(number, (queue, _))| (*number, queue.sent));
        claimed.chain(unclaimed).collect()
    }

    /// What became of it. A reader that was stopped does not count any more; one that failed does when it is not among
    /// the `told` first.
    pub(super) fn fate(&self, sent: &SoFar, told: u64) -> Fate {
        let state = self.lock();
        if state.failures > told {
            return Fate::Failed(state.failures, state.why.clone());
        }
        let is_open = |(number, sent): &(u64, u64)| match state.readers.get(number) {
            Some((queue, _)) => queue.committed < *sent,
            None => *number == state.next_reader && *sent > 0,
        };
        match sent.iter().any(is_open) {
            true => Fate::Open,
            false => Fate::Committed,
        }
    }

    pub(super) fn failures(&self) -> u64 {
        self.lock().failures
    }

    /// A new reader; the first after nobody read gets what was kept.
    pub(super) fn reader(self: &Arc<Self>, bell: Bell) -> Reader {
        let mut state = self.lock();
        let number = state.next_reader;
        state.next_reader += 1;
        let queue = std::mem::take(&mut state.unclaimed);
        state.readers.insert(number, (queue, bell));
        Reader {
            queues: Arc::clone(self),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Queues are changed by whole entries: what a panic leaves behind is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rings every reader, with the lock released: a bell may call back.
fn ring(state: MutexGuard<'_, State>) {
    let bells: Vec<Bell> = state.readers.values().map(|(_, bell)| bell.clone()).collect();
    drop(state);
    bells.iter().for_each(Bell::ring);
}

impl State {
    /// Where sent rows go now.
    fn queues(&mut self) -> impl Iterator<Item = &mut Queue> {
        let unclaimed = self.readers.is_empty().then_some(&mut self.unclaimed);
        self.readers.values_mut().map(|(queue, _)| queue).chain(unclaimed)
    }
}

impl Queue {
    fn add_rows(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        self.sent += 1;
        let number = self.sent;
        match self.waiting.back_mut() {
            Some(last) if last.batch.is_none() => {
                last.batch = Some(batch);
                last.number = number;
            }
            _ => self.waiting.push_back(Sent {
                number,
                watermark_ns: None,
                batch: Some(batch),
            }),
        }
    }

    fn add_watermark(&mut self, ns: i64) {
        self.sent += 1;
        let number = self.sent;
        match self.waiting.back_mut() {
            Some(last) if last.batch.is_none() => {
                // Watermarks are a running maximum.
                last.watermark_ns = last.watermark_ns.max(Some(ns));
                last.number = number;
            }
            _ => self.waiting.push_back(Sent {
                number,
                watermark_ns: Some(ns),
                batch: None,
            }),
        }
    }
}

/// The reading end of one queue; dropping it forgets what waits there.
pub(super) struct Reader {
    queues: Arc<Queues>,
    number: u64,
}

impl Reader {
    pub(super) fn take(&self) -> Taken {
        let mut state = self.queues.lock();
        let closed = state.closed;
        let queue = state.readers.get_mut(&self.number).map(|(queue, _)| queue);
        let sent = queue.and_then(|queue| {
            let sent = queue.waiting.pop_front()?;
            queue.rows -= sent.batch.as_ref().map_or(0, RecordBatch::num_rows);
            Some(sent)
        });
        drop(state);
        match sent {
            Some(sent) => {
                self.queues.room.notify_waiters();
                Taken::Sent(sent)
            }
            None if closed => Taken::End,
            None => Taken::Nothing,
        }
    }

    /// Everything up to the thing of that number is committed.
    pub(super) fn committed(&self, number: u64) {
        if let Some((queue, _)) = self.queues.lock().readers.get_mut(&self.number) {
            queue.committed = number;
        }
        self.queues.progress.notify_waiters();
    }

    /// Nothing more will be committed; `Drop` wakes those who wait.
    pub(super) fn failed(&self, why: &str) {
        let mut state = self.queues.lock();
        let open = state
            .readers
            .get(&self.number)
            .is_some_and(|(queue, _)| queue.committed < queue.sent);
        if open {
            state.failures += 1;
            state.why = why.to_string();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.queues.lock().readers.remove(&self.number);
        self.queues.room.notify_waiters();
        self.queues.progress.notify_waiters();
    }
}
