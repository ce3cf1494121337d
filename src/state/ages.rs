//! How old the parts of a state are, without looking at each of them.

use std::collections::BTreeMap;

/// The first intervals that some things are made of, each with how many of them it is.
#[derive(Debug, Clone, Default)]
pub struct Ages(BTreeMap<u64, usize>);

impl Ages {
    pub fn add(&mut self, since: u64) {
        *self.0.entry(since).or_default() += 1;
    }

    /// One of those that were added is gone.
    pub fn remove(&mut self, since: u64) {
        if let Some(count) = self.0.get_mut(&since) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&since);
            }
        }
    }

    /// One of them is made of an earlier interval too.
    pub fn earlier(&mut self, since: &mut u64, interval: u64) {
        if interval < *since {
            self.remove(*since);
            *since = interval;
            self.add(interval);
        }
    }

    /// Of the oldest.
    pub fn oldest(&self) -> Option<u64> {
        self.0.keys().next().copied()
    }
}
