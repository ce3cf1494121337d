//! What was sent and not yet read, once for every reader.
//!
//! Owns: the queues, their bound, the bells of the readers and the wake-up of senders. Guarantees: a batch is in all
//! queues or in none. While nobody reads, one queue keeps what is sent for the first who will.
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
}

#[derive(Default)]
struct State {
    /// By the number of their reader.
    readers: BTreeMap<u64, (Queue, Bell)>,
    /// Filled while there are no readers.
    unclaimed: Queue,
    next_reader: u64,
    closed: bool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Sent>,
    rows: usize,
}

/// One thing to read: an explicit watermark, the rows after it, or both.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sent {
    pub(super) watermark_ns: Option<i64>,
    pub(super) batch: Option<RecordBatch>,
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
        match self.waiting.back_mut() {
            Some(last) if last.batch.is_none() => last.batch = Some(batch),
            _ => self.waiting.push_back(Sent {
                watermark_ns: None,
                batch: Some(batch),
            }),
        }
    }

    fn add_watermark(&mut self, ns: i64) {
        match self.waiting.back_mut() {
            // Watermarks are a running maximum.
            Some(last) if last.batch.is_none() => last.watermark_ns = last.watermark_ns.max(Some(ns)),
            _ => self.waiting.push_back(Sent {
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
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.queues.lock().readers.remove(&self.number);
        self.queues.room.notify_waiters();
    }
}
