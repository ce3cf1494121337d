//! Standard input as a stream: rows appear as soon as their lines arrive.
//!
//! Owns: the one standard input of the process, the connector's options and split. Guarantees: what was read to find out
//! its columns is not lost to the one reader. Does **not** guarantee: that it can be read twice, or again.
//! Depends on `formats` and the ground. Start reading at [`CONNECTOR`].

mod arrivals;
mod input;
#[cfg(test)]
mod tests;

pub use input::Sniffed;

use super::{
    Bell, Chunk, Connector, Fault, Next, Offset, Source, Split, SplitReader, Splits, Subject, Workers, format_faults,
};
use crate::dstream::table::{ConnectorSpec, OptionKind, OptionSpec, TableSpec};
use crate::error::{Diagnostic, Error, Result};
use crate::formats::table::{READING, format_of};
use crate::formats::{BadRecord, Decoded, Format, OnError, RowDecoder, Wanted, resolve_format};
use arrivals::Arrivals;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use input::Input;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many blocks wait for the engine at most; then the writer at the other end of the pipe waits.
const WAITING_BLOCKS: usize = 16;

pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "stdin",
    doc: "Standard input: JSON lines, CSV or text lines, as they arrive",
    reads: true,
    writes: false,
    options: &[OptionSpec::new(
        "format",
        OptionKind::OneOf(&["json", "csv", "text"]),
        None,
        "json: one object per line; text: one column, line",
    )],
    formats: READING,
    format_of,
};

/// The line of the registry.
pub const CONNECTOR: Connector = Connector {
    spec: &SPEC,
    infer: Some(infer),
    source: Some(open_source),
    sink: None,
    check_source: None,
    check_sink: None,
    check: Some(check),
    ends: |_| true,
};

fn check(table: &TableSpec) -> Vec<Fault> {
    let unnamed = declared_format(table)
        .err()
        .filter(|_| format_of(&table.options).is_none());
    let fault = |error: Error| Fault {
        subject: Subject::Value("connector".to_string()),
        diagnostic: Diagnostic::error("missing_option", error.message).help("add: format = 'json'"),
    };
    unnamed.map(fault).into_iter().chain(format_faults(table)).collect()
}

/// Standard input before its reader takes it.
static STANDARD: Mutex<State> = Mutex::new(State::Untouched);

enum State {
    Untouched,
    Begun(Input),
    Taken,
}

/// Looks at what standard input begins with: JSON lines when the first character is `{`, else text. Waits for the
/// first line. Nothing is lost: the reader gets it again.
///
/// Errors: standard input cannot be read, or has been taken by a reader.
pub fn sniff() -> Result<Sniffed> {
    with_standard(Input::sniff)
}

fn infer(spec: &TableSpec) -> Result<SchemaRef> {
    let format = declared_format(spec)?;
    with_standard(|input| input.columns(&format))
}

fn open_source(spec: &TableSpec, _: &Workers) -> Result<Arc<dyn Source>> {
    Ok(Arc::new(StdinSource::new(spec, take_standard)?))
}

/// The format of lines that arrive.
///
/// Errors: none is named; it is one of files.
pub fn declared_format(spec: &TableSpec) -> Result<Format> {
    if format_of(&spec.options).is_none() {
        let connector = spec.connector.as_deref().unwrap_or_default();
        return Err(Error::refused(format!(
            "connector `{connector}` needs `format`: it is 'json', 'csv' or 'text'"
        )));
    }
    match resolve_format(spec) {
        Ok(format) if format.is_binary() => Err(Error::refused(
            "Parquet and Arrow cannot be read from stdin: give the file as the path, with connector = 'file'",
        )),
        other => other,
    }
}

fn standard() -> MutexGuard<'static, State> {
    STANDARD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_standard<T>(look: impl FnOnce(&mut Input) -> Result<T>) -> Result<T> {
    let mut state = standard();
    if let State::Untouched = *state {
        *state = State::Begun(Input::new(Box::new(io::stdin())));
    }
    match &mut *state {
        State::Begun(input) => look(input),
        _ => Err(taken()),
    }
}

fn take_standard() -> Result<Input> {
    match std::mem::replace(&mut *standard(), State::Taken) {
        State::Untouched => Ok(Input::new(Box::new(io::stdin()))),
        State::Begun(input) => Ok(input),
        State::Taken => Err(taken()),
    }
}

fn taken() -> Error {
    Error::refused(
        "stdin can be read once: let one program read it, with an INSERT INTO … SELECT into a sink for each result",
    )
}

fn unreadable(error: io::Error) -> Error {
    Error::connector(format!("stdin: {error}")).because(error)
}

/// Standard input as a table: one split that ends when the input does.
pub struct StdinSource {
    arriving: Arriving,
    /// Where the bytes come from, when they are asked for.
    take: fn() -> Result<Input>,
}

impl StdinSource {
    fn new(spec: &TableSpec, take: fn() -> Result<Input>) -> Result<Self> {
        Ok(StdinSource {
            arriving: Arriving::new(spec)?,
            take,
        })
    }
}

impl Source for StdinSource {
    fn schema(&self) -> SchemaRef {
        self.arriving.schema()
    }

    fn bounded(&self) -> bool {
        false
    }

    fn replayable(&self) -> bool {
        false
    }

    fn splits(&self) -> Result<Splits> {
        Ok(Splits::one("stdin"))
    }

    fn open(&self, split: &Split, columns: &[usize], bell: Bell) -> Result<Box<dyn SplitReader>> {
        let arrivals = Arrivals::new((self.take)()?, &self.arriving.format);
        Ok(self.arriving.start(arrivals, &split.name, columns, bell))
    }
}

