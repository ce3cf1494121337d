//! Blocks made ahead of their use on several threads, given in order.
//!
//! Owns: the window of blocks that are being made or wait to be read. Guarantees: order; a bound on what waits; the
//! bell rings when the next block is there; a job that dies is an error, not a standstill.
//! Depends on [`Workers`]. Start reading at [`Ahead::next`].

use super::super::{Bell, Chunk, Next, SplitReader, Workers};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Make = Arc<dyn Fn(u64) -> Result<Chunk> + Send + Sync>;

/// A reader over blocks that can be made independently of each other.
pub(super) struct Ahead {
    blocks: Box<dyn Iterator<Item = u64> + Send>,
    make: Make,
    workers: Workers,
    shelf: Arc<Shelf>,
    /// Jobs handed out so far; the next one's number.
    started: u64,
    /// Chunks given so far; the number of the one that is wanted now.
    given: u64,
}

/// Where finished blocks wait for their turn.
struct Shelf {
    finished: Mutex<Finished>,
    bell: Bell,
}

#[derive(Default)]
struct Finished {
    chunks: BTreeMap<u64, Result<Chunk>>,
    /// The number that the reader waits for.
    wanted: u64,
}

impl Ahead {
    pub(super) fn new(blocks: Box<dyn Iterator<Item = u64> + Send>, make: Make, workers: &Workers, bell: Bell) -> Self {
        Ahead {
            blocks,
            make,
            workers: workers.clone(),
            shelf: Arc::new(Shelf {
                finished: Mutex::default(),
                bell,
            }),
            started: 0,
            given: 0,
        }
    }

    /// One block per thread is being made while another per thread waits: enough that neither side stands still.
    fn start_jobs(&mut self) {
        let limit = self.given + 2 * self.workers.threads.max(1) as u64;
        while self.started < limit {
            let Some(block) = self.blocks.next() else { return };
            let make = Arc::clone(&self.make);
            let shelf = Arc::downgrade(&self.shelf);
            let number = self.started;
            self.started += 1;
            (self.workers.spawn)(Box::new(move || {
                // A reader that is gone needs no more blocks.
                let Some(shelf) = shelf.upgrade() else { return };
                let mut place = Place {
                    shelf,
                    number,
                    chunk: None,
                };
                place.chunk = Some(make(block));
            }));
        }
    }
}

impl SplitReader for Ahead {
    fn next(&mut self) -> Result<Next> {
        self.start_jobs();
        if self.given == self.started {
            return Ok(Next::Ended);
        }
        let Some(chunk) = self.shelf.take(self.given) else {
            return Ok(Next::Pending);
        };
        self.given += 1;
        self.start_jobs();
        chunk.map(Next::Chunk)
    }
}

impl Shelf {
    fn take(&self, number: u64) -> Option<Result<Chunk>> {
        let mut finished = self.lock();
        finished.wanted = number;
        finished.chunks.remove(&number)
    }

    fn put(&self, number: u64, chunk: Result<Chunk>) {
        let mut finished = self.lock();
        finished.chunks.insert(number, chunk);
        let is_next = finished.wanted == number;
        drop(finished);
        if is_next {
            self.bell.ring();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Finished> {
        // Every update is one insert or remove: what a panic leaves behind is whole.
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job's place on the shelf: dropped without a chunk (the job panicked), it says so to the reader.
struct Place {
    shelf: Arc<Shelf>,
    number: u64,
    chunk: Option<Result<Chunk>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let died = || Err(Error::internal("nexmark: the event generator failed"));
        let chunk = self.chunk.take().unwrap_or_else(died);
        self.shelf.put(self.number, chunk);
    }
}
