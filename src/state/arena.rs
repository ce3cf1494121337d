//! Rows that are kept one by one and forgotten one by one, in the batches in which they came.

use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::interleave_record_batch;
use std::collections::BTreeMap;

/// Batches some of whose rows are still needed. A batch goes when its last row has gone.
#[derive(Debug, Clone, Default)]
pub struct Arena {
    chunks: Vec<Option<Chunk>>,
    free: Vec<u32>,
    live: usize,
    held: usize,
}

#[derive(Debug, Clone)]
struct Chunk {
    batch: RecordBatch,
    live: usize,
}

/// Where a row lies in its arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRef {
    chunk: u32,
    row: u32,
}

/// Rows up to which dead ones are not worth being cleared away.
const SLACK_ROWS: usize = 8_192;

impl Arena {
    /// Keeps all rows of a batch; the k-th is at the k-th place given.
    pub fn add(&mut self, batch: RecordBatch) -> impl Iterator<Item = RowRef> + use<> {
        let rows = batch.num_rows();
        (self.live, self.held) = (self.live + rows, self.held + rows);
        let kept = (rows > 0).then_some(Chunk { batch, live: rows });
        let chunk = match self.free.pop() {
            Some(chunk) => {
                self.chunks[chunk as usize] = kept;
                chunk
            }
            None => {
                self.chunks.push(kept);
                (self.chunks.len() - 1) as u32
            }
        };
        (0..rows as u32).map(move |row| RowRef { chunk, row })
    }

    /// Forgets a row.
    pub fn remove(&mut self, at: RowRef) {
        let Some(slot) = self.chunks.get_mut(at.chunk as usize) else {
            return;
        };
        let Some(chunk) = slot else { return };
        chunk.live -= 1;
        self.live -= 1;
        if chunk.live == 0 {
            self.held -= chunk.batch.num_rows();
            *slot = None;
            self.free.push(at.chunk);
        }
    }

    /// The rows at some places, as one batch in that order; `None` for no rows.
    pub fn gather(&self, places: &[RowRef]) -> Result<Option<RecordBatch>> {
        let mut batches: Vec<&RecordBatch> = Vec::new();
        let mut numbers: BTreeMap<u32, usize> = BTreeMap::new();
        let mut indices = Vec::with_capacity(places.len());
        for place in places {
            let Some(Some(chunk)) = self.chunks.get(place.chunk as usize) else {
                continue;
            };
            let number = *numbers.entry(place.chunk).or_insert_with(|| {
                batches.push(&chunk.batch);
                batches.len() - 1
            });
            indices.push((number, place.row as usize));
        }
        match batches.is_empty() {
            true => Ok(None),
            false => interleave_record_batch(&batches, &indices)
                .map(Some)
                .map_err(|e| Error::internal("rows that are kept together do not fit together").because(e)),
        }
    }

    /// More than half of what is held is dead: the owner should move the living rows to a new arena.
    pub fn is_sparse(&self) -> bool {
        self.held > 2 * self.live + SLACK_ROWS
    }

    /// Rows that are still needed.
    pub fn num_rows(&self) -> usize {
        self.live
    }
}
