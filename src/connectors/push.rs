//! Rows sent by the program that holds the library.
//!
//! Owns: [`PushTable`] (one per declared table), its [`PushHandle`]s, and what was sent and not yet read.
//! Guarantees: rows in the order of sending; a bound on rows that wait; every reader sees all rows sent after it
//! opened; what does not fit the table is refused at the sender, with nothing taken.
//! Does **not** guarantee: that a row can be read again, nor an order between two handles that send at once.
//! Depends on the seam in `connectors` and Arrow. Start reading at [`PushTable`].

mod queue;
#[cfg(test)]
mod tests;

use super::{Bell, Chunk, Connector, Next, Offset, Source, Split, SplitReader, Splits};
use crate::dstream::table::{ConnectorSpec, TableSpec};
use crate::error::{Error, Result};
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use queue::{Fate, Offered, Queues, Reader, Taken};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The rows that may wait for one reader; a sender waits above it. As many as one interval takes from a source.
pub const MAX_ROWS_WAITING: usize = 65_536;

static SPEC: ConnectorSpec = ConnectorSpec {
    name: "push",
    doc: "Rows sent by the program that uses the library",
    reads: true,
    writes: false,
    options: &[],
    formats: &[],
    format_of: |_| None,
};

/// The registry's line. It opens nothing: a declaration alone has no sender, so the engine opens its [`PushTable`].
pub const CONNECTOR: Connector = Connector {
    spec: &SPEC,
    infer: None,
    source: None,
    sink: None,
    check_source: None,
    check_sink: None,
    check: None,
    ends: |_| false,
};

/// Turns JSON lines into a batch of the given schema. Passed in, for `formats` is not this module's business.
pub type DecodeJson = fn(&SchemaRef, &[u8]) -> Result<RecordBatch>;

/// A table whose rows the host program sends. The engine keeps one for each, gives handles of it to the host, and
/// opens it as a source for the queries.
#[derive(Clone)]
pub struct PushTable {
    table: Arc<Table>,
}

struct Table {
    name: String,
    schema: SchemaRef,
    /// Indices into the schema: NULL is refused there, as in columns declared NOT NULL.
    primary_key: Vec<usize>,
    decode_json: DecodeJson,
    queues: Arc<Queues>,
    handles: AtomicUsize,
}

impl PushTable {
    pub fn new(spec: &TableSpec, decode_json: DecodeJson) -> Self {
        PushTable {
            table: Arc::new(Table {
                name: spec.name.clone(),
                schema: spec.physical_schema(),
                primary_key: physical_key(spec),
                decode_json,
                queues: Arc::default(),
                handles: AtomicUsize::new(0),
            }),
        }
    }

    /// A handle to send with. When the last one is dropped the input has ended.
    ///
    /// Errors: it has ended already.
    pub fn handle(&self) -> Result<PushHandle> {
        if self.table.queues.is_closed() {
            return Err(self.table.closed());
        }
        Ok(PushHandle::new(Arc::clone(&self.table)))
    }

    /// Ends the input: readers get what was sent, then the end.
    pub fn close(&self) {
        self.table.queues.close();
    }
}

/// The primary key as indices into the physical columns; a computed column cannot be checked before it is computed.
fn physical_key(spec: &TableSpec) -> Vec<usize> {
    let physical = spec.columns.iter().enumerate().filter(|(_, c)| c.computed.is_none());
    let place = physical
        .enumerate()
        .filter(|(_, (declared, _))| spec.primary_key.contains(declared));
    place.map(|(index, _)| index).collect()
}

impl Table {
    fn closed(&self) -> Error {
        Error::connector(format!(
            "the input of `{}` has ended: nothing more can be sent",
            self.name
        ))
    }

    /// The batch under the table's own schema.
    fn accept(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let refuse = |message: String| Err(Error::data(format!("batch sent to `{}`: {message}", self.name)));
        let fields = self.schema.fields();
        if batch.num_columns() != fields.len() {
            let names: Vec<&str> = fields.iter().map(|f| f.name().as_str()).collect();
            let (found, wanted) = (batch.num_columns(), names.join(", "));
            return refuse(format!(
                "it has {found} columns, the table has {}: {wanted}",
                fields.len()
            ));
        }
        for (index, (field, array)) in fields.iter().zip(batch.columns()).enumerate() {
            if array.data_type() != field.data_type() {
                let (place, name) = (index + 1, field.name());
                let (found, wanted) = (array.data_type(), field.data_type());
                return refuse(format!("column {place} is `{name}` of type {wanted}, not {found}"));
            }
            let is_key = self.primary_key.contains(&index);
            if (is_key || !field.is_nullable()) && array.logical_null_count() > 0 {
                let why = if is_key { "PRIMARY KEY" } else { "NOT NULL" };
                return refuse(format!("NULL in column `{}`, which is {why}", field.name()));
            }
        }
        RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec())
            .map_err(|e| Error::data(format!("batch sent to `{}` does not fit its columns", self.name)).because(e))
    }
}

/// Why [`PushHandle::try_send`] did not take a batch.
#[derive(Debug)]
pub enum TrySend {
    /// A reader has too much waiting: here is the batch again, try later or `send`.
    Full(RecordBatch),
    /// It does not fit the table, or the input has ended.
    Failed(Error),
}

/// Sends rows to a push table. Cheap to clone; the input ends when the last one is dropped, or with
/// [`PushHandle::close`].
pub struct PushHandle {
    table: Arc<Table>,
    /// How many failures of queries [`PushHandle::flush`] has told of.
    told: AtomicU64,
}

