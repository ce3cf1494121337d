//! Where rows come from and go to.
//!
//! Owns: the [`Source`], [`SplitReader`] and [`Sink`] traits, and the registry of connectors.
//! Guarantees: the rows of a range of a split are the same each time they are read; a reader never blocks;
//! a bad record takes no neighbour with it.
//! Does **not** guarantee: that a source can be read again ([`Source::replayable`] tells; what cannot is kept by the engine).
//! Depends on `formats`, `dstream` and the ground. Start reading at [`Source`].
//!
//! A new connector is one file (or folder) here and one line in [`CONNECTORS`].

mod blackhole;
mod blocks;
mod datagen;
mod file;
pub mod memory;
mod nexmark;
mod pace;
mod prefetch;
pub mod push;
mod socket;
pub mod stdin;
mod stdout;

use crate::dstream::table::{ConnectorSpec, TableSpec};
use crate::error::{Diagnostic, Error, Result};
use crate::formats::table::format_of;
pub use crate::formats::{BadRecord, BlockText, Pruning};
use crate::formats::{CsvFormat, Decoded, Format, resolve_format, unreadable_columns};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
pub use file::{Output, Place};
use std::sync::Arc;

/// A place in a split. What a block is, is the connector's business: a byte offset (text), a row group (Parquet),
/// 0 (generators). `row` counts decoded rows from the start of the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset {
    pub block: u64,
    pub row: u64,
}

/// Some consecutive rows of a split, all of one block.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The place of the first row. The k-th row is at `Offset { row: from.row + k, ..from }`.
    pub from: Offset,
    /// The place after the last row: where reading goes on (it may be the start of the next block).
    pub to: Offset,
    /// The columns that were asked for, in that order. May have no rows (a block of bad records only).
    pub batch: RecordBatch,
    /// Records of this block that were skipped (`on_error` = skip or dead_letter), in order.
    pub bad: Vec<BadRecord>,
    /// An explicit watermark that stands *before* the first row of this chunk, in nanoseconds (push sources).
    pub watermark_ns: Option<i64>,
    /// Rows were left out before the first row of this chunk: the greatest value that they have in the column of
    /// [`Pruning::greatest_of`].
    pub passed: Option<i64>,
    /// What the block was decoded from, where that is known and asked for (`max_future_skew`).
    pub text: Option<Arc<BlockText>>,
}

impl Chunk {
    /// What a block gave.
    pub fn of(decoded: Decoded, from: Offset, to: Offset) -> Chunk {
        Chunk {
            from,
            to,
            batch: decoded.batch,
            bad: decoded.bad,
            watermark_ns: None,
            passed: None,
            text: decoded.text,
        }
    }
}

/// What a reader has for the driver now.
#[derive(Debug)]
pub enum Next {
    Chunk(Chunk),
    /// Nothing yet; the [`Bell`] rings when there is more.
    Pending,
    /// The split has ended for good.
    Ended,
}

/// One of a source's own units of order: a file, a connection, a push handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Unique within the source for its life: journal and messages name it.
    pub id: u32,
    /// For people: the path, `stdin`, `push 1`.
    pub name: String,
}

/// Wakes whoever waits for rows. Cheap to clone; ringing twice is ringing once.
#[derive(Clone)]
pub struct Bell(pub Arc<dyn Fn() + Send + Sync>);

impl Bell {
    pub fn ring(&self) {
        (self.0)()
    }
}

/// A table that is read as a stream.
pub trait Source: Send + Sync {
    /// Every column that can be asked for (the table's physical columns), in declared order.
    fn schema(&self) -> SchemaRef;

    /// True when every split ends by itself and none can appear any more.
    fn bounded(&self) -> bool;

    /// Whether it waits for what comes from outside, and so can be quiet. What is there already only takes its time.
    fn waits(&self) -> bool {
        !self.bounded()
    }

    /// True when [`Source::reread`] works for any range at any time (files, generators); otherwise the engine keeps the rows.
    fn replayable(&self) -> bool;

    /// The same source without blocks of which `pruning` says that nobody asks for them; `None`: it tells blocks from
    /// each other only by reading them.
    fn pruned(&self, _pruning: Pruning) -> Option<Arc<dyn Source>> {
        None
    }

    /// The splits known now, in a stable order; ids never change. `more`: others may still appear.
    fn splits(&self) -> Result<Splits>;

    /// Several files are read as one split, in the order of their names.
    fn is_ordered(&self) -> bool {
        false
    }

    /// How long a split may be quiet before the others go on without it, in nanoseconds, unless the query says it:
    /// `None` for ever.
    fn idle_timeout_ns(&self) -> Option<i64> {
        None
    }

    /// `bell` is to be rung whenever a split has appeared, or none can appear any more. For sources whose splits come
    /// by themselves.
    fn watch(&self, _bell: Bell) {}

    /// Opens a split at its beginning. `columns` are indices into [`Source::schema`], ascending, and may be empty
    /// (batches then carry a row count only). Does not read yet.
    fn open(&self, split: &Split, columns: &[usize], bell: Bell) -> Result<Box<dyn SplitReader>>;

    /// The rows of [from, to) again, as [`Source::open`] gave them, possibly cut into other batches.
    /// `rows` is how many there are. Of a source that is not replayable nobody asks this.
    fn reread(
        &self,
        split: &Split,
        _from: Offset,
        _to: Offset,
        _rows: usize,
        _columns: &[usize],
    ) -> Result<Vec<RecordBatch>> {
        let message = format!("{} cannot be read again: whoever read its rows keeps them", split.name);
        Err(Error::internal(message))
    }
}