/// How a table is made of lines as they arrive, from wherever.
pub struct Arriving {
    format: Format,
    on_error: OnError,
    schema: SchemaRef,
    key: Vec<usize>,
    keeps_text: bool,
}

impl Arriving {
    /// Errors: an option has a value that it cannot have.
    pub fn new(spec: &TableSpec) -> Result<Self> {
        Ok(Arriving {
            format: declared_format(spec)?,
            on_error: OnError::of(spec)?,
            schema: spec.physical_schema(),
            key: spec.physical_key(),
            keeps_text: spec.asks_for_text(),
        })
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Reads a stream on a thread of its own. `name` is for messages. One of many ends when it breaks off, and fails nobody.
    pub fn reader(
        &self,
        read: Box<dyn io::Read + Send>,
        is_one_of_many: bool,
        name: &str,
        columns: &[usize],
        bell: Bell,
    ) -> Box<dyn SplitReader> {
        let arrivals = Arrivals::new(Input::new(read), &self.format);
        let arrivals = if is_one_of_many {
            arrivals.one_of_many()
        } else {
            arrivals
        };
        self.start(arrivals, name, columns, bell)
    }

    fn start(&self, arrivals: Arrivals, name: &str, columns: &[usize], bell: Bell) -> Box<dyn SplitReader> {
        let wanted = Wanted {
            schema: self.schema.clone(),
            columns: columns.to_vec(),
            key: self.key.clone(),
            text: self.keeps_text,
        };
        let stream = Stream {
            name: name.to_string(),
            arrivals,
            format: self.format.clone(),
            wanted,
            on_error: self.on_error,
        };
        Box::new(StdinReader::new(stream, bell))
    }
}

/// Everything that the reading thread needs.
struct Stream {
    /// For messages.
    name: String,
    arrivals: Arrivals,
    format: Format,
    wanted: Wanted,
    on_error: OnError,
}

impl Stream {
    /// Reads and decodes until the stream ends, fails, or nobody listens any more.
    fn run(mut self, out: &SyncSender<Result<Chunk>>, bell: &Bell) {
        let failed = self.decode_all(out, bell).err();
        if let Some(error) = failed {
            // A listener that is gone has no use for the error.
            out.send(Err(error)).ok();
        }
    }

    fn decode_all(&mut self, out: &SyncSender<Result<Chunk>>, bell: &Bell) -> Result<()> {
        let name = self.name.clone();
        let unreadable = |e: io::Error| Error::connector(format!("{name}: {e}")).because(e);
        self.arrivals.skip_lines(self.format.skip_lines()).map_err(unreadable)?;
        let mut header = None;
        if self.format.has_header() {
            header = self
                .arrivals
                .take_record()
                .map_err(unreadable)?
                .map(|block| block.bytes);
        }
        let decoder = RowDecoder::new(
            &self.format,
            &self.wanted,
            header.as_deref(),
            self.on_error,
            name.as_str(),
        )?;
        while let Some(block) = self.arrivals.next_block().map_err(unreadable)? {
            let mut decoded = decoder.decode_block(&block);
            let stop = decoded.stop.take();
            let place = |block| Offset { block, row: 0 };
            let chunk = Chunk::of(decoded, place(block.offset), place(block.end()));
            if out.send(Ok(chunk)).is_err() {
                return Ok(());
            }
            bell.ring();
            if let Some(error) = stop {
                return Err(error);
            }
        }
        if let Some(chunk) = self.broken_off(decoder.schema()) {
            // Nobody has use for it any more.
            out.send(Ok(chunk)).ok();
        }
        Ok(())
    }

    /// The record within which the stream broke off, as a bad one. Where a bad record is the end, it is left out: the
    /// others are not to end with this stream.
    fn broken_off(&mut self, schema: &SchemaRef) -> Option<Chunk> {
        let (block, error) = self.arrivals.take_broken_off()?;
        if block.bytes.is_empty() || self.on_error == OnError::Fail {
            return None;
        }
        let bad = BadRecord {
            split: self.name.as_str().into(),
            byte_offset: block.offset,
            line: block.line,
            message: format!("the stream broke off within the record: {error}"),
            bytes: block.bytes.clone(),
        };
        let place = |block| Offset { block, row: 0 };
        let decoded = Decoded {
            bad: vec![bad],
            ..Decoded::from(RecordBatch::new_empty(schema.clone()))
        };
        Some(Chunk::of(decoded, place(block.offset), place(block.end())))
    }
}

struct StdinReader {
    /// Until the first [`SplitReader::next`].
    stream: Option<(Stream, SyncSender<Result<Chunk>>)>,
    chunks: Receiver<Result<Chunk>>,
    bell: Bell,
}

impl StdinReader {
    fn new(stream: Stream, bell: Bell) -> Self {
        let (out, chunks) = sync_channel(WAITING_BLOCKS);
        StdinReader {
            stream: Some((stream, out)),
            chunks,
            bell,
        }
    }
}

impl SplitReader for StdinReader {
    fn next(&mut self) -> Result<Next> {
        if let Some((stream, out)) = self.stream.take() {
            let bell = self.bell.clone();
            // A thread of its own, as it waits for whoever writes; it ends with the stream or the process.
            std::thread::Builder::new()
                .name("stdin".into())
                .spawn(move || {
                    stream.run(&out, &bell);
                    drop(out);
                    bell.ring();
                })
                .map_err(unreadable)?;
        }
        match self.chunks.try_recv() {
            Ok(chunk) => chunk.map(Next::Chunk),
            Err(TryRecvError::Empty) => Ok(Next::Pending),
            Err(TryRecvError::Disconnected) => Ok(Next::Ended),
        }
    }
}
