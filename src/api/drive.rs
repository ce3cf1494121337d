//! The thread of a program: waits for rows, ticks and commands, and runs intervals.

use super::query::Ended;
use crate::driver::output::Lingering;
use crate::driver::progress::Progress;
use crate::driver::{Program, Turn};
use crate::error::{Error, Result};
use crate::operators::stop::Stop;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// What a program can be told.
pub enum Command {
    /// Run exactly one interval (programs of [`super::Engine::manual`]).
    Step(oneshot::Sender<()>),
    /// Say where every query stands.
    Progress(oneshot::Sender<Vec<Progress>>),
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
    /// Everything that has come is worked off, and more comes only when somebody puts it in.
    resting: watch::Sender<bool>,
    /// Per output: breaks off work that would take long.
    pub stops: Vec<Stop>,
}

#[derive(Default)]
struct Inbox {
    commands: VecDeque<Command>,
    rung: bool,
    ended: bool,
}

impl Control {
    pub fn of(outputs: usize) -> Control {
        Control {
            stops: std::iter::repeat_with(Stop::default).take(outputs).collect(),
            ..Control::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn ring(&self) {
        let mut inbox = self.lock();
        inbox.rung = true;
        self.resting.send_replace(false);
        drop(inbox);
        self.wake.notify_all();
    }

    /// True while the program has worked off what has come.
    pub fn resting(&self) -> watch::Receiver<bool> {
        self.resting.subscribe()
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
        self.stops.iter().skip(output).take(1).for_each(Stop::stop);
        self.tell(Command::Cancel(output));
    }

    pub fn stop(&self) {
        self.stops.iter().for_each(Stop::stop);
        self.tell(Command::Stop);
    }

    fn next_command(&self) -> Option<Command> {
        self.lock().commands.pop_front()
    }

    /// Waits for a command, a ring, or the time to pass. `rests`: there is nothing left to work off.
    fn wait(&self, at_most: Option<Duration>, rests: bool) {
        let inbox = self.lock();
        let quiet = |inbox: &mut Inbox| !inbox.rung && inbox.commands.is_empty();
        if rests && !inbox.rung {
            self.resting.send_replace(true);
        }
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

    fn close(&self) {
        let mut inbox = self.lock();
        inbox.ended = true;
        inbox.commands.clear();
    }
}

/// What has become of an output while others go on. What it had been given is delivered.
pub enum Told {
    Stopped(usize),
    Finished(usize),
}

/// Runs a program to its end. Queries that were cancelled may still deliver what they had given.
pub fn drive(mut program: Program, control: &Control, manual: bool, tell: &dyn Fn(Told)) -> (Ended, Lingering) {
    let result = intervals(&mut program, control, manual, tell);
    let ended = match result {
        Ok(true) => {
            program.outputs.finish();
            program.look();
            Ended::Done
        }
        Ok(false) => {
            program.outputs.stop(None);
            program.look();
            Ended::Stopped
        }
        Err(error) => {
            program.outputs.stop(Some(&error));
            program.intakes.iter_mut().for_each(|intake| intake.failed(&error));
            Ended::Failed(error)
        }
    };
    control.close();
    (ended, program.outputs.lingering())
}

/// True when the input has ended, or nobody wants more; false when it was stopped.
fn intervals(program: &mut Program, control: &Control, manual: bool, tell: &dyn Fn(Told)) -> Result<bool, Arc<Error>> {
    let mut taken = Vec::new();
    let mut step: Option<oneshot::Sender<()>> = None;
    let mut stopped_some = false;
    let mut cancelled = Vec::new();
    let mut finished = BTreeSet::new();
    loop {
        while let Some(command) = control.next_command() {
            match command {
                Command::Step(done) => step = Some(done),
                // Whoever asked may have gone.
                Command::Progress(asked) => drop(asked.send(program.progress())),
                Command::Stop => return Ok(false),
                Command::Cancel(output) => {
                    stopped_some |= !program.ended();
                    let ran = program.outputs.runs(output);
                    program.stop_one(output);
                    cancelled.extend(ran.then_some(output));
                }
            }
        }
        cancelled.retain(|output| {
            let lingers = program.outputs.lingers(*output);
            if !lingers && program.outputs.any_runs() {
                tell(Told::Stopped(*output));
            }
            lingers
        });
        program.look();
        for output in program.outputs.finished() {
            if finished.insert(output) {
                tell(Told::Finished(output));
            }
        }
        stopped_some |= program.broken_off;
        if !program.outputs.any_runs() {
            return match program.outputs.all_failed() {
                Some(error) => Err(Arc::clone(error)),
                None => Ok(!stopped_some),
            };
        }
        // Someone is so slow that no more is taken from the sources.
        let held_back = program.outputs.waiting_bytes() > program.settings.max_lag_bytes;
        if manual && step.is_none() || held_back {
            control.wait(None, false);
            continue;
        }
        program.gather(&mut taken, !manual);
        if !program.outputs.any_runs() {
            continue;
        }
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
            let wait = due.into_iter().chain(program.until_told()).min();
            control.wait(wait, due.is_none() && program.has_worked_off());
            continue;
        }
        let turn = program.interval(std::mem::take(&mut taken)).map_err(Arc::new)?;
        if let Some(done) = step.take() {
            // Whoever asked for the step may have gone.
            let _ = done.send(());
        }
        if turn == Turn::Done && program.outputs.any_runs() {
            return Ok(true);
        }
    }
}
