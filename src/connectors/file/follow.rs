//! `follow = true`: files that grow, and directories and globs that gain files.
//!
//! Owns: which file is a split, and the thread that looks for news. Guarantees: only whole lines are given; a file that
//! was cut, or has another in its place, begins anew as a split of its own, beside what is still written to the old one.
//! Does **not** guarantee: that rows can be read again, so the engine keeps them; that a file is noticed which was cut
//! and has grown beyond its old length between two looks, if what was read last stands in it at the same place.
//! Depends on `tail` for lines, on `source` for files that are read as a whole. Start reading at [`FollowSource`].

use super::bytes::KnownFile;
use super::locate::agree;
use super::paths::{find_files, is_glob};
use super::source::{FileSource, passed_over};
use super::tail::{Tail, TailReader};
use crate::connectors::{Bell, Chunk, Next, Offset, Source, Split, SplitReader, Splits, Workers};
use crate::dstream::table::TableSpec;
use crate::error::{Error, Result};
use crate::formats::Decoded;
use datafusion::arrow::datatypes::SchemaRef;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::Thread;
use std::time::Duration;

/// How often is looked for news when there were none: often enough for people who watch, cheap enough to forget.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The files of a path, now and later.
pub struct FollowSource {
    base: FileSource,
    spec: TableSpec,
    shared: Arc<Shared>,
}

/// What the thread and the readers know.
struct Shared {
    path: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: Vec<Followed>,
    /// Packed files whose rows have been read before they were packed.
    packed: Vec<KnownFile>,
    tails: Vec<(u32, Tail)>,
    bells: Vec<Bell>,
    watcher: Option<Thread>,
}

/// A file as long as it only grows, under whatever name: one split.
struct Followed {
    split: u32,
    /// The name that it had first.
    name: String,
    file: KnownFile,
    fate: Fate,
}

/// What has become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Growing,
    /// It is gone, or another file has its name: what it holds is its last.
    Over,
    /// It was cut, so what stands in it now is new.
    Cut,
}

/// How long a file of a directory may be quiet before the others go on without it.
const QUIET_FILE_NS: i64 = 10_000_000_000;

impl FollowSource {
    /// Errors: those of [`FileSource::open`].
    pub fn open(spec: &TableSpec, workers: &Workers) -> Result<Self> {
        let base = FileSource::open(spec, workers)?;
        let mut state = State::default();
        for file in base.files() {
            state.add(file.clone());
        }
        let shared = Arc::new(Shared {
            path: base.path().to_string(),
            state: Mutex::new(state),
        });
        // Where there is no file to be opened yet, the first one has to be noticed.
        shared.watch(&mut shared.lock())?;
        Ok(FollowSource {
            base,
            spec: spec.clone(),
            shared,
        })
    }
}

impl Source for FollowSource {
    fn schema(&self) -> SchemaRef {
        self.base.schema()
    }

    fn bounded(&self) -> bool {
        false
    }

    fn replayable(&self) -> bool {
        false
    }

    /// Files of a directory come and go: one that is quiet is not to hold back the others for ever.
    fn idle_timeout_ns(&self) -> Option<i64> {
        let path = &self.shared.path;
        (Path::new(path).is_dir() || is_glob(path)).then_some(QUIET_FILE_NS)
    }

    fn splits(&self) -> Result<Splits> {
        let state = self.shared.lock();
        let split = |f: &Followed| Split {
            id: f.split,
            name: f.name.clone(),
        };
        Ok(Splits {
            known: state.files.iter().map(split).collect(),
            more: true,
        })
    }

    fn watch(&self, bell: Bell) {
        self.shared.lock().bells.push(bell);
    }

