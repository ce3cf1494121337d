//! The whole lines of a file that grows.

use super::follow::Fate;
use super::source::{Reading, passed_over};
use crate::connectors::{Bell, Chunk, Next, Offset, SplitReader};
use crate::error::{Error, Result};
use crate::formats::{MAX_RECORD_BYTES, Pending, RowDecoder, Rule, Scan, is_blank, last_end};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 1 << 20;

/// How many blocks wait for the reader at most.
const BLOCKS_WAITING: usize = 8;

/// How long a file is read that has lost its name, after its last bytes: whoever writes it may not have heard so far.
const LINGER: Duration = Duration::from_secs(5);

/// So many of the bytes read last are remembered: where others stand in their place, the file was written anew.
const MARK_BYTES: usize = 256;

/// The end of a file at which lines are read. Works on the thread that looks for news.
pub struct Tail {
    handle: File,
    /// How far it has been read, and the bytes before that place.
    at: u64,
    mark: Vec<u8>,
    name: String,
    reading: Reading,
    /// `None` until the header is whole.
    decoder: Option<RowDecoder>,
    /// Lines that are still to be passed over.
    to_skip: u64,
    /// Less than a record, or the header.
    pending: Pending,
    /// The file has lost its name, and there was nothing to read since.
    quiet_since: Option<Instant>,
    queue: Arc<Mutex<Queue>>,
    bell: Bell,
}

