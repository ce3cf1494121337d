//! Outputs at their own pace: threads that deliver, so that whoever is slow holds back nobody else.
//!
//! What an output is given waits in its lane, in the order of intervals, and is prepared and committed there. How much
//! waits is counted in bytes; the driver takes no more from the sources while that is too much.

use super::output::{Pace, Receiver};
use crate::error::{Error, Result};
use crate::metrics::Stopwatch;
use datafusion::arrow::array::{Array, RecordBatch};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver as Inbox, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// When everything is stopped, what waits for an output is delivered for so long; then it is dropped, from some interval
/// on.
const STOPPING_SECONDS: f64 = 2.0;

/// Wakes the driver.
pub type Ring = Arc<dyn Fn() + Send + Sync>;

/// The rows of an interval for one output.
pub struct Parcel {
    pub interval: u64,
    /// The recorded clock of the interval.
    pub clock_ns: i64,
    pub rows: Vec<RecordBatch>,
    /// Those that came too late for its windows.
    pub late: Vec<RecordBatch>,
}

/// What an output has come to, by itself.
#[derive(Debug)]
pub enum News {
    /// Its reader wants no more.
    Enough,
    /// It could not take what it was given, or its query has failed; what was given before is delivered.
    Failed(Error),
}

enum Message {
    Parcel(Parcel),
    Finish,
    Stop(Option<Error>),
}

/// One output's place in a lane.
pub struct Ticket {
    output: usize,
    to: Sender<(usize, Message)>,
    progress: Arc<Progress>,
}

/// What waits for one output, and what has become of it. Shared with its thread.
#[derive(Default)]
struct Progress(Mutex<State>);

#[derive(Default)]
struct State {
    /// Intervals and their bytes, oldest first.
    waiting: VecDeque<(u64, usize)>,
    bytes: usize,
    news: Option<News>,
    /// It was cancelled: nobody is held back by what it has not delivered yet.
    abandoned: bool,
    /// Everything is stopped, since then.
    stopped: Option<Stopwatch>,
    /// What waits is not delivered any more.
    dropped: bool,
    /// Its thread has delivered everything.
    ended: bool,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delivered(&self) {
        let mut state = self.lock();
        if let Some((_, bytes)) = state.waiting.pop_front() {
            state.bytes -= bytes;
        }
    }

    /// Whether what still waits is dropped, as it took too long. It goes on waiting then: it is not committed.
    fn drops(&self) -> bool {
        let mut state = self.lock();
        state.dropped = state.stopped.is_some_and(|since| since.seconds() > STOPPING_SECONDS);
        state.dropped
    }

    fn end(&self, news: Option<News>) {
        let mut state = self.lock();
        if !state.dropped {
            state.waiting.clear();
        }
        state.bytes = 0;
        state.news = news;
        state.ended = true;
    }
}

/// The threads of a program's outputs.
#[derive(Default)]
pub struct Lanes {
    threads: Vec<(JoinHandle<()>, Vec<Arc<Progress>>)>,
}

impl Lanes {
    /// Starts a thread for each output that may be slow, one for all outputs that must keep their order among
    /// themselves; gives their tickets, by output. The others stay in `receivers`.
    ///
    /// Errors: a thread cannot be started.
    pub fn start(receivers: &mut BTreeMap<usize, Receiver>, ring: &Ring) -> Result<(Lanes, BTreeMap<usize, Ticket>)> {
        let mut groups: Vec<(Pace, Vec<usize>)> = Vec::new();
        for (output, receiver) in receivers.iter() {
            match receiver.pace() {
                Pace::AtOnce => {}
                Pace::Own => groups.push((Pace::Own, vec![*output])),
                shared => match groups.iter_mut().find(|(pace, _)| *pace == shared) {
                    Some((_, outputs)) => outputs.push(*output),
                    None => groups.push((shared, vec![*output])),
                },
            }
        }
        let mut lanes = Lanes::default();
        let mut tickets = BTreeMap::new();
        for (_, outputs) in groups {
            let (to, inbox) = mpsc::channel();
            let mut stops = BTreeMap::new();
            for output in outputs {
                let progress = Arc::<Progress>::default();
                if let Some(receiver) = receivers.remove(&output) {
                    stops.insert(output, (receiver, Arc::clone(&progress)));
                }
                let to = to.clone();
                tickets.insert(output, Ticket { output, to, progress });
            }
            let all = stops.values().map(|(_, progress)| Arc::clone(progress)).collect();
            let ring = Arc::clone(ring);
            let thread = std::thread::Builder::new()
                .name("waterwheel-output".to_string())
                .spawn(move || run(stops, &inbox, &ring));
            let thread = thread.map_err(|e| Error::internal("a thread could not be started").because(e))?;
            lanes.threads.push((thread, all));
        }
        Ok((lanes, tickets))
    }