    fn open(&self, split: &Split, columns: &[usize], bell: Bell) -> Result<Box<dyn SplitReader>> {
        let mut state = self.shared.lock();
        self.shared.watch(&mut state)?;
        state.bells.push(bell.clone());
        let Some(followed) = state.files.iter().find(|f| f.split == split.id) else {
            return Err(Error::internal(format!("{} is not followed", split.name)));
        };
        // A file that has come since the start may be of another kind.
        if let Err(error) = agree(&self.spec, &[&state.files[0].name, &followed.name]) {
            let error = Error::connector(format!("{}: {}", followed.name, error.message));
            let reading = self.base.reading(columns);
            let schema = reading.wanted_of(&followed.file).projected();
            let wrong = passed_over(reading.on_error, schema, &followed.name, error)?;
            return Ok(Box::new(Unread(Some(wrong))));
        }
        if !self.base.is_plain_text(&followed.name) {
            return Ok(self.base.whole(followed.file.clone(), columns, bell));
        }
        let Some(handle) = followed.file.handle()? else {
            // Replaced before it was opened: nobody can read it any more.
            return Ok(Box::new(Unread(None)));
        };
        let mut reading = self.base.reading(columns);
        // By the name that it had first, as whoever adds what its folders tell.
        reading.wanted = reading.folders.own(&reading.wanted, Path::new(&split.name));
        let (tail, queue) = Tail::new(handle, &split.name, reading, bell);
        state.tails.push((split.id, tail));
        let watcher = state.watcher.clone();
        Ok(Box::new(TailReader::new(queue, watcher)))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is whole in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread that looks for news, once. It ends with the source.
    fn watch(self: &Arc<Self>, state: &mut State) -> Result<()> {
        if state.watcher.is_some() {
            return Ok(());
        }
        let weak = Arc::downgrade(self);
        let thread = std::thread::Builder::new()
            .name("follow".to_string())
            .spawn(move || look_out(&weak))
            .map_err(|e| Error::connector("there is no thread left that could follow files").because(e))?;
        state.watcher = Some(thread.thread().clone());
        Ok(())
    }
}

fn look_out(shared: &Weak<Shared>) {
    loop {
        let Some(alive) = shared.upgrade() else { return };
        // Outside the lock: a slow disk holds nobody up. While a file is renamed there may be none: the next look tells.
        let found = find_files(&alive.path).unwrap_or_default();
        let mut state = alive.lock();
        let news = state.update(found) | state.read();
        drop(state);
        drop(alive);
        if !news {
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
}

impl State {
    fn add(&mut self, file: KnownFile) {
        self.files.push(Followed {
            split: self.files.len() as u32,
            name: file.name.clone(),
            file,
            fate: Fate::Growing,
        });
    }

    /// Compares what is there with what was. True when a split has appeared.
    fn update(&mut self, found: Vec<KnownFile>) -> bool {
        let before = self.files.len();
        for followed in self.files.iter_mut().filter(|f| f.fate == Fate::Growing) {
            // Under another name it is still the same file.
            match found.iter().find(|f| f.is_same(&followed.file)) {
                Some(now) if now.len() >= followed.file.len() => followed.file = now.clone(),
                Some(_) => followed.fate = Fate::Cut,
                None => followed.fate = Fate::Over,
            }
        }
        self.packed.retain(|packed| found.iter().any(|f| f.is_same(packed)));
        for file in found {
            let is_known = |f: &Followed| f.fate == Fate::Growing && f.file.is_same(&file);
            if self.files.iter().any(is_known) || self.packed.iter().any(|packed| packed.is_same(&file)) {
                continue;
            }
            match self.has_read_unpacked(&file) {
                true => self.packed.push(file),
                false => self.add(file),
            }
        }
        let news = self.files.len() > before;
        if news {
            self.bells.iter().for_each(Bell::ring);
        }
        news
    }

    /// Whether a file holds, packed, what was followed under its name without the suffix. Where that name was too short
    /// lived to be seen, the time tells: who packs a file keeps it.
    fn has_read_unpacked(&self, file: &KnownFile) -> bool {
        let Some(plain) = [".gz", ".zst"].iter().find_map(|packed| file.name.strip_suffix(packed)) else {
            return false;
        };
        let is_over = |split: u32| self.files.iter().any(|f| f.split == split && f.fate == Fate::Over);
        let mut over = self.tails.iter().filter(|(split, _)| is_over(*split));
        let modified = file.modified();
        self.files.iter().any(|f| f.file.name == plain)
            || modified.is_some() && over.any(|(_, tail)| tail.modified() == modified)
    }

    /// Reads on in every file. True when one had something.
    fn read(&mut self) -> bool {
        let mut news = false;
        let files = &mut self.files;
        self.tails.retain_mut(|(split, tail)| {
            let mut over = Fate::Over;
            let followed = files.iter_mut().find(|f| f.split == *split);
            news |= tail.read_on(followed.map_or(&mut over, |followed| &mut followed.fate));
            !tail.has_ended()
        });
        news
    }
}

/// A split that nobody can read, and what is to be said of that.
struct Unread(Option<Decoded>);

impl SplitReader for Unread {
    fn next(&mut self) -> Result<Next> {
        let (from, to) = (Offset::default(), Offset::default());
        let chunk = |decoded| Next::Chunk(Chunk::of(decoded, from, to));
        Ok(self.0.take().map_or(Next::Ended, chunk))
    }
}
