//! Generators at the pace of the wall clock: rows are held back until they are due.
//!
//! Owns: the only use of a wall clock among the generators. Guarantees: the rows and their order are those
//! of the generator at full speed; only when they are given, and in which cut, depends on the clock.
//! Depends on [`Ahead`]. Start reading at [`Paced::next`].

use super::blocks::{Ahead, MakeBlock};
use super::{Bell, Chunk, Next, Offset, SplitReader};
use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// The bell rings at most so often: rows that fall due in between are given together.
const RING_EVERY: Duration = Duration::from_millis(1);

/// A reader that gives each row no earlier than it is due, counted from `opened`.
pub struct Paced {
    ahead: Ahead,
    maker: Arc<dyn MakeBlock>,
    opened: Instant,
    held: Option<Held>,
    alarm: Sender<Instant>,
}

/// A chunk that is given bit by bit.
struct Held {
    chunk: Chunk,
    /// For every row, when it is due, in milliseconds after opening.
    due_ms: Vec<u64>,
    given: usize,
}

impl Paced {
    /// Errors: the system gives no thread for the alarm.
    pub fn new(ahead: Ahead, maker: Arc<dyn MakeBlock>, opened: Instant, bell: Bell) -> Result<Self> {
        let (alarm, times) = channel();
        std::thread::Builder::new()
            .name("pace".to_string())
            .spawn(move || ring_at(&times, &bell))
            .map_err(|e| Error::connector("there is no thread left that could keep the pace of the rows").because(e))?;
        Ok(Paced {
            ahead,
            maker,
            opened,
            held: None,
            alarm,
        })
    }
}

/// Waits for each time and rings; ends when the reader is dropped.
fn ring_at(times: &Receiver<Instant>, bell: &Bell) {
    for time in times {
        let wait = time.saturating_duration_since(Instant::now());
        std::thread::sleep(wait.max(RING_EVERY));
        bell.ring();
    }
}

impl SplitReader for Paced {
    fn next(&mut self) -> Result<Next> {
        let mut held = match self.held.take() {
            Some(held) => held,
            None => match self.ahead.next()? {
                Next::Chunk(chunk) => Held {
                    due_ms: self.maker.due_ms(chunk.from.block),
                    chunk,
                    given: 0,
                },
                other => return Ok(other),
            },
        };
        if held.due_ms.is_empty() {
            return Ok(Next::Chunk(held.chunk));
        }
        let elapsed_ms = self.opened.elapsed().as_millis();
        let waiting = &held.due_ms[held.given..];
        let due = waiting.iter().take_while(|due| u128::from(**due) <= elapsed_ms).count();
        if due == 0 {
            let next = waiting.first().copied().unwrap_or_default();
            // Nobody listens only when the alarm's thread is gone, and it goes after this reader.
            let _ = self.alarm.send(self.opened + Duration::from_millis(next));
            self.held = Some(held);
            return Ok(Next::Pending);
        }
        let part = held.part(due);
        if held.given < held.due_ms.len() {
            self.held = Some(held);
        }
        Ok(Next::Chunk(part))
    }
}

impl Held {
    /// The next `rows` rows, as a chunk of their own.
    fn part(&mut self, rows: usize) -> Chunk {
        let place = |row: usize| Offset {
            block: self.chunk.from.block,
            row: row as u64,
        };
        let end = self.given + rows;
        let part = Chunk {
            from: place(self.given),
            to: if end == self.due_ms.len() {
                self.chunk.to
            } else {
                place(end)
            },
            batch: self.chunk.batch.slice(self.given, rows),
            bad: Vec::new(),
            watermark_ns: None,
            passed: None,
            text: None,
        };
        self.given = end;
        part
    }
}
