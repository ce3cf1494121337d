//! A DataFusion batch over windows that have closed on all inputs, or over everything once the input has ended.
//!
//! Ranking, top-N, joins on equal windows, further aggregation and ORDER BY need no incremental form above windows that
//! are final: they run once per window (all that close in one interval together: the plan names the window in its keys).
//! Lineage: its own state before the interval, and all partitions of its inputs. State: windows that have closed on
//! some inputs and not yet on others; bounded by the slowest input.

use super::Batch;
use super::fragment::{Fragment, Workshop, failed};
use crate::dstream::graph::{ClosedNode, Closes, WindowKey};
use crate::dstream::record::ENDED;
use crate::dstream::table::unit_ns;
use crate::error::Result;
use crate::operators::panes::as_i64;
use crate::state::held::Held;
use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use std::collections::BTreeMap;

/// One partition's copy of a [`ClosedNode`]: windows are dealt out to partitions by their ends.
pub struct Closed {
    fragment: Fragment,
    closes: Closes,
    inputs: usize,
    partitions: usize,
}

/// How many partitions a node runs in: one where rows of different windows meet (ORDER BY, or at the end).
pub fn partitions_of(node: &ClosedNode, partitions: usize) -> usize {
    match node.closes {
        Closes::PerWindow(_) if !node.ordered => partitions,
        _ => 1,
    }
}

/// The partition that owns a window: by a multiplicative hash of its end (Knuth, TAOCP 3, §6.4), since ends are multiples
/// of the slide.
fn owner(end_ns: i64, partitions: usize) -> usize {
    let mixed = (end_ns as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    mixed as usize % partitions
}

impl Closed {
    pub fn new(node: &ClosedNode, inputs: usize, partitions: usize, shop: &Workshop) -> Result<Closed> {
        let fragment = match node.closes {
            Closes::AtEnd => Fragment::stoppable(&node.plan, shop)?,
            Closes::PerWindow(_) => Fragment::new(&node.plan, shop)?,
        };
        Ok(Closed {
            fragment,
            closes: node.closes.clone(),
            inputs,
            partitions: partitions_of(node, partitions),
        })
    }

    pub fn new_state(&self) -> Held {
        Held::new(self.inputs)
    }

    /// Keeps one interval's rows of input `input`: of the windows that partition `partition` owns.
    pub fn fold(
        &mut self,
        state: &mut Held,
        partition: usize,
        interval: u64,
        input: usize,
        batches: Vec<RecordBatch>,
    ) -> Result<()> {
        for batch in batches {
            match &self.closes {
                Closes::AtEnd => state.push(input, ENDED, batch, interval),
                Closes::PerWindow(keys) => {
                    let Some(key) = keys.get(input) else { continue };
                    let owned = |end: i64| owner(end, self.partitions) == partition;
                    for (end, rows) in by_window(&batch, key, owned)? {
                        state.push(input, end, rows, interval);
                    }
                }
            }
        }
        Ok(())
    }

    /// Runs the batch over what has closed at the watermark (nanoseconds) of its inputs.
    pub fn close(&mut self, state: &mut Held, watermark_ns: i64) -> Result<Batch> {
        let (inputs, since) = state.take_closed(watermark_ns);
        let nothing = inputs.iter().all(Vec::is_empty);
        if nothing && (self.closes != Closes::AtEnd || watermark_ns != ENDED) {
            return Ok(Batch::default());
        }
        Ok(Batch {
            since,
            ..Batch::rows(self.fragment.run(inputs)?)
        })
    }

    /// What a state folded again from lineage must not give once more.
    pub fn forget(&self, state: &mut Held, watermark_ns: i64) {
        state.take_closed(watermark_ns);
    }
}

/// The rows of a batch by the end of their window, in nanoseconds.
fn by_window(batch: &RecordBatch, key: &WindowKey, owned: impl Fn(i64) -> bool) -> Result<Vec<(i64, RecordBatch)>> {
    let numbers = as_i64(batch.column(key.column))?;
    let end = |n: i64| key.from_start.map_or(n, |windows| windows.end_of(n).unwrap_or(n));
    let end_ns = |n: i64| end(n).saturating_mul(unit_ns(key.unit));
    let Some(first) = numbers.values().first() else {
        return Ok(Vec::new());
    };
    if numbers.values().iter().all(|n| n == first) {
        let end = end_ns(*first);
        return Ok(if owned(end) {
            vec![(end, batch.clone())]
        } else {
            Vec::new()
        });
    }
    let mut rows: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    let mut row = 0u32;
    for run in numbers.values().chunk_by(|a, b| a == b) {
        let end = end_ns(run[0]);
        if owned(end) {
            rows.entry(end).or_default().extend(row..row + run.len() as u32);
        }
        row += run.len() as u32;
    }
    let take = |(end, rows)| {
        let taken = take_record_batch(batch, &UInt32Array::from(rows)).map_err(|e| failed(e.into()))?;
        Ok((end, taken))
    };
    rows.into_iter().map(take).collect()
}
