//! Open sessions by key: which rows (or partial states) they hold, when they end, which end next.
//!
//! Two rows of a key are in one session when less than the gap lies between them, or between neighbours in between
//! (docs/time.md). So a session is an interval of time that grows; a row between two sessions makes them one.

use super::ages::Ages;
use super::arena::{Arena, RowRef};
use crate::error::Result;
use datafusion::arrow::array::RecordBatch;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How many entries of one size class a session keeps before they are merged into one of the next class.
const MERGE_FANIN: usize = 8;

/// The state partition of a session operator. Times are in the unit of the event time.
#[derive(Debug, Clone)]
pub struct SessionStore {
    gap: i64,
    index: HashMap<Arc<[u8]>, u32>,
    keys: Vec<Option<Key>>,
    free: Vec<u32>,
    /// When to look at a key again: at its entry in [`Key::timer`], other entries are stale.
    timers: BTreeMap<i64, Vec<u32>>,
    /// How many sessions began in which interval.
    ages: Ages,
    arena: Arena,
    /// Keys with a session whose entries should be merged.
    crowded: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Key {
    bytes: Arc<[u8]>,
    timer: i64,
    /// In order of time; no two touch.
    sessions: Vec<Session>,
}

#[derive(Debug, Clone)]
struct Session {
    /// Time of the first and the last row.
    start: i64,
    last: i64,
    /// The first interval that it is made of.
    since: u64,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    class: u8,
    row: RowRef,
}

/// A session that has ended, taken out of the store.
#[derive(Debug, Clone)]
pub struct Ended {
    pub start: i64,
    pub end: i64,
    /// The first interval that it is made of.
    pub since: u64,
    key: Arc<[u8]>,
    entries: Vec<Entry>,
}

/// Merges several partial states of each of some sessions: a batch, and to which session each of its rows belongs
/// (ascending from 0); gives one row per session, in that order.
pub type Merge<'a> = &'a mut dyn FnMut(RecordBatch, Vec<i64>) -> Result<RecordBatch>;

impl SessionStore {
    pub fn new(gap: i64) -> Self {
        SessionStore {
            gap,
            index: HashMap::new(),
            keys: Vec::new(),
            free: Vec::new(),
            timers: BTreeMap::new(),
            ages: Ages::default(),
            arena: Arena::default(),
            crowded: Vec::new(),
        }
    }

    /// Keeps the rows of a batch: row k belongs to key `key(k)` and covers the times from `starts[k]` to `lasts[k]`.
    pub fn push<'k>(
        &mut self,
        batch: RecordBatch,
        key: impl Fn(usize) -> &'k [u8],
        starts: &[i64],
        lasts: &[i64],
        interval: u64,
    ) {
        let places = self.arena.add(batch);
        for (row, place) in places.enumerate() {
            let id = self.key(key(row));
            let entry = Entry { class: 0, row: place };
            self.extend(id, starts[row], lasts[row], entry, interval);
        }
    }

