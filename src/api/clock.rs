//! Clocks that intervals read: the machine's, and one that tests move.

use crate::driver::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The clock of the machine.
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now_ns(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is moved. Cheap to clone; all clones are the same clock.
///
/// An interval reads it once, when it is closed. The clock of a program never goes back, even when this one is set back.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now_ns: Arc<AtomicI64>,
}

impl ManualClock {
    /// `now_ns`: nanoseconds since the epoch.
    pub fn at_ns(now_ns: i64) -> Self {
        ManualClock {
            now_ns: Arc::new(AtomicI64::new(now_ns)),
        }
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        let moved = |now: i64| Some(now.saturating_add(by));
        // The closure never refuses.
        let _ = self.now_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }

    /// Sets it, in nanoseconds since the epoch.
    pub fn set_ns(&self, now_ns: i64) {
        self.now_ns.store(now_ns, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_ns(&self) -> i64 {
        self.now_ns.load(Ordering::Relaxed)
    }
}