    /// Waits until everything is delivered, except for what was cancelled. The tickets must have been told the end.
    pub fn join(&mut self) {
        let (left, waited): (Vec<_>, Vec<_>) = std::mem::take(&mut self.threads)
            .into_iter()
            .partition(|(_, outputs)| outputs.iter().all(|progress| progress.lock().abandoned));
        self.threads = left;
        Lanes { threads: waited }.join_all();
    }

    /// Waits for what was cancelled too.
    pub fn join_all(&mut self) {
        for (thread, _) in self.threads.drain(..) {
            // A thread catches its panics, and has told of them.
            let _ = thread.join();
        }
    }
}

impl Ticket {
    pub fn send(&self, parcel: Parcel) {
        let bytes = parcel.rows.iter().chain(&parcel.late).map(bytes_of).sum();
        let mut state = self.progress.lock();
        state.waiting.push_back((parcel.interval, bytes));
        state.bytes += bytes;
        drop(state);
        self.tell(Message::Parcel(parcel));
    }

    /// Everything has been sent.
    pub fn finish(&self) {
        self.tell(Message::Finish);
    }

    /// What was sent is delivered still.
    pub fn stop(&self, why: Option<&Error>) {
        self.tell(Message::Stop(why.map(Error::again)));
    }

    /// What was sent is delivered still, as far as that takes no longer than anybody waits who has stopped everything.
    pub fn stop_soon(&self) {
        self.progress.lock().stopped = Some(Stopwatch::start());
        self.stop(None);
    }

    /// As [`Ticket::stop`], and nobody else waits for that.
    pub fn abandon(&self) {
        self.progress.lock().abandoned = true;
        self.stop(None);
    }

    /// Whether something that was sent before it was abandoned is not delivered yet.
    pub fn lingers(&self) -> bool {
        let state = self.progress.lock();
        state.abandoned && !state.ended
    }

    /// Whether its thread is done with it.
    pub fn has_ended(&self) -> bool {
        self.progress.lock().ended
    }

    fn tell(&self, message: Message) {
        // The thread is there until it was told the end.
        let _ = self.to.send((self.output, message));
    }

    /// Bytes that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.progress.lock().bytes
    }

    /// The oldest interval that is not committed, and that somebody waits for.
    pub fn oldest(&self) -> Option<u64> {
        let state = self.progress.lock();
        let oldest = state.waiting.front().map(|(interval, _)| *interval);
        oldest.filter(|_| !state.abandoned)
    }

    pub fn news(&self) -> Option<News> {
        self.progress.lock().news.take()
    }
}

type Stops = BTreeMap<usize, (Receiver, Arc<Progress>)>;

/// A lane that breaks off is a failure of every output in it.
fn run(stops: Stops, inbox: &Inbox<(usize, Message)>, ring: &Ring) {
    let all: Vec<Arc<Progress>> = stops.values().map(|(_, progress)| Arc::clone(progress)).collect();
    let done = guarded(|| {
        deliver(stops, inbox, ring);
        Ok(())
    });
    let Err(error) = done else { return };
    for progress in all.iter().filter(|progress| !progress.lock().ended) {
        progress.end(Some(News::Failed(error.again())));
    }
    ring();
}