    fn key(&mut self, bytes: &[u8]) -> u32 {
        if let Some(id) = self.index.get(bytes) {
            return *id;
        }
        let bytes: Arc<[u8]> = bytes.into();
        let key = Key {
            bytes: Arc::clone(&bytes),
            timer: i64::MAX,
            sessions: Vec::new(),
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.keys[id as usize] = Some(key);
                id
            }
            None => {
                self.keys.push(Some(key));
                (self.keys.len() - 1) as u32
            }
        };
        self.index.insert(bytes, id);
        id
    }

    /// Adds one entry to the session that it falls into; it may open one, or make several one.
    fn extend(&mut self, id: u32, start: i64, last: i64, entry: Entry, interval: u64) {
        let gap = self.gap;
        let Some(Some(key)) = self.keys.get_mut(id as usize) else {
            return;
        };
        let touches = |s: &Session| start < s.last.saturating_add(gap) && s.start < last.saturating_add(gap);
        let first = key.sessions.partition_point(|s| s.last.saturating_add(gap) <= start);
        let count = key.sessions[first..].iter().take_while(|s| touches(s)).count();
        if count == 0 {
            self.ages.add(interval);
            let session = Session {
                start,
                last,
                since: interval,
                entries: vec![entry],
            };
            key.sessions.insert(first, session);
        } else {
            let mut others: Vec<Session> = key.sessions.drain(first + 1..first + count).collect();
            let session = &mut key.sessions[first];
            for other in &mut others {
                let newer = session.since.max(other.since);
                self.ages.remove(newer);
                session.since = session.since.min(other.since);
                session.last = session.last.max(other.last);
                session.entries.append(&mut other.entries);
            }
            self.ages.earlier(&mut session.since, interval);
            session.start = session.start.min(start);
            session.last = session.last.max(last);
            session.entries.push(entry);
            if session.entries.len() >= MERGE_FANIN {
                self.crowded.push(id);
            }
        }
        let end = key.sessions[first].last.saturating_add(gap);
        if end < key.timer {
            key.timer = end;
            self.timers.entry(end).or_default().push(id);
        }
    }

    /// Merges the entries of sessions that hold many: eight of one size class become one of the next.
    pub fn merge(&mut self, merge: Merge) -> Result<()> {
        let mut crowded = std::mem::take(&mut self.crowded);
        crowded.sort_unstable();
        crowded.dedup();
        let (mut class, mut top) = (0, self.highest_class(&crowded));
        while class <= top {
            let mut places: Vec<(u32, usize)> = Vec::new();
            let (mut rows, mut groups) = (Vec::new(), Vec::new());
            for id in &crowded {
                let Some(Some(key)) = self.keys.get(*id as usize) else {
                    continue;
                };
                for (at, session) in key.sessions.iter().enumerate() {
                    let alike = session.entries.iter().filter(|e| e.class == class);
                    if alike.clone().count() >= MERGE_FANIN {
                        let group = places.len() as i64;
                        places.push((*id, at));
                        groups.extend(alike.clone().map(|_| group));
                        rows.extend(alike.map(|e| e.row));
                    }
                }
            }
            let Some(batch) = self.arena.gather(&rows)? else {
                class += 1;
                continue;
            };
            top = top.max(class + 1);
            let merged = merge(batch, groups)?;
            rows.into_iter().for_each(|row| self.arena.remove(row));
            let merged = self.arena.add(merged);
            for ((id, at), row) in places.into_iter().zip(merged) {
                if let Some(Some(key)) = self.keys.get_mut(id as usize) {
                    let entries = &mut key.sessions[at].entries;
                    entries.retain(|e| e.class != class);
                    entries.push(Entry { class: class + 1, row });
                }
            }
            class += 1;
        }
        self.compact()
    }

    fn highest_class(&self, keys: &[u32]) -> u8 {
        let keys = keys.iter().filter_map(|id| self.keys.get(*id as usize)?.as_ref());
        let entries = keys.flat_map(|k| &k.sessions).flat_map(|s| &s.entries);
        entries.map(|e| e.class).max().unwrap_or(0)
    }

    /// Takes out the sessions that end at `watermark` or before, in the order of (end, start, key).
    pub fn take_ended(&mut self, watermark: i64) -> Vec<Ended> {
        let mut ended = Vec::new();
        while let Some(first) = self.timers.first_entry() {
            let due = *first.key();
            if due > watermark {
                break;
            }
            for id in first.remove() {
                self.take_ended_of(id, due, watermark, &mut ended);
            }
        }
        ended.sort_by(|a, b| (a.end, a.start, &a.key).cmp(&(b.end, b.start, &b.key)));
        ended
    }

    fn take_ended_of(&mut self, id: u32, due: i64, watermark: i64, ended: &mut Vec<Ended>) {
        let Some(Some(key)) = self.keys.get_mut(id as usize) else {
            return;
        };
        if key.timer != due {
            return;
        }
        let open = key
            .sessions
            .partition_point(|s| s.last.saturating_add(self.gap) <= watermark);
        for session in key.sessions.drain(..open) {
            self.ages.remove(session.since);
            ended.push(Ended {
                start: session.start,
                end: session.last.saturating_add(self.gap),
                since: session.since,
                key: Arc::clone(&key.bytes),
                entries: session.entries,
            });
        }
        match key.sessions.first() {
            Some(next) => {
                key.timer = next.last.saturating_add(self.gap);
                self.timers.entry(key.timer).or_default().push(id);
            }
            None => {
                self.index.remove(&key.bytes);
                self.keys[id as usize] = None;
                self.free.push(id);
            }
        }
    }

    /// What ended sessions hold, as one batch, with the number of the session of each row; then they are forgotten.
    pub fn rows_of(&mut self, ended: &[Ended]) -> Result<Option<(RecordBatch, Vec<i64>)>> {
        let (mut rows, mut groups) = (Vec::new(), Vec::new());
        for (group, session) in ended.iter().enumerate() {
            rows.extend(session.entries.iter().map(|e| e.row));
            groups.extend(session.entries.iter().map(|_| group as i64));
        }
        let batch = self.arena.gather(&rows)?;
        rows.into_iter().for_each(|row| self.arena.remove(row));
        self.compact()?;
        Ok(batch.map(|batch| (batch, groups)))
    }

    /// Moves the living rows together once most of what is held is dead.
    fn compact(&mut self) -> Result<()> {
        if !self.arena.is_sparse() {
            return Ok(());
        }
        let entries = |keys: &mut Vec<Option<Key>>, visit: &mut dyn FnMut(&mut Entry)| {
            let sessions = keys.iter_mut().flatten().flat_map(|k| &mut k.sessions);
            sessions.flat_map(|s| &mut s.entries).for_each(visit);
        };
        let mut rows = Vec::with_capacity(self.arena.num_rows());
        entries(&mut self.keys, &mut |entry| rows.push(entry.row));
        let Some(batch) = self.arena.gather(&rows)? else {
            return Ok(());
        };
        let mut arena = Arena::default();
        let mut moved = arena.add(batch);
        entries(&mut self.keys, &mut |entry| {
            if let Some(row) = moved.next() {
                entry.row = row;
            }
        });
        self.arena = arena;
        Ok(())
    }

    /// When the first of the open sessions ends, if no row makes it longer.
    pub fn next_end(&self) -> Option<i64> {
        let is_current = |at: i64, key: &u32| {
            let key = self.keys.get(*key as usize).and_then(Option::as_ref);
            key.is_some_and(|key| key.timer == at)
        };
        let mut timers = self.timers.iter();
        timers.find_map(|(at, keys)| keys.iter().any(|key| is_current(*at, key)).then_some(*at))
    }

    /// The first interval that an open session is made of; lineage is kept back to it.
    pub fn oldest_interval(&self) -> Option<u64> {
        self.ages.oldest()
    }

    /// Rows (or partial states) kept.
    pub fn num_rows(&self) -> usize {
        self.arena.num_rows()
    }
}