impl PushHandle {
    fn new(table: Arc<Table>) -> Self {
        table.handles.fetch_add(1, Ordering::Relaxed);
        let told = AtomicU64::new(table.queues.failures());
        PushHandle { table, told }
    }

    /// The columns of a batch, by position.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    /// Sends a batch unless a reader has [`MAX_ROWS_WAITING`] rows or more waiting.
    pub fn try_send(&self, batch: RecordBatch) -> Result<(), TrySend> {
        let accepted = self.table.accept(&batch).map_err(TrySend::Failed)?;
        match self.table.queues.offer(&accepted) {
            Offered::Taken => Ok(()),
            Offered::Full => Err(TrySend::Full(batch)),
            Offered::Closed => Err(TrySend::Failed(self.table.closed())),
        }
    }

    /// Sends a batch, waiting while a reader has [`MAX_ROWS_WAITING`] rows or more waiting (with no query running,
    /// until one reads). Dropping the future sends nothing.
    ///
    /// Errors: the batch does not fit the table; the input has ended.
    pub async fn send(&self, batch: RecordBatch) -> Result<()> {
        let accepted = self.table.accept(&batch)?;
        loop {
            // Listening begins before looking, so that room made in between is not missed.
            let room = self.table.queues.room();
            tokio::pin!(room);
            room.as_mut().enable();
            match self.table.queues.offer(&accepted) {
                Offered::Taken => return Ok(()),
                Offered::Full => room.await,
                Offered::Closed => return Err(self.table.closed()),
            }
        }
    }

    /// Sends JSON lines, one object per row, waiting as [`PushHandle::send`] does.
    ///
    /// Errors: as `send`; a line cannot be decoded (then no line is taken).
    pub async fn send_json(&self, lines: &[u8]) -> Result<()> {
        let batch = (self.table.decode_json)(&self.table.schema, lines)?;
        self.send(batch).await
    }

    /// Promises that no row sent from here on is older than `ns` (nanoseconds since 1970, whatever the column's
    /// unit); one that is will be late. Takes effect even when no row follows.
    pub fn watermark(&self, ns: i64) {
        self.table.queues.watermark(ns);
    }

    /// Resolves when everything sent to the source so far, through any handle, is committed by every program that reads
    /// it: its rows can be seen, and its watermarks have taken effect. While no query reads the source it waits for one.
    /// A query that is stopped is not waited for.
    ///
    /// Errors: a query failed before it had committed what was sent to it; each handle tells of that once.
    pub async fn flush(&self) -> Result<()> {
        let sent = self.table.queues.sent();
        loop {
            // Listening begins before looking, as in `send`.
            let progress = self.table.queues.progress();
            tokio::pin!(progress);
            progress.as_mut().enable();
            match self.table.queues.fate(&sent, self.told.load(Ordering::Relaxed)) {
                Fate::Committed => return Ok(()),
                Fate::Open => progress.await,
                Fate::Failed(failures, why) => {
                    self.told.store(failures, Ordering::Relaxed);
                    let name = &self.table.name;
                    let message = format!("a query failed before it had committed what was sent to `{name}`: {why}");
                    return Err(Error::connector(message));
                }
            }
        }
    }

    /// Ends the input for all handles.
    pub fn close(&self) {
        self.table.queues.close();
    }
}

impl Clone for PushHandle {
    fn clone(&self) -> Self {
        PushHandle::new(Arc::clone(&self.table))
    }
}

impl Drop for PushHandle {
    fn drop(&mut self) {
        if self.table.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.table.queues.close();
        }
    }
}

impl Source for PushTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    fn bounded(&self) -> bool {
        false
    }

    fn replayable(&self) -> bool {
        false
    }

    fn splits(&self) -> Result<Splits> {
        Ok(Splits::one("push"))
    }

    fn open(&self, _split: &Split, columns: &[usize], bell: Bell) -> Result<Box<dyn SplitReader>> {
        Ok(Box::new(PushReader {
            reader: self.table.queues.reader(bell),
            schema: self.schema(),
            columns: columns.to_vec(),
            row: 0,
            given: VecDeque::new(),
        }))
    }
}

/// One query's view of what is sent: every row after it opened, counted from 0.
struct PushReader {
    reader: Reader,
    schema: SchemaRef,
    columns: Vec<usize>,
    row: u64,
    /// What has been given and is not committed: the row after it, and its number.
    given: VecDeque<(u64, u64)>,
}

impl SplitReader for PushReader {
    fn next(&mut self) -> Result<Next> {
        let sent = match self.reader.take() {
            Taken::Sent(sent) => sent,
            Taken::Nothing => return Ok(Next::Pending),
            Taken::End => return Ok(Next::Ended),
        };
        let batch = sent
            .batch
            .unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&self.schema)));
        let batch = batch
            .project(&self.columns)
            .map_err(|e| Error::internal("push: a column was asked for that the table does not have").because(e))?;
        let place = |row| Offset { block: 0, row };
        let from = place(self.row);
        self.row += batch.num_rows() as u64;
        self.given.push_back((self.row, sent.number));
        Ok(Next::Chunk(Chunk {
            from,
            to: place(self.row),
            batch,
            bad: Vec::new(),
            watermark_ns: sent.watermark_ns,
            passed: None,
            text: None,
        }))
    }

    fn committed(&mut self, to: Offset) {
        let mut last = None;
        while let Some((after, number)) = self.given.front().copied()
            && after <= to.row
        {
            last = Some(number);
            self.given.pop_front();
        }
        if let Some(number) = last {
            self.reader.committed(number);
        }
    }

    fn failed(&mut self, why: &Error) {
        self.reader.failed(&why.message);
    }
}
