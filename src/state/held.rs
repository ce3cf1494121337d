//! Windows that have closed on one input and wait for the others.

use datafusion::arrow::array::RecordBatch;
use std::collections::BTreeMap;

/// The state of a batch over closed windows: per input, the rows of windows not yet closed on all inputs, by window end
/// in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Held {
    inputs: Vec<BTreeMap<i64, HeldWindow>>,
}

#[derive(Debug, Clone)]
struct HeldWindow {
    since: u64,
    batches: Vec<RecordBatch>,
}

impl Held {
    pub fn new(inputs: usize) -> Self {
        Held {
            inputs: vec![BTreeMap::new(); inputs],
        }
    }

    /// Keeps rows of the window that ends at `end_ns` on input `input`.
    pub fn push(&mut self, input: usize, end_ns: i64, batch: RecordBatch, interval: u64) {
        if let Some(windows) = self.inputs.get_mut(input) {
            let fresh = HeldWindow {
                since: interval,
                batches: Vec::new(),
            };
            let window = windows.entry(end_ns).or_insert(fresh);
            window.since = window.since.min(interval);
            window.batches.push(batch);
        }
    }

    /// Takes out the rows of all windows that end at `watermark_ns` or before: per input, in order of their ends. With
    /// them, the first interval that they are made of.
    pub fn take_closed(&mut self, watermark_ns: i64) -> (Vec<Vec<RecordBatch>>, Option<u64>) {
        let mut since: Option<u64> = None;
        let take = |windows: &mut BTreeMap<i64, HeldWindow>| {
            let mut taken = Vec::new();
            while let Some(first) = windows.first_entry() {
                if *first.key() > watermark_ns {
                    break;
                }
                let window = first.remove();
                since = since.into_iter().chain([window.since]).min();
                taken.extend(window.batches);
            }
            taken
        };
        let taken = self.inputs.iter_mut().map(take).collect();
        (taken, since)
    }

    /// The first interval that something held is made of.
    pub fn oldest_interval(&self) -> Option<u64> {
        self.inputs.iter().flat_map(|w| w.values()).map(|w| w.since).min()
    }

    pub fn num_rows(&self) -> usize {
        self.inputs
            .iter()
            .flat_map(|w| w.values())
            .flat_map(|w| &w.batches)
            .map(RecordBatch::num_rows)
            .sum()
    }
}
