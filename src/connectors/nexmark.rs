//! The auction house of the Nexmark benchmark: persons, auctions and bids, made up as they are read.
//!
//! Owns: the options, the split and the offsets of the connector `nexmark`.
//! Guarantees: one sequence of events for given options, the same on every run, machine and cut; the three types are
//! filters over it, so that a bid's auction is found in the auctions of the same options. Columns that nobody asked
//! for are not built.
//! Does **not** guarantee: event times finer than the generator's arithmetic, which is in 32-bit floats: from about
//! 16 million events on neighbours share a time, in steps of 8 ms at a thousand million events.
//! Depends on the crate `nexmark` for the events, on `dstream` and the ground. Start reading at [`made`].

mod columns;
mod sequence;
#[cfg(test)]
mod tests;

use super::blocks::{Made, MakeBlock};
use super::{Chunk, Connector, Fault, Offset, Source, Subject, Workers};
use crate::dstream::table::{ConnectorSpec, OptionKind, OptionSpec, TableSpec};
use crate::error::{Diagnostic, Error, Kind, Result};
use columns::Table;
use datafusion::arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use datafusion::arrow::datatypes::SchemaRef;
use sequence::{CHUNK_EVENTS, Sequence, Shape};
use std::sync::Arc;

static SPEC: ConnectorSpec = ConnectorSpec {
    name: "nexmark",
    doc: "Made-up auctions, persons and bids of the Nexmark benchmark",
    reads: true,
    writes: false,
    options: &[
        OptionSpec::new(
            "type",
            OptionKind::OneOf(&["person", "auction", "bid"]),
            None,
            "Which events; absent: all of them, as event_type and three nullable structs",
        ),
        OptionSpec::new(
            "events",
            OptionKind::Count,
            None,
            "How many events of all kinds; absent: without end",
        ),
        OptionSpec::new(
            "rate",
            OptionKind::Count,
            Some("10000"),
            "Events of all kinds per second of event time",
        ),
        OptionSpec::new(
            "pace",
            OptionKind::OneOf(&["fast", "real"]),
            Some("fast"),
            "fast: as fast as they are read; real: as fast as event time passes",
        ),
        OptionSpec::new(
            "base_time",
            OptionKind::Time,
            Some("2015-07-15T00:00:00Z"),
            "Event time of the first event",
        ),
        OptionSpec::new(
            "out_of_order",
            OptionKind::Count,
            Some("1"),
            "Events are shuffled in groups of so many; not a multiple of 953",
        ),
    ],
    formats: &[],
    format_of: |_| None,
};

/// The registry's line.
pub const CONNECTOR: Connector = Connector {
    spec: &SPEC,
    infer: Some(infer),
    source: Some(open),
    sink: None,
    check_source: None,
    check_sink: None,
    check: Some(check),
    ends: |table| table.options.contains_key("events"),
};

fn check(table: &TableSpec) -> Vec<Fault> {
    let values = [
        ("rate", at_least_one(table, "rate")),
        ("base_time", base_time_ms(table)),
        ("out_of_order", at_least_one(table, "out_of_order")),
    ];
    let fault = |(name, value): (&str, Result<u64>)| {
        value.err().map(|error| Fault {
            subject: Subject::Value(name.to_string()),
            diagnostic: Diagnostic::error("option_value", error.message),
        })
    };
    values.into_iter().filter_map(fault).collect()
}

fn infer(table: &TableSpec) -> Result<SchemaRef> {
    Ok(Table::of_type(table.option(&SPEC, "type"))?.schema())
}

fn open(table: &TableSpec, workers: &Workers) -> Result<Arc<dyn Source>> {
    Ok(Arc::new(made(table, workers)?))
}

/// A source over the one sequence of events. A block is [`CHUNK_EVENTS`] events, and a row is counted within its block
/// after the filter by type. So any block can be made again alone.
///
/// Errors: an option's value is out of its range; a declared column is not one of the type's, or has another type.
fn made(table: &TableSpec, workers: &Workers) -> Result<Made<Maker>> {
    let kind = Table::of_type(table.option(&SPEC, "type"))?;
    let shape = Shape {
        events: count(table, "events")?,
        rate: at_least_one(table, "rate")?,
        base_time_ms: base_time_ms(table)?,
        group: at_least_one(table, "out_of_order")?,
        filter: kind.filter(),
    };
    let end = shape.events;
    let maker = Maker {
        sequence: Sequence::new(shape)?,
        columns: columns::Declared::new(kind, table)?,
    };
    Ok(Made {
        name: "nexmark",
        schema: maker.columns.schema(),
        maker: Arc::new(maker),
        end,
        block_size: CHUNK_EVENTS,
        real_pace: table.option(&SPEC, "pace") == Some("real"),
        workers: workers.clone(),
    })
}

/// Makes chunks: a pure function of the block.
struct Maker {
    sequence: Sequence,
    columns: columns::Declared,
}

impl MakeBlock for Maker {
    fn make(&self, block: u64, columns: &[usize]) -> Result<Chunk> {
        let batch = if columns.is_empty() {
            self.columns.count_only(self.sequence.count(block))?
        } else {
            self.columns.batch(&self.sequence.rows(block), columns)?
        };
        let place = |block| Offset { block, row: 0 };
        Ok(Chunk {
            from: place(block),
            to: place(block + CHUNK_EVENTS),
            batch,
            bad: Vec::new(),
            watermark_ns: None,
            passed: None,
            text: None,
        })
    }

    fn due_ms(&self, block: u64) -> Vec<u64> {
        self.sequence.elapsed_ms(block)
    }
}

fn count(table: &TableSpec, name: &str) -> Result<Option<u64>> {
    let Some(text) = table.option(&SPEC, name) else {
        return Ok(None);
    };
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let number = digits.parse().map_err(|_| {
        let message = format!(
            "option `{name}` of `{}` must be a whole number, not `{text}`",
            table.name
        );
        Error::new(Kind::Sql, message)
    })?;
    Ok(Some(number))
}

fn at_least_one(table: &TableSpec, name: &str) -> Result<u64> {
    match count(table, name)? {
        Some(number) if number > 0 => Ok(number),
        _ => Err(Error::new(Kind::Sql, format!("the option `{name}` must be at least 1"))),
    }
}

fn base_time_ms(table: &TableSpec) -> Result<u64> {
    let text = table.option(&SPEC, "base_time").unwrap_or_default();
    let wrong = |why: &str| {
        let message = format!("the option `base_time` takes {why}, not `{text}`");
        Error::new(Kind::Sql, message)
    };
    let ns = string_to_timestamp_nanos(text).map_err(|_| wrong("a time such as 2015-07-15T00:00:00Z"))?;
    u64::try_from(ns / 1_000_000).map_err(|_| wrong("a time since 1970"))
}
