//! Exchange by key: rows of a batch to the partition that owns their key.

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::common::Result;
use datafusion::common::hash_utils::{RandomState, create_hashes};

/// One seed for ever: the owner of a key must not change from run to run.
const SEED: u64 = 0x5EED_0FA1_1A80;

/// Splits a batch by the hash of `keys` into `partitions` batches (some may be empty), keeping the order of rows.
/// Without keys, or with one partition, everything goes to partition 0.
pub fn by_key(batch: RecordBatch, keys: &[ArrayRef], partitions: usize) -> Result<Vec<RecordBatch>> {
    if partitions == 1 || keys.is_empty() {
        let mut parts = vec![batch.slice(0, 0); partitions];
        parts[0] = batch;
        return Ok(parts);
    }
    let mut hashes = vec![0; batch.num_rows()];
    create_hashes(keys, &RandomState::with_seed(SEED), &mut hashes)?;
    let mut rows = vec![Vec::with_capacity(batch.num_rows() / partitions + 16); partitions];
    for (row, hash) in hashes.iter().enumerate() {
        // The high bits choose the partition: DataFusion's tables use the low ones.
        let partition = ((hash >> 32) as usize) % partitions;
        rows[partition].push(row as u32);
    }
    let take = |rows: Vec<u32>| Ok(take_record_batch(&batch, &UInt32Array::from(rows))?);
    rows.into_iter().map(take).collect()
}
