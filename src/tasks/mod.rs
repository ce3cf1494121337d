//! Threads that run tasks.
//!
//! Owns: [`Pool`]. Guarantees: a panic in a task becomes an error, not a dead engine; results come in the order of the
//! jobs. Does **not** guarantee: which thread runs what. Depends on `error` only. Start reading at [`Pool::run`].

use crate::error::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Work for a thread of the pool.
pub type Job = Box<dyn FnOnce() + Send>;

/// A fixed set of threads. Cheap to clone; the threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Pool {
    jobs: Sender<Job>,
    threads: usize,
}

impl Pool {
    /// `threads` threads named after `name`; `around` is called once on each and has to
    /// call what it is given. Where the system gives fewer, the pool is
    /// smaller; where it gives none, jobs run on the thread that brings them.
    pub fn new(name: &str, threads: usize, around: impl Fn(&dyn Fn()) + Send + Sync + 'static) -> Pool {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let around = Arc::new(around);
        for index in 0..threads {
            let (queue, around) = (Arc::clone(&queue), Arc::clone(&around));
            let work = move || around(&|| work(&queue));
            let spawned = thread::Builder::new().name(format!("{name}-{index}")).spawn(work);
            if let Err(error) = spawned {
                tracing::warn!(%error, "a thread could not be started");
                return Pool { jobs, threads: index };
            }
        }
        Pool { jobs, threads }
    }

    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs a job some time soon.
    pub fn spawn(&self, job: Job) {
        if let Err(unsent) = self.jobs.send(job) {
            (unsent.0)();
        }
    }

    /// Runs all jobs and waits for them. A single job, or `inline`, stays on this thread: handing over costs more than
    /// a small task.
    pub fn run<T: Send + 'static>(
        &self,
        jobs: Vec<Box<dyn FnOnce() -> Result<T> + Send>>,
        inline: bool,
    ) -> Vec<Result<T>> {
        if inline || jobs.len() <= 1 || self.threads <= 1 {
            return jobs.into_iter().map(guarded).collect();
        }
        let count = jobs.len();
        let (done, results) = channel();
        for (index, job) in jobs.into_iter().enumerate() {
            let done = done.clone();
            self.spawn(Box::new(move || {
                let _ = done.send((index, guarded(job)));
            }));
        }
        let mut ordered: Vec<Option<Result<T>>> = (0..count).map(|_| None).collect();
        for (index, result) in results.iter().take(count) {
            ordered[index] = Some(result);
        }
        let lost = || Err(Error::internal("a task was lost"));
        ordered.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            // A job that must report its panic catches it itself; the thread goes on either way.
            Ok(job) => drop(catch_unwind(AssertUnwindSafe(job))),
            Err(_) => return,
        }
    }
}

fn guarded<T>(job: Box<dyn FnOnce() -> Result<T> + Send>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(job)) {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|s| s.to_string());
            let text = text
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Err(Error::internal(format!("a task broke off: {text}")))
        }
    }
}
