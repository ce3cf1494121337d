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

/// The one copy of a [`ClosedNode`]: it runs as a single partition.
pub struct Closed {
    fragment: Fragment,
    closes: Closes,
    inputs: usize,
}

impl Closed {
    pub fn new(node: &ClosedNode, inputs: usize, shop: &Workshop) -> Result<Closed> {
        Ok(Closed {
            fragment: Fragment::new(&node.plan, shop)?,
            closes: node.closes.clone(),
            inputs,
        })
    }

    pub fn new_state(&self) -> Held {
        Held::new(self.inputs)
    }

    /// Keeps one interval's rows of input `input`.
    pub fn fold(&mut self, state: &mut Held, interval: u64, input: usize, batches: Vec<RecordBatch>) -> Result<()> {
        for batch in batches {
            match &self.closes {
                Closes::AtEnd => state.push(input, ENDED, batch, interval),
                Closes::PerWindow(keys) => {
                    let Some(key) = keys.get(input) else { continue };
                    for (end, rows) in by_window(&batch, key)? {
                        state.push(input, end, rows, interval);
                    }
                }
            }
        }
        Ok(())
    }

    /// Runs the batch over what has closed at the watermark (nanoseconds) of its inputs.
    pub fn close(&mut self, state: &mut Held, watermark_ns: i64) -> Result<Batch> {
        let inputs = state.take_closed(watermark_ns);
        let nothing = inputs.iter().all(Vec::is_empty);
        if nothing && (self.closes != Closes::AtEnd || watermark_ns != ENDED) {
            return Ok(Batch::default());
        }
        Ok(Batch::rows(self.fragment.run(inputs)?))
    }

    /// What a state folded again from lineage must not give once more.
    pub fn forget(&self, state: &mut Held, watermark_ns: i64) {
        state.take_closed(watermark_ns);
    }
}

/// The rows of a batch by the end of their window, in nanoseconds.
fn by_window(batch: &RecordBatch, key: &WindowKey) -> Result<Vec<(i64, RecordBatch)>> {
    let numbers = as_i64(batch.column(key.column))?;
    let end_ns = |n: i64| n.saturating_add(key.to_end).saturating_mul(unit_ns(key.unit));
    let Some(first) = numbers.values().first() else {
        return Ok(Vec::new());
    };
    if numbers.values().iter().all(|n| n == first) {
        return Ok(vec![(end_ns(*first), batch.clone())]);
    }
    let mut rows: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (row, n) in numbers.values().iter().enumerate() {
        rows.entry(end_ns(*n)).or_default().push(row as u32);
    }
    let take = |(end, rows)| {
        let taken = take_record_batch(batch, &UInt32Array::from(rows)).map_err(|e| failed(e.into()))?;
        Ok((end, taken))
    };
    rows.into_iter().map(take).collect()
}
