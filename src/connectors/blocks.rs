//! Generated rows: blocks made ahead of their use on several threads and given in order, and made again when asked.
//!
//! Owns: [`Made`], the source of made blocks, and how they are handed to `prefetch`, one block a lane. Guarantees: what `prefetch` does (order, a bound on
//! what waits, a bell, no standstill). Depends on `prefetch` and `pace`. Start reading at [`MakeBlock`].

use super::pace::Paced;
use super::prefetch::{Allowance, Front, Lane, Lanes, Prefetch, Weighed};
use super::{Bell, Chunk, Next, Offset, Source, Split, SplitReader, Splits, Workers};
use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::sync::Arc;
use std::time::Instant;

/// Makes the blocks of a generator. Each is a pure function of its number, so any can be made alone.
pub trait MakeBlock: Send + Sync {
    /// The block of that number, as one chunk.
    fn make(&self, block: u64, columns: &[usize]) -> Result<Chunk>;

    /// When each row of a block is due, in milliseconds after the first row of all.
    fn due_ms(&self, block: u64) -> Vec<u64>;
}

/// A source whose rows are made: one split, its blocks numbered by their first row, or event.
pub struct Made<M> {
    pub name: &'static str,
    pub schema: SchemaRef,
    pub maker: Arc<M>,
    /// Where the sequence ends, if it does: the number of the first row, or event, that there is not.
    pub end: Option<u64>,
    pub block_size: u64,
    /// Rows come when they are due, by the clock of the wall.
    pub real_pace: bool,
    pub workers: Workers,
}

impl<M: MakeBlock + 'static> Source for Made<M> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn bounded(&self) -> bool {
        self.end.is_some()
    }

    fn waits(&self) -> bool {
        self.real_pace && !self.bounded()
    }

    fn replayable(&self) -> bool {
        true
    }

    fn splits(&self) -> Result<Splits> {
        Ok(Splits::one(self.name))
    }

    fn open(&self, _split: &Split, columns: &[usize], bell: Bell) -> Result<Box<dyn SplitReader>> {
        let maker: Arc<dyn MakeBlock> = Arc::clone(&self.maker) as _;
        let numbers = (0..self.end.unwrap_or(u64::MAX)).step_by(self.block_size as usize);
        let ahead = Ahead::new(
            Arc::clone(&maker),
            Box::new(numbers),
            columns,
            &self.workers,
            bell.clone(),
        );
        match self.real_pace {
            false => Ok(Box::new(ahead)),
            // The one clock of such a source.
            true => Ok(Box::new(Paced::new(ahead, maker, Instant::now(), bell)?)),
        }
    }

    fn reread(
        &self,
        _split: &Split,
        from: Offset,
        to: Offset,
        rows: usize,
        columns: &[usize],
    ) -> Result<Vec<RecordBatch>> {
        make_again(self.maker.as_ref(), (from, to), rows, columns, self.block_size)
    }
}

/// The rows from `from` on, `rows` of them. Blocks are numbered by their first row, or event: `block_size` apart.
///
/// Errors: the blocks up to `to` hold fewer rows, which is a mistake of ours.
fn make_again(
    maker: &dyn MakeBlock,
    (from, to): (Offset, Offset),
    rows: usize,
    columns: &[usize],
    block_size: u64,
) -> Result<Vec<RecordBatch>> {
    let mut batches = Vec::new();
    let mut left = rows;
    let mut skip = usize::try_from(from.row).unwrap_or(usize::MAX);
    let mut block = from.block;
    while left > 0 && (Offset { block, row: 0 }) < to {
        let batch = maker.make(block, columns)?.batch;
        let skipped = skip.min(batch.num_rows());
        let taken = left.min(batch.num_rows() - skipped);
        if taken > 0 {
            batches.push(batch.slice(skipped, taken));
        }
        left -= taken;
        skip = 0;
        block += block_size;
    }
    if left > 0 {
        return Err(Error::internal(format!(
            "a recorded range is {left} rows longer than what can be generated for it"
        )));
    }
    Ok(batches)
}

/// A reader over blocks that are made independently of each other.
pub struct Ahead(Prefetch<Blocks>);

impl Ahead {
    /// `numbers`: every block of the sequence, in order.
    pub fn new(
        maker: Arc<dyn MakeBlock>,
        numbers: Box<dyn Iterator<Item = u64> + Send>,
        columns: &[usize],
        workers: &Workers,
        bell: Bell,
    ) -> Self {
        let blocks = Blocks {
            maker,
            columns: columns.into(),
            left: numbers,
        };
        Ahead(Prefetch::new(blocks, workers.clone(), Allowance::new(workers), bell))
    }
}

impl SplitReader for Ahead {
    fn next(&mut self) -> Result<Next> {
        Ok(match self.0.next()? {
            Front::Item(chunk) => Next::Chunk(chunk),
            Front::Pending => Next::Pending,
            Front::Ended => Next::Ended,
        })
    }
}

/// Blocks in order, not yet made.
struct Blocks {
    maker: Arc<dyn MakeBlock>,
    columns: Arc<[usize]>,
    left: Box<dyn Iterator<Item = u64> + Send>,
}

impl Lanes for Blocks {
    type Lane = Block;

    fn open(&mut self) -> Result<Option<Block>> {
        Ok(self.left.next().map(|number| Block {
            maker: Arc::clone(&self.maker),
            columns: Arc::clone(&self.columns),
            number: Some(number),
        }))
    }
}

/// One block; made in one step.
struct Block {
    maker: Arc<dyn MakeBlock>,
    columns: Arc<[usize]>,
    /// `None` once it is made.
    number: Option<u64>,
}

impl Weighed for Chunk {
    fn bytes(&self) -> usize {
        self.batch.get_array_memory_size()
    }
}

impl Lane for Block {
    type Item = Chunk;

    fn step(&mut self) -> Result<Option<Chunk>> {
        let number = self.number.take();
        number.map(|number| self.maker.make(number, &self.columns)).transpose()
    }
}
