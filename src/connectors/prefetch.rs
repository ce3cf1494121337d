//! Reading ahead: the pieces of a split are made on worker threads and handed over in order.
//!
//! A split is a sequence of *lanes* (a block of text, a row group): opening the next lane is cheap and sequential,
//! working through one is neither, so several lanes are worked on at once. Nothing here blocks the caller.

use super::{Bell, Workers};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many items of one lane may wait, whatever they weigh: a row group is decoded a little ahead, not as a whole.
const LANE_ITEMS: usize = 4;

/// How many of the lane that is being read: about two intervals of 8,192-row pieces, so that decoding goes on while an
/// interval is computed.
const FRONT_ITEMS: usize = 16;

/// So many bytes of a lane may wait, however many items they are: of a few narrow columns that is half a large row
/// group, and while one thread decodes the lane that is being read the others are busy with those behind it.
const LANE_BYTES: usize = 8 << 20;

/// How many lanes all splits of a source keep ahead together, for each worker thread.
const AHEAD_PER_THREAD: usize = 4;

/// Where lanes come from, in order. `None` at the end.
pub trait Lanes: Send {
    type Lane: Lane;
    fn open(&mut self) -> Result<Option<Self::Lane>>;
}

/// One lane: gives its items one by one, `None` at its end.
pub trait Lane: Send + 'static {
    type Item: Weighed + Send + 'static;
    fn step(&mut self) -> Result<Option<Self::Item>>;
}

/// Takes memory while it waits.
pub trait Weighed {
    /// About how many bytes.
    fn bytes(&self) -> usize;
}

/// What [`Prefetch::next`] has.
#[derive(Debug)]
pub enum Front<T> {
    Item(T),
    Pending,
    Ended,
}

/// Lanes that the splits of one source may still keep ahead, so that a thousand files are not all read ahead at once.
#[derive(Clone)]
pub struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    pub fn new(workers: &Workers) -> Self {
        Allowance(Arc::new(AtomicUsize::new(workers.threads.max(1) * AHEAD_PER_THREAD)))
    }

    fn take(&self) -> Option<Permit> {
        let less = |left: usize| left.checked_sub(1);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok().then(|| Permit(self.clone()))
    }
}

/// A lane ahead; gives its place back when dropped.
struct Permit(Allowance);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Job = Box<dyn FnOnce() + Send>;
type Item<L> = <<L as Lanes>::Lane as Lane>::Item;

/// The reader's end of a split.
pub struct Prefetch<L: Lanes + 'static> {
    shared: Arc<Shared<L>>,
    workers: Workers,
    allowance: Allowance,
    /// Items given so far: the first lane alone is read until someone has wanted more than a look.
    given: usize,
}

struct Shared<L: Lanes> {
    /// Held while a lane is opened, so that lanes are numbered in order; `None` once there are no more.
    lanes: Mutex<Option<L>>,
    queue: Mutex<Queue<L>>,
    bell: Bell,
}

struct Queue<L: Lanes> {
    slots: VecDeque<Slot<L>>,
    /// The number of the first slot.
    first: u64,
    /// Jobs that will open a lane and have not yet.
    opening: usize,
    exhausted: bool,
    closed: bool,
}

/// A lane in the queue, its items in order.
struct Slot<L: Lanes> {
    items: VecDeque<Result<Item<L>>>,
    /// Of the items.
    bytes: usize,
    /// The lane while nobody works on it and it has more.
    parked: Option<L::Lane>,
    ended: bool,
    _permit: Option<Permit>,
}

impl<L: Lanes> Slot<L> {
    fn put(&mut self, item: Result<Item<L>>) {
        self.bytes += item.as_ref().map_or(0, Weighed::bytes);
        self.items.push_back(item);
    }

    fn take(&mut self) -> Option<Result<Item<L>>> {
        let item = self.items.pop_front()?;
        self.bytes -= item.as_ref().map_or(0, Weighed::bytes);
        Some(item)
    }

