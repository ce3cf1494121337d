//! Rows made up as they are read: random columns and sequences, as declared.
//!
//! Owns: the options, the split and the blocks of the connector `datagen`.
//! Guarantees: row k depends on the seed, the column and k only, so it is the same on every run, machine and cut;
//! columns that nobody asked for are not made.
//! Does **not** guarantee: anything about the randomness beyond that it looks like it.
//! Depends on `blocks`, `dstream` and the ground. Start reading at [`Maker`].

mod columns;
mod declared;
#[cfg(test)]
mod tests;

use super::blocks::{Made, MakeBlock};
use super::{Chunk, Connector, Fault, Offset, Source, Workers};
use crate::dstream::table::{ConnectorSpec, OptionKind, OptionSpec, TableSpec};
use crate::error::{Error, Result};
use columns::Column;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use declared::Declared;
use std::sync::Arc;

/// Rows of a block: enough to hide the cost of handing one over, few enough to stay in the caches.
const BLOCK_ROWS: u64 = 8192;

static SPEC: ConnectorSpec = ConnectorSpec {
    name: "datagen",
    doc: "Made-up rows: random columns and sequences",
    reads: true,
    writes: false,
    options: &[
        OptionSpec::new("rows", OptionKind::Count, None, "How many; absent: without end"),
        OptionSpec::new(
            "rate",
            OptionKind::Count,
            None,
            "Rows per second of the wall clock; absent: as fast as they are read",
        ),
        OptionSpec::new(
            "seed",
            OptionKind::Count,
            Some("42"),
            "Another seed, other random values",
        ),
        OptionSpec::new(
            "fields.NAME.kind",
            OptionKind::OneOf(&["random", "sequence"]),
            Some("random"),
            "How the values of column NAME are made",
        ),
        OptionSpec::new(
            "fields.NAME.min",
            OptionKind::Text,
            None,
            "Random: the least value; absent: 0, times 2024-01-01",
        ),
        OptionSpec::new(
            "fields.NAME.max",
            OptionKind::Text,
            None,
            "Random: the greatest value; absent: what the type holds, 1 for FLOAT and DOUBLE, times the end of 2024",
        ),
        OptionSpec::new(
            "fields.NAME.length",
            OptionKind::Count,
            Some("16"),
            "Random STRING: how many letters",
        ),
        OptionSpec::new(
            "fields.NAME.start",
            OptionKind::Text,
            None,
            "Sequence: the first value; absent: 0, times 2024-01-01",
        ),
        OptionSpec::new(
            "fields.NAME.end",
            OptionKind::Text,
            None,
            "Sequence: the last value, with which the rows end; absent: begins again when the type is full",
        ),
        OptionSpec::new(
            "fields.NAME.step",
            OptionKind::Text,
            None,
            "Sequence: from one value to the next; absent: 1, TIMESTAMP 1 second, DATE 1 day",
        ),
        OptionSpec::new(
            "fields.NAME.null_rate",
            OptionKind::Text,
            Some("0"),
            "The share of NULLs, from 0 to 1",
        ),
    ],
    formats: &[],
    format_of: |_| None,
};

/// The registry's line.
pub const CONNECTOR: Connector = Connector {
    spec: &SPEC,
    infer: None,
    source: Some(open),
    sink: None,
    check_source: None,
    check_sink: None,
    check: Some(check),
    ends: |table| table.options.keys().any(|key| key == "rows" || key.ends_with(".end")),
};

fn check(table: &TableSpec) -> Vec<Fault> {
    Declared::of(table).err().unwrap_or_default()
}

fn open(table: &TableSpec, workers: &Workers) -> Result<Arc<dyn Source>> {
    let declared = Declared::of(table).map_err(|faults| {
        let messages: Vec<String> = faults.into_iter().map(|f| f.diagnostic.message).collect();
        Error::refused(messages.join("; "))
    })?;
    Ok(Arc::new(made(table, declared, workers)))
}

/// A block is [`BLOCK_ROWS`] rows.
fn made(table: &TableSpec, declared: Declared, workers: &Workers) -> Made<Maker> {
    Made {
        name: "datagen",
        schema: table.physical_schema(),
        end: declared.rows,
        block_size: BLOCK_ROWS,
        real_pace: declared.rate.is_some(),
        workers: workers.clone(),
        maker: Arc::new(Maker {
            schema: table.physical_schema(),
            columns: declared.columns,
            rows: declared.rows,
            rate: declared.rate,
        }),
    }
}

/// Makes blocks: a pure function of the block's number.
struct Maker {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: Option<u64>,
    rate: Option<u64>,
}

impl Maker {
    /// The row after the block's last one.
    fn end(&self, block: u64) -> u64 {
        block.saturating_add(BLOCK_ROWS).min(self.rows.unwrap_or(u64::MAX))
    }
}

impl MakeBlock for Maker {
    fn make(&self, block: u64, columns: &[usize]) -> Result<Chunk> {
        let broken = |e| Error::internal("datagen: a block could not be made").because(e);
        let rows = block..self.end(block);
        let arrays = columns.iter().map(|&c| self.columns[c].array(rows.clone()));
        let arrays = arrays.collect::<std::result::Result<Vec<_>, _>>().map_err(broken)?;
        let schema = Arc::new(self.schema.project(columns).map_err(broken)?);
        let options = RecordBatchOptions::new().with_row_count(Some((rows.end - rows.start) as usize));
        let place = |block| Offset { block, row: 0 };
        Ok(Chunk {
            from: place(block),
            to: place(block + BLOCK_ROWS),
            batch: RecordBatch::try_new_with_options(schema, arrays, &options).map_err(broken)?,
            bad: Vec::new(),
            watermark_ns: None,
            passed: None,
            text: None,
        })
    }

    fn due_ms(&self, block: u64) -> Vec<u64> {
        let rate = u128::from(self.rate.unwrap_or(u64::MAX).max(1));
        let due = |row: u64| u64::try_from(u128::from(row) * 1000 / rate).unwrap_or(u64::MAX);
        (block..self.end(block)).map(due).collect()
    }
}
