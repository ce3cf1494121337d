//! Blocks made ahead of their use on several threads, given in order.
//!
//! Owns: how blocks are handed to `prefetch`, one block a lane. Guarantees: what `prefetch` does (order, a bound on
//! what waits, a bell, no standstill). Depends on `prefetch`. Start reading at [`Ahead`].

use super::super::prefetch::{Allowance, Front, Lane, Lanes, Prefetch};
use super::super::{Bell, Chunk, Next, SplitReader, Workers};
use super::Maker;
use crate::error::Result;
use std::sync::Arc;

/// A reader over blocks that are made independently of each other.
pub(super) struct Ahead(Prefetch<Blocks>);

impl Ahead {
    pub(super) fn new(blocks: Blocks, workers: &Workers, bell: Bell) -> Self {
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

/// Every block of the sequence, in order, not yet made.
pub(super) struct Blocks {
    maker: Arc<Maker>,
    columns: Arc<[usize]>,
    left: Box<dyn Iterator<Item = u64> + Send>,
}

impl Blocks {
    pub(super) fn new(maker: Arc<Maker>, columns: &[usize]) -> Self {
        Blocks {
            left: maker.sequence.blocks(),
            maker,
            columns: columns.into(),
        }
    }
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
pub(super) struct Block {
    maker: Arc<Maker>,
    columns: Arc<[usize]>,
    /// `None` once it is made.
    number: Option<u64>,
}

impl Lane for Block {
    type Item = Chunk;

    fn step(&mut self) -> Result<Option<Chunk>> {
        let number = self.number.take();
        number.map(|number| self.maker.chunk(number, &self.columns)).transpose()
    }
}