/// The work of a lane: what comes is delivered, in order, until every output in it has been told the end.
fn deliver(mut stops: Stops, inbox: &Inbox<(usize, Message)>, ring: &Ring) {
    while !stops.is_empty() {
        let Ok((output, message)) = inbox.recv() else { return };
        let Some((receiver, progress)) = stops.get_mut(&output) else {
            continue;
        };
        let ended = match message {
            Message::Parcel(_) if progress.drops() => continue,
            Message::Parcel(parcel) => match guarded(|| receiver.give(&parcel)) {
                Ok(true) => None,
                Ok(false) => Some(stop(receiver, None).or(Some(News::Enough))),
                Err(error) => Some(stop(receiver, Some(error))),
            },
            Message::Finish => Some(guarded(|| receiver.finish()).err().map(News::Failed)),
            Message::Stop(why) => Some(stop(receiver, why)),
        };
        match ended {
            None => progress.delivered(),
            Some(news) => {
                let progress = Arc::clone(progress);
                // What a sink leaves undone it tidies up before anybody hears of the end.
                stops.remove(&output);
                progress.end(news);
            }
        }
        ring();
    }
}

/// Stops an output. What it failed with before it was stopped comes first.
fn stop(receiver: &mut Receiver, why: Option<Error>) -> Option<News> {
    let stopped = guarded(|| {
        receiver.stop(why.as_ref());
        Ok(())
    });
    why.or(stopped.err()).map(News::Failed)
}

fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err(Error::internal("an output broke off")))
}

/// The bytes of a batch's own rows: it may be a slice of a larger one.
pub fn bytes_of(batch: &RecordBatch) -> usize {
    let own = |column: &Arc<dyn Array>| {
        let data = column.to_data();
        data.get_slice_memory_size().unwrap_or(column.get_array_memory_size())
    };
    batch.columns().iter().map(own).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::output::Delivery;
    use std::time::Duration;

    /// Takes its time, and does not like to be stopped.
    struct Slow {
        committed: Arc<Mutex<Vec<u64>>>,
        takes: Duration,
        panics: bool,
    }

    impl Delivery for Slow {
        fn prepare(&mut self, _interval: u64, _batches: &[RecordBatch]) -> Result<()> {
            std::thread::sleep(self.takes);
            Ok(())
        }

        fn commit(&mut self, interval: u64) -> Result<bool> {
            self.committed.lock().unwrap().push(interval);
            Ok(true)
        }

        fn finish(&mut self) -> Result<()> {
            Ok(())
        }

        fn stop(&mut self, _why: Option<&Error>) {
            assert!(!self.panics, "it breaks off");
        }

        fn pace(&self) -> Pace {
            Pace::Own
        }
    }

    fn lane(takes: Duration, panics: bool) -> (Lanes, Ticket, Arc<Mutex<Vec<u64>>>) {
        let committed = Arc::default();
        let rows = Box::new(Slow {
            committed: Arc::clone(&committed),
            takes,
            panics,
        });
        let ring: Ring = Arc::new(|| ());
        let mut receivers = BTreeMap::from([(0, Receiver { rows, late: None })]);
        let (lanes, mut tickets) = Lanes::start(&mut receivers, &ring).unwrap();
        let ticket = tickets.remove(&0).unwrap();
        for interval in 0..100 {
            ticket.send(Parcel {
                interval,
                clock_ns: 0,
                rows: Vec::new(),
                late: Vec::new(),
            });
        }
        (lanes, ticket, committed)
    }

    #[test]
    fn what_is_stopped_delivers_a_beginning_and_is_soon_over() {
        let (mut lanes, ticket, committed) = lane(Duration::from_millis(200), false);
        let watch = Stopwatch::start();
        ticket.stop_soon();
        lanes.join();
        let committed = committed.lock().unwrap();
        assert!(!committed.is_empty() && committed.len() < 100, "{committed:?}");
        assert!(committed.iter().copied().eq(0..committed.len() as u64), "{committed:?}");
        assert_eq!(
            ticket.oldest(),
            Some(committed.len() as u64),
            "the rest is not committed"
        );
        assert!(watch.seconds() < 15.0, "it took {} s", watch.seconds());
    }

    #[test]
    fn a_lane_that_breaks_off_is_a_failure() {
        let (mut lanes, ticket, committed) = lane(Duration::ZERO, true);
        ticket.stop(None);
        lanes.join();
        assert_eq!(committed.lock().unwrap().len(), 100);
        let news = ticket.news();
        assert!(
            matches!(&news, Some(News::Failed(error)) if error.message == "an output broke off"),
            "{news:?}"
        );
        assert!(ticket.has_ended());
    }
}
