//! The thread of a program: waits for rows, ticks and commands, and runs intervals.

use super::query::Ended;
use crate::driver::{Program, Turn};
use crate::error::Result;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What a program can be told.
pub enum Command {
    /// Run exactly one interval (programs of [`super::Engine::manual`]).
    Step(oneshot::Sender<()>),
    /// Stop one output.
    Cancel(usize),
    /// Stop all, after the interval that runs.
    Stop,
}

/// The line to a program's thread. Everything that can wake it comes through here.
#[derive(Default)]
pub struct Control {
    state: Mutex<Inbox>,
    wake: Condvar,
    /// Bytes of results that wait for readers.
    lag: AtomicUsize,
    stopping: AtomicBool,
}

#[derive(Default)]
struct Inbox {
    commands: VecDeque<Command>,
    rung: bool,
    ended: bool,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn ring(&self) {
        self.lock().rung = true;
        self.wake.notify_all();
    }

    pub fn tell(&self, command: Command) {
        let mut inbox = self.lock();
        if !inbox.ended {
            inbox.commands.push_back(command);
        }
        drop(inbox);
        self.wake.notify_all();
    }

    pub fn cancel(&self, output: usize) {
        self.stopping.store(true, Ordering::Relaxed);
        self.tell(Command::Cancel(output));
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.tell(Command::Stop);
    }

    /// Results that a reader has not taken yet.
    pub fn waiting(&self, bytes: usize) {
        self.lag.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn taken(&self, bytes: usize) {
        self.lag
            .fetch_sub(bytes.min(self.lag.load(Ordering::Relaxed)), Ordering::Relaxed);
        self.wake.notify_all();
    }

    fn next_command(&self) -> Option<Command> {
        self.lock().commands.pop_front()
    }

    /// Waits for a command, a ring, or the time to pass.
    fn wait(&self, at_most: Option<Duration>) {
        let inbox = self.lock();
        let quiet = |inbox: &mut Inbox| !inbox.rung && inbox.commands.is_empty();
        let mut inbox = match at_most {
            Some(time) => match self.wake.wait_timeout_while(inbox, time, quiet) {
                Ok((inbox, _)) => inbox,
                Err(poisoned) => poisoned.into_inner().0,
            },
            None => self
                .wake
                .wait_while(inbox, quiet)
                .unwrap_or_else(PoisonError::into_inner),
        };
        inbox.rung = false;
    }

    /// A slow reader slows its program: waits until less than `limit` bytes are unread, or something is to be told.
    fn wait_for_readers(&self, limit: usize) {
        while self.lag.load(Ordering::Relaxed) > limit && !self.stopping.load(Ordering::Relaxed) {
            let inbox = self.lock();
            drop(self.wake.wait_timeout(inbox, Duration::from_millis(20)));
        }
    }

    fn close(&self) {
        let mut inbox = self.lock();
        inbox.ended = true;
        inbox.commands.clear();
    }
}

/// Runs a program to its end.
pub fn drive(mut program: Program, control: &Control, manual: bool) -> Ended {
    let result = intervals(&mut program, control, manual);
    let ended = match result {
        Ok(true) => match program.outputs.finish() {
            Ok(()) => Ended::Done,
            Err(error) => Ended::Failed(Arc::new(error)),
        },
        Ok(false) => {
            program.outputs.stop(None);
            Ended::Stopped
        }
        Err(error) => {
            program.outputs.stop(Some(&error));
            program.intakes.iter_mut().for_each(|intake| intake.failed(&error));
            Ended::Failed(Arc::new(error))
        }
    };
    control.close();
    ended
}

/// True when the input has ended, or nobody wants more; false when it was stopped.
fn intervals(program: &mut Program, control: &Control, manual: bool) -> Result<bool> {
    let mut taken = Vec::new();
    let mut step: Option<oneshot::Sender<()>> = None;
    let mut stopped_some = false;
    loop {
        while let Some(command) = control.next_command() {
            match command {
                Command::Step(done) => step = Some(done),
                Command::Stop => return Ok(false),
                Command::Cancel(output) => {
                    stopped_some = true;
                    if program.outputs.stop_one(output) {
                        return Ok(false);
                    }
                }
            }
        }
        if manual && step.is_none() {
            control.wait(None);
            continue;
        }
        program.gather(&mut taken, !manual)?;
        let close = match manual {
            true => program.full(&taken) || program.is_settled(&taken),
            false => program.full(&taken) || program.ended() || program.is_due(&taken),
        };
        if !close {
            let due = program.until_due(&taken);
            if due.is_none() {
                // What came, if anything, was a watermark that moves nothing: there will be no interval for it.
                program.tell_sources();
            }
            control.wait(due);
            continue;
        }
        let turn = program.interval(std::mem::take(&mut taken))?;
        if let Some(done) = step.take() {
            // Whoever asked for the step may have gone.
            let _ = done.send(());
        }
        if turn == Turn::Done {
            return Ok(!stopped_some || program.ended());
        }
        if !manual {
            control.wait_for_readers(program.settings.max_lag_bytes);
        }
    }
}