    fn is_full(&self, is_front: bool) -> bool {
        self.items.len() >= if is_front { FRONT_ITEMS } else { LANE_ITEMS } && self.bytes >= LANE_BYTES
    }

    /// The lane that is being read should be worked on again.
    fn is_low(&self) -> bool {
        self.items.len() <= FRONT_ITEMS / 2 || self.bytes <= LANE_BYTES / 2
    }
}

impl<L: Lanes + 'static> Prefetch<L> {
    /// Does nothing until the first [`Prefetch::next`].
    pub fn new(lanes: L, workers: Workers, allowance: Allowance, bell: Bell) -> Self {
        let queue = Queue {
            slots: VecDeque::new(),
            first: 0,
            opening: 0,
            exhausted: false,
            closed: false,
        };
        let shared = Shared {
            lanes: Mutex::new(Some(lanes)),
            queue: Mutex::new(queue),
            bell,
        };
        Prefetch {
            shared: Arc::new(shared),
            workers,
            allowance,
            given: 0,
        }
    }

    /// The next item if it is there; the bell rings when there is more after `Pending`.
    ///
    /// Errors: those of the lanes, each in its place. What comes after an error is not to be used.
    pub fn next(&mut self) -> Result<Front<Item<L>>> {
        let mut jobs: Vec<Job> = Vec::new();
        let front = self.take_front(&mut jobs);
        // Outside the lock: a job may run at once, on this thread.
        for job in jobs {
            (self.workers.spawn)(job);
        }
        front
    }

    fn take_front(&mut self, jobs: &mut Vec<Job>) -> Result<Front<Item<L>>> {
        let shared = self.shared.clone();
        let mut queue = lock(&shared.queue);
        let front = loop {
            let number = queue.first;
            let Some(slot) = queue.slots.front_mut() else {
                let done = queue.exhausted && queue.opening == 0;
                break if done { Ok(Front::Ended) } else { Ok(Front::Pending) };
            };
            let item = slot.take();
            if slot.is_low()
                && let Some(lane) = slot.parked.take()
            {
                let shared = self.shared.clone();
                jobs.push(Box::new(move || shared.work(number, lane)));
            }
            match item {
                Some(item) => break item.map(Front::Item),
                None if slot.ended => {
                    queue.slots.pop_front();
                    queue.first += 1;
                }
                None => break Ok(Front::Pending),
            }
        };
        self.given += usize::from(matches!(front, Ok(Front::Item(_))));
        self.open_ahead(&mut queue, jobs);
        front
    }

    /// Sees to it that enough lanes are open or being opened.
    fn open_ahead(&self, queue: &mut Queue<L>, jobs: &mut Vec<Job>) {
        let wanted = if self.given == 0 {
            1
        } else {
            2 * self.workers.threads + 1
        };
        while !queue.exhausted && queue.slots.len() + queue.opening < wanted {
            // One lane is not ahead: every split may have that.
            let is_ahead = queue.slots.len() + queue.opening > 0;
            let permit = if is_ahead { self.allowance.take() } else { None };
            if is_ahead && permit.is_none() {
                return;
            }
            queue.opening += 1;
            let shared = self.shared.clone();
            jobs.push(Box::new(move || shared.open(permit)));
        }
    }
}

impl<L: Lanes + 'static> Drop for Prefetch<L> {
    fn drop(&mut self) {
        let mut queue = lock(&self.shared.queue);
        queue.closed = true;
        queue.slots.clear();
    }
}

