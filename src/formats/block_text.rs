//! The text that the rows of a block were decoded from, for rows that are found to be bad later.

use super::blocks::Block;
use super::decode::BadRecord;
use super::records::{Rule, count_lines, records};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// A block of text and which record of it is which row.
#[derive(Debug)]
pub struct BlockText {
    /// Which stream it is of, for people.
    source: Arc<str>,
    block: Block,
    rule: Rule,
    /// Where the bad records stand, in order.
    bad: Vec<u64>,
    /// The records of the rows; found when somebody asks.
    rows: OnceLock<Vec<Range<usize>>>,
}

impl BlockText {
    /// `bad`: where the records stand that gave no row, in order.
    pub fn new(source: Arc<str>, block: Block, rule: Rule, bad: Vec<u64>) -> Self {
        BlockText {
            source,
            block,
            rule,
            bad,
            rows: OnceLock::new(),
        }
    }

    /// The records of some rows, counted from the first of the block, ascending, as bad ones.
    pub fn bad_records(&self, rows: impl Iterator<Item = usize>, message: &str) -> Vec<BadRecord> {
        let places = self.rows.get_or_init(|| self.find_rows());
        let (mut at, mut line) = (0, self.block.line);
        let record = |row: usize| {
            let place = places.get(row)?.clone();
            line += count_lines(&self.block.bytes[at..place.start]) as u64;
            at = place.start;
            Some(BadRecord {
                split: self.source.clone(),
                byte_offset: self.block.offset + place.start as u64,
                line,
                message: message.to_string(),
                bytes: without_end(&self.block.bytes[place]).to_vec(),
            })
        };
        rows.filter_map(record).collect()
    }

    /// The records that gave rows.
    fn find_rows(&self) -> Vec<Range<usize>> {
        let mut rows = records(self.rule, &self.block.bytes);
        let is_bad = |row: &Range<usize>| self.bad.binary_search(&(self.block.offset + row.start as u64)).is_ok();
        rows.retain(|row| !is_bad(row));
        rows
    }
}

/// A record without its line end.
pub fn without_end(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}
