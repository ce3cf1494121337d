//! Ctrl-C: the first stops after the interval that runs, the second ends the program at once.

use super::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};
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
    let mut signals =
        signal(SignalKind::interrupt()).map_err(|e| Error::internal("Ctrl-C cannot be listened to").because(e))?;
    tokio::spawn(async move {
        signals.recv().await;
        if !known.running.load(Ordering::SeqCst) {
            std::process::exit(Exit::Interrupted as i32);
        }
        known.hit.store(true, Ordering::SeqCst);
        eprintln!("interrupted: stopping after the current interval (Ctrl-C again ends at once)");
        tokio::spawn(async move { engine.shutdown().await });
        signals.recv().await;
        std::process::exit(Exit::Interrupted as i32);
    });
    Ok(interrupts)
}
