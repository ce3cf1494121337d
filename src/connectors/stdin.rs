//! Standard input as a stream: rows appear as soon as their lines arrive.
//!
//! Standard input exists once per process. What was read to find out its columns is kept for the one reader.

use super::file::{DELIMITER, FORMAT, HEADER, NULL_VALUE, ON_ERROR};
use super::{Bell, Chunk, Connector, Next, Offset, Source, Split, SplitReader, Splits, Workers};
use crate::dstream::table::{ConnectorSpec, TableSpec};
use crate::error::{Error, Result};
use crate::formats::{
    BOM, Block, BlockReader, Decoded, Format, MAX_RECORD_BYTES, OnError, RowDecoder, Scan, Wanted, count_lines,
    infer_text, json_columns, last_end, resolve_format,
};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much is asked for at once, in bytes: what a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// How many blocks wait for the engine at most; then the writer at the other end of the pipe waits.
const WAITING_BLOCKS: usize = 16;

pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "stdin",
    doc: "Standard input: JSON lines, CSV or text lines, as they arrive",
    reads: true,
    writes: false,
    options: &[FORMAT, HEADER, DELIMITER, NULL_VALUE, ON_ERROR],
};

/// The line of the registry.
pub const CONNECTOR: Connector = Connector {
    spec: &SPEC,
    infer: Some(infer),
    source: Some(open_source),
    sink: None,
};