/// The answer of [`Source::splits`].
#[derive(Debug, Clone, Default)]
pub struct Splits {
    pub known: Vec<Split>,
    pub more: bool,
}

impl Splits {
    /// The one split of a source that never has another.
    pub fn one(name: impl Into<String>) -> Splits {
        let name = name.into();
        Splits {
            known: vec![Split { id: 0, name }],
            more: false,
        }
    }
}

/// Reads one split from its beginning to its end, in order, once.
pub trait SplitReader: Send {
    /// The next rows if they are there. Never blocks: a reader decodes ahead elsewhere and rings its [`Bell`].
    ///
    /// Errors: the file cannot be read; a record cannot be decoded and `on_error` is `fail` (all rows before it have
    /// been given by then; the message names source, line, byte offset and the text of the record).
    fn next(&mut self) -> Result<Next>;

    /// Everything before `to` is committed, by the program that reads here. For senders who wait for that.
    fn committed(&mut self, _to: Offset) {}

    /// The program that reads here has failed: nothing more will be committed.
    fn failed(&mut self, _why: &Error) {}
}

/// A table that is written to, interval by interval: prepare, then commit, in interval order.
pub trait Sink: Send {
    /// The recorded clock of the interval that is committed next, in nanoseconds since the epoch.
    fn clock(&mut self, _clock_ns: i64) {}

    /// For how long it keeps rows back at most, if it does: it is told the clock of intervals without rows too, and there
    /// is one when the time is up.
    fn keeps_back_ns(&self) -> Option<i64> {
        None
    }

    /// Takes the rows of an interval; nothing becomes visible yet.
    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()>;

    /// Makes a prepared interval visible.
    fn commit(&mut self, interval: u64) -> Result<()>;

    /// Forgets what was prepared and not committed.
    fn abort(&mut self) -> Result<()>;

    /// The input has ended and everything is committed: a bounded result is complete now.
    fn finish(&mut self) -> Result<()>;
}

/// Opens a table for reading.
pub type OpenSource = fn(&TableSpec, &Workers) -> Result<Arc<dyn Source>>;

/// Opens a table for writing rows of the given columns; the flag tells whether the query that writes ends by itself.
pub type OpenSink = fn(&TableSpec, SchemaRef, bool) -> Result<Box<dyn Sink>>;

/// Whether a table can be written with rows of the given columns; the flag as for [`OpenSink`].
pub type CheckSink = fn(&TableSpec, &SchemaRef, bool) -> Result<()>;

/// Hands a job to a thread.
pub type Spawn = dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync;

/// One line of the registry.
pub struct Connector {
    pub spec: &'static ConnectorSpec,
    /// The columns of a table declared without any, from the data itself.
    pub infer: Option<fn(&TableSpec) -> Result<SchemaRef>>,
    pub source: Option<OpenSource>,
    pub sink: Option<OpenSink>,
    /// What opening the source would refuse. Reads no rows.
    pub check_source: Option<fn(&TableSpec) -> Result<()>>,
    /// What opening the sink would refuse. Writes nothing.
    pub check_sink: Option<CheckSink>,
    /// What is wrong with a declaration beyond what the table of options tells. Looks at no data.
    pub check: Option<fn(&TableSpec) -> Vec<Fault>>,
    /// Whether reading such a table ends by itself, as far as its declaration tells.
    pub ends: fn(&TableSpec) -> bool,
}

/// A mistake in the declaration of a table, and the part of it that is wrong.
pub struct Fault {
    pub subject: Subject,
    pub diagnostic: Diagnostic,
}

/// Options of a format that do not go together, and columns that it cannot fill.
fn format_faults(table: &TableSpec) -> Vec<Fault> {
    let format = match format_of(&table.options) {
        Some("csv") => CsvFormat::of(table).map(Format::Csv),
        Some(_) => resolve_format(table),
        None => return Vec::new(),
    };
    let fault = |subject, code, error: Error| Fault {
        subject,
        diagnostic: Diagnostic::error(code, error.message),
    };
    match format {
        Err(error) => vec![fault(Subject::Value("quote".to_string()), "option_value", error)],
        Ok(format) => {
            let schema = table.physical_schema();
            let columns = unreadable_columns(&format, &schema).into_iter();
            let columns = columns.map(|(column, error)| fault(Subject::Column(column), "unsupported_type", error));
            let times = format.times().into_iter().flat_map(|times| times.unreadable(&schema));
            let times = times.map(|(option, error)| fault(Subject::Value(option.into()), "option_value", error));
            columns.chain(times).collect()
        }
    }
}

/// A part of a declaration.
pub enum Subject {
    Column(String),
    /// An option's name.
    Key(String),
    /// The value of the option of that name.
    Value(String),
}

/// Threads of the engine on which readers decode ahead.
#[derive(Clone)]
pub struct Workers {
    /// How many jobs run at once.
    pub threads: usize,
    pub spawn: Arc<Spawn>,
}

/// Every connector. Order is the order of help and docs.
pub static CONNECTORS: &[Connector] = &[
    file::CONNECTOR,
    stdin::CONNECTOR,
    nexmark::CONNECTOR,
    datagen::CONNECTOR,
    push::CONNECTOR,
    socket::CONNECTOR,
    blackhole::CONNECTOR,
    stdout::CONNECTOR,
];

/// The connector of that name.
pub fn find(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().find(|c| c.spec.name == name)
}