impl<L: Lanes + 'static> Shared<L> {
    /// Job: opens the next lane and works on it.
    fn open(&self, permit: Option<Permit>) {
        let mut lanes = lock(&self.lanes);
        let opened = match lanes.as_mut() {
            Some(source) => guard(|| source.open()),
            None => Ok(None),
        };
        if !matches!(opened, Ok(Some(_))) {
            *lanes = None;
        }
        let mut queue = lock(&self.queue);
        queue.opening -= 1;
        let mut slot = Slot {
            items: VecDeque::new(),
            bytes: 0,
            parked: None,
            ended: false,
            _permit: permit,
        };
        let number = queue.first + queue.slots.len() as u64;
        match opened {
            _ if queue.closed => {}
            Ok(Some(lane)) => {
                queue.slots.push_back(slot);
                drop((queue, lanes));
                self.work(number, lane);
                return;
            }
            Ok(None) => queue.exhausted = true,
            Err(error) => {
                queue.exhausted = true;
                slot.put(Err(error));
                slot.ended = true;
                queue.slots.push_back(slot);
            }
        }
        drop((queue, lanes));
        self.bell.ring();
    }

    /// Job: works on a lane until enough of its items wait.
    fn work(&self, number: u64, mut lane: L::Lane) {
        loop {
            let item = guard(|| lane.step());
            let mut queue = lock(&self.queue);
            if queue.closed {
                return;
            }
            let is_front = number == queue.first;
            let Some(slot) = number
                .checked_sub(queue.first)
                .and_then(|at| queue.slots.get_mut(at as usize))
            else {
                return;
            };
            let more = matches!(item, Ok(Some(_)));
            item.transpose().into_iter().for_each(|item| slot.put(item));
            slot.ended = !more;
            if more && !slot.is_full(is_front) {
                drop(queue);
                self.ring_if(is_front);
                continue;
            }
            // In the same step as the last item: whoever takes that one must find the lane parked.
            slot.parked = more.then_some(lane);
            drop(queue);
            return self.ring_if(is_front);
        }
    }

    fn ring_if(&self, is_front: bool) {
        if is_front {
            self.bell.ring();
        }
    }
}

/// A panic while decoding is an error of that place, not the end of the program.
fn guard<T>(job: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| Err(Error::internal("a decoder failed: please report it")))
}

/// The lock, also after a panic elsewhere: what it guards is changed in single steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    /// Lanes 0, 1, 2 … of `n % 7` items each; number 20 panics.
    struct Counted(u64);

    struct Count {
        lane: u64,
        item: u64,
    }

    impl Lanes for Counted {
        type Lane = Count;

        fn open(&mut self) -> Result<Option<Count>> {
            self.0 += 1;
            Ok(Some(Count {
                lane: self.0 - 1,
                item: 0,
            }))
        }
    }

    impl Weighed for (u64, u64) {
        fn bytes(&self) -> usize {
            LANE_BYTES / 4
        }
    }

    impl Lane for Count {
        type Item = (u64, u64);

        fn step(&mut self) -> Result<Option<(u64, u64)>> {
            assert_ne!(self.lane, 20, "as a decoder might");
            // Later lanes are done first.
            std::thread::sleep(Duration::from_micros(500 * (3 - self.lane % 4)));
            self.item += 1;
            Ok((self.item <= self.lane % 7).then_some((self.lane, self.item)))
        }
    }

    #[test]
    fn items_come_in_order_and_a_panic_is_an_error_in_its_place() {
        let on_threads: fn(Job) = |job| drop(std::thread::spawn(job));
        let at_once: fn(Job) = |job| job();
        for spawn in [on_threads, at_once] {
            let workers = Workers {
                threads: 3,
                spawn: Arc::new(spawn),
            };
            let (rung, heard) = mpsc::channel();
            let bell = Bell(Arc::new(move || {
                rung.send(()).ok();
            }));
            let allowance = Allowance::new(&workers);
            let mut prefetch = Prefetch::new(Counted(0), workers, allowance, bell);
            let mut found = Vec::new();
            let error = loop {
                match prefetch.next() {
                    Ok(Front::Item(item)) => found.push(item),
                    Ok(Front::Pending) => heard.recv_timeout(Duration::from_secs(20)).unwrap(),
                    Ok(Front::Ended) => panic!("the lanes do not end"),
                    Err(error) => break error,
                }
            };
            let expected: Vec<_> = (0..20)
                .flat_map(|lane| (1..=lane % 7).map(move |item| (lane, item)))
                .collect();
            assert_eq!(found, expected);
            assert_eq!(error.message, "a decoder failed: please report it");
        }
    }
}