/// What an undeclared standard input holds.
#[derive(Debug, Clone)]
pub struct Sniffed {
    /// A value for the option `format`.
    pub format: &'static str,
    pub schema: SchemaRef,
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

fn declared_format(spec: &TableSpec) -> Result<Format> {
    match resolve_format(spec) {
        Ok(Format::Parquet) => Err(Error::refused(
            "Parquet cannot be read from stdin: give its file as the path",
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

/// A byte stream of which the beginning may have been looked at.
pub struct Input {
    head: Vec<u8>,
    ended: bool,
    read: Box<dyn Read + Send>,
}

impl Input {
    pub fn new(read: Box<dyn Read + Send>) -> Self {
        Input {
            head: Vec::new(),
            ended: false,
            read,
        }
    }

    /// As [`sniff`].
    pub fn sniff(&mut self) -> Result<Sniffed> {
        loop {
            let first = self.text().iter().position(|b| !b.is_ascii_whitespace());
            match first.map(|at| (self.text()[at], self.text()[at..].contains(&b'\n'))) {
                Some((b'{', whole)) if whole || self.ended => {
                    return Ok(Sniffed {
                        format: "json",
                        schema: json_columns(self.whole_lines(), "stdin")?,
                    });
                }
                Some((b'{', _)) => {}
                None if !self.ended => {}
                _ => {
                    return Ok(Sniffed {
                        format: "text",
                        schema: self.columns(&Format::Text)?,
                    });
                }
            }
            self.look_further()?;
        }
    }

    /// The columns, from the first lines: those that have come together with the first row.
    fn columns(&mut self, format: &Format) -> Result<SchemaRef> {
        let wanted = if format == &Format::Text {
            0
        } else {
            1 + usize::from(format.has_header())
        };
        while !self.ended && count_lines(&self.head) < wanted {
            self.look_further()?;
        }
        let sample = io::Cursor::new(self.whole_lines().to_vec());
        infer_text(format, &mut BlockReader::new(Box::new(sample), format.rule()), "stdin")
    }

    fn text(&self) -> &[u8] {
        self.head.strip_prefix(BOM).unwrap_or(&self.head)
    }

    fn whole_lines(&self) -> &[u8] {
        let text = self.text();
        let end = text.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        if self.ended || end == 0 { text } else { &text[..end] }
    }

    fn look_further(&mut self) -> Result<()> {
        self.ended = !read_some(&mut self.read, &mut self.head).map_err(unreadable)?;
        Ok(())
    }
}

/// Appends what has arrived, waiting for at least a byte; false at the end.
fn read_some(read: &mut dyn Read, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let filled = bytes.len();
    bytes.resize(filled + READ_BYTES, 0);
    let result = loop {
        match read.read(&mut bytes[filled..]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => break other,
        }
    };
    bytes.truncate(filled + *result.as_ref().unwrap_or(&0));
    result.map(|count| count > 0)
}

/// Standard input as a table: one split that ends when the input does.
pub struct StdinSource {
    format: Format,
    on_error: OnError,
    schema: SchemaRef,
    key: Vec<usize>,
    take: fn() -> Result<Input>,
}

impl StdinSource {
    fn new(spec: &TableSpec, take: fn() -> Result<Input>) -> Result<Self> {
        Ok(StdinSource {
            format: declared_format(spec)?,
            on_error: OnError::of(spec)?,
            schema: spec.physical_schema(),
            key: spec.physical_key(),
            take,
        })
    }
}

impl Source for StdinSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn bounded(&self) -> bool {
        false
    }

    fn replayable(&self) -> bool {
        false
    }

    fn splits(&self) -> Result<Splits> {
        let only = Split {
            id: 0,
            name: "stdin".into(),
        };
        Ok(Splits {
            known: vec![only],
            more: false,
        })
    }

    fn open(&self, _: &Split, columns: &[usize], bell: Bell) -> Result<Box<dyn SplitReader>> {
        let wanted = Wanted {
            schema: self.schema.clone(),
            columns: columns.to_vec(),
            key: self.key.clone(),
        };
        let stream = Stream {
            arrivals: Arrivals::new((self.take)()?, &self.format),
            format: self.format.clone(),
            wanted,
            on_error: self.on_error,
        };
        Ok(Box::new(StdinReader::new(stream, bell)))
    }

    fn reread(&self, split: &Split, _: Offset, _: Offset, _: usize, _: &[usize]) -> Result<Vec<RecordBatch>> {
        Err(Error::internal(format!("{} cannot be read again", split.name)))
    }
}

/// Cuts a stream into blocks of the whole records that have arrived.
struct Arrivals {
    input: Input,
    pending: Vec<u8>,
    /// Bytes of `pending` known to hold no record end.
    scanned: usize,
    offset: u64,
    line: u64,
    rule: crate::formats::Rule,
}

impl Arrivals {
    fn new(mut input: Input, format: &Format) -> Self {
        let mark = input.head.len() - input.text().len();
        let pending = input.head.split_off(mark);
        Arrivals {
            input,
            pending,
            scanned: 0,
            offset: mark as u64,
            line: 1,
            rule: format.rule(),
        }
    }

    /// The first record, for a CSV header; `None` when the stream is empty.
    fn take_record(&mut self) -> io::Result<Option<Block>> {
        loop {
            if let Some(end) = Scan::new(self.rule).next_end(&self.pending) {
                return Ok(Some(self.cut(end)));
            }
            if self.input.ended {
                return Ok(self.rest());
            }
            self.wait()?;
        }
    }

    /// Waits for the next whole records; at the end of the stream the last one may lack its line feed.
    fn next_block(&mut self) -> io::Result<Option<Block>> {
        loop {
            let fresh = self.pending[self.scanned..].contains(&b'\n');
            if let Some(end) = last_end(self.rule, &self.pending).filter(|_| fresh) {
                return Ok(Some(self.cut(end)));
            }
            self.scanned = self.pending.len();
            if self.input.ended {
                return Ok(self.rest());
            }
            if self.pending.len() >= MAX_RECORD_BYTES {
                return Err(io::Error::other(format!(
                    "line {} is longer than 256 MiB: is a line end or a closing quote missing?",
                    self.line
                )));
            }
            self.wait()?;
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let at_start = self.offset == 0;
        self.input.ended = !read_some(&mut self.input.read, &mut self.pending)?;
        if at_start && self.pending.starts_with(BOM) {
            self.pending.drain(..BOM.len());
            self.offset = BOM.len() as u64;
        }
        Ok(())
    }

    fn rest(&mut self) -> Option<Block> {
        (!self.pending.is_empty()).then(|| self.cut(self.pending.len()))
    }

    fn cut(&mut self, end: usize) -> Block {
        let rest = self.pending.split_off(end);
        let block = Block {
            offset: self.offset,
            line: self.line,
            bytes: std::mem::replace(&mut self.pending, rest),
        };
        self.scanned = 0;
        self.offset = block.end();
        self.line += count_lines(&block.bytes) as u64;
        block
    }
}

/// Everything that the reading thread needs.
struct Stream {
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
        let mut header = None;
        if self.format.has_header() {
            header = self
                .arrivals
                .take_record()
                .map_err(unreadable)?
                .map(|block| block.bytes);
        }
        let decoder = RowDecoder::new(&self.format, &self.wanted, header.as_deref(), self.on_error, "stdin")?;
        while let Some(block) = self.arrivals.next_block().map_err(unreadable)? {
            let Decoded { batch, bad, stop } = decoder.decode_block(&block);
            let chunk = Chunk {
                from: Offset {
                    block: block.offset,
                    row: 0,
                },
                to: Offset {
                    block: block.end(),
                    row: 0,
                },
                batch,
                bad,
                watermark_ns: None,
            };
            if out.send(Ok(chunk)).is_err() {
                return Ok(());
            }
            bell.ring();
            if let Some(error) = stop {
                return Err(error);
            }
        }
        Ok(())
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
