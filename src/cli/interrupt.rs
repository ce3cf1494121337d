//! Ctrl-C, or the signal to terminate: the first stops after the interval that runs, the second ends the program at once.

use super::Exit;
use super::report::say;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};
use waterwheel::Engine;
use waterwheel::error::{Error, Result};

/// What a script that runs knows of Ctrl-C.
#[derive(Clone, Default)]
pub struct Interrupts {
    hit: Arc<AtomicBool>,
    running: Arc<AtomicBool>,
}

impl Interrupts {
    /// From now on something runs that is worth stopping in good order.
    pub fn begin(&self) {
        self.running.store(true, Ordering::SeqCst);
    }

    pub fn happened(&self) -> bool {
        self.hit.load(Ordering::SeqCst)
    }
}

/// Listens from now on. Must be called inside a runtime.
///
/// Errors: the signal cannot be listened to.
pub fn stop_engine(engine: &Engine) -> Result<Interrupts> {
    let interrupts = Interrupts::default();
    let (known, engine) = (interrupts.clone(), engine.clone());
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.next().await;
        if !known.running.load(Ordering::SeqCst) {
            std::process::exit(Exit::Interrupted as i32);
        }
        known.hit.store(true, Ordering::SeqCst);
        say("interrupted: stopping after the current interval (Ctrl-C again ends at once)\n");
        tokio::spawn(async move { engine.shutdown().await });
        signals.next().await;
        std::process::exit(Exit::Interrupted as i32);
    });
    Ok(interrupts)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        let listen = |kind| signal(kind).map_err(|e| Error::internal("signals cannot be listened to").because(e));
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