/// What waits for the reader.
#[derive(Default)]
pub struct Queue {
    items: VecDeque<Result<Chunk>>,
    ended: bool,
    /// The reader is gone.
    closed: bool,
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tail {
    /// A tail at the beginning of a file.
    pub fn new(handle: File, name: &str, reading: Reading, bell: Bell) -> (Tail, Arc<Mutex<Queue>>) {
        let queue = Arc::new(Mutex::new(Queue::default()));
        let tail = Tail {
            handle,
            at: 0,
            mark: Vec::new(),
            name: name.to_string(),
            to_skip: reading.format.skip_lines(),
            reading,
            decoder: None,
            pending: Pending::at(0),
            quiet_since: None,
            queue: queue.clone(),
            bell,
        };
        (tail, queue)
    }

    /// Whether there is nothing to do here any more.
    pub fn has_ended(&self) -> bool {
        let queue = lock(&self.queue);
        queue.ended || queue.closed
    }

    /// When the file was written last, if the system tells.
    pub fn modified(&self) -> Option<SystemTime> {
        self.handle.metadata().and_then(|metadata| metadata.modified()).ok()
    }

    /// Reads what has come. When no more will, the last line counts without its end. What was cut, also as is found out
    /// here, ends. True when there was something.
    pub fn read_on(&mut self, fate: &mut Fate) -> bool {
        if self.has_ended() || lock(&self.queue).items.len() >= BLOCKS_WAITING {
            return false;
        }
        let mut got = 0;
        let step = match self.read(fate) {
            Ok(_) if *fate == Fate::Cut => Ok(true),
            Ok(read) => {
                got = read;
                let last = self.is_last(*fate, read);
                self.give(last)
            }
            Err(e) => Err(Error::connector(format!("{}: {e}", self.name)).because(e)),
        };
        let ended = match step {
            Ok(ended) => ended,
            Err(error) => {
                let Reading { wanted, on_error, .. } = &self.reading;
                let at = place(self.pending.offset);
                let wrong = passed_over(*on_error, wanted.projected(), &self.name, error);
                let item = wrong.map(|wrong| Chunk::of(wrong, at, at));
                lock(&self.queue).items.push_back(item);
                true
            }
        };
        lock(&self.queue).ended = ended;
        let news = ended || got > 0;
        if news {
            self.bell.ring();
        }
        news
    }

    /// Reads behind what has been read, if that is still there; else the file was cut.
    fn read(&mut self, fate: &mut Fate) -> io::Result<usize> {
        if *fate == Fate::Cut {
            return Ok(0);
        }
        self.handle.seek(SeekFrom::Start(self.at - self.mark.len() as u64))?;
        let mut mark = Vec::with_capacity(self.mark.len());
        let remembered = self.mark.len() as u64;
        (&mut self.handle).take(remembered).read_to_end(&mut mark)?;
        if mark != self.mark {
            *fate = Fate::Cut;
            return Ok(0);
        }
        let before = self.pending.bytes.len();
        let read = (&mut self.handle)
            .take(READ_BYTES as u64)
            .read_to_end(&mut self.pending.bytes)?;
        self.at += read as u64;
        let new = &self.pending.bytes[before..];
        self.mark
            .extend_from_slice(&new[new.len().saturating_sub(MARK_BYTES)..]);
        self.mark.drain(..self.mark.len().saturating_sub(MARK_BYTES));
        Ok(read)
    }

    /// Whether no more will come, when the last look at the file has read so many bytes.
    fn is_last(&mut self, fate: Fate, read: usize) -> bool {
        if fate != Fate::Over || read > 0 {
            self.quiet_since = None;
            return false;
        }
        self.quiet_since.get_or_insert_with(Instant::now).elapsed() >= LINGER
    }

    /// Hands the whole records over; `last`: all there is. True at the end.
    fn give(&mut self, last: bool) -> Result<bool> {
        let unreadable = |e: std::io::Error| Error::connector(format!("{}: {e}", self.name)).because(e);
        self.pending.skip_mark().map_err(unreadable)?;
        if self.decoder.is_none() && !self.begin(last)? {
            return Ok(last);
        }
        let rule = self.reading.format.rule();
        let block = match last {
            true => self.pending.cut_last(),
            false => last_end(rule, &self.pending.bytes).map(|end| self.pending.cut(end)),
        };
        let block = match block {
            Some(block) => block,
            _ if self.pending.bytes.len() > MAX_RECORD_BYTES => {
                let message = format!("{}:{}: the line is longer than 256 MiB", self.name, self.pending.line);
                return Err(Error::data(message));
            }
            _ => return Ok(last),
        };
        let Some(decoder) = &self.decoder else {
            return Ok(last);
        };
        let mut decoded = decoder.decode_block(&block);
        let stop = decoded.stop.take();
        let chunk = Chunk::of(decoded, place(block.offset), place(block.end()));
        lock(&self.queue).items.push_back(Ok(chunk));
        stop.map_or(Ok(last), Err)
    }

    /// Makes the decoder, from the header if there is one. False while that is not whole.
    fn begin(&mut self, last: bool) -> Result<bool> {
        while self.to_skip > 0 {
            match Scan::new(Rule::ANY_LINE).next_end(&self.pending.bytes) {
                Some(end) => drop(self.pending.cut(end)),
                None => return Ok(false),
            }
            self.to_skip -= 1;
        }
        let mut header = None;
        let rule = self.reading.format.rule();
        while self.reading.format.has_header() && header.is_none() {
            let end = Scan::new(rule).next_end(&self.pending.bytes);
            match end.or(last.then_some(self.pending.bytes.len())) {
                Some(end) if end > 0 => {
                    let record = self.pending.cut(end).bytes;
                    header = Some(record).filter(|record| !is_blank(rule, record));
                }
                _ => return Ok(false),
            }
        }
        let Reading { format, wanted, .. } = &self.reading;
        let decoder = RowDecoder::new(
            format,
            wanted,
            header.as_deref(),
            self.reading.on_error,
            self.name.as_str(),
        )?;
        self.decoder = Some(decoder);
        Ok(true)
    }
}

fn place(block: u64) -> Offset {
    Offset { block, row: 0 }
}

/// The reader's end.
pub struct TailReader {
    queue: Arc<Mutex<Queue>>,
    /// Woken when there is room again.
    watcher: Option<Thread>,
}

impl TailReader {
    pub fn new(queue: Arc<Mutex<Queue>>, watcher: Option<Thread>) -> Self {
        TailReader { queue, watcher }
    }
}

impl SplitReader for TailReader {
    fn next(&mut self) -> Result<Next> {
        let mut queue = lock(&self.queue);
        let was_full = queue.items.len() >= BLOCKS_WAITING;
        let next = match queue.items.pop_front() {
            Some(item) => item.map(Next::Chunk),
            None if queue.ended => Ok(Next::Ended),
            None => Ok(Next::Pending),
        };
        drop(queue);
        if let Some(watcher) = self.watcher.as_ref().filter(|_| was_full) {
            watcher.unpark();
        }
        next
    }
}

impl Drop for TailReader {
    fn drop(&mut self) {
        lock(&self.queue).closed = true;
    }
}
