//! Lines over TCP.
//!
//! Owns: the connector `socket`: its options, connecting and listening. Guarantees: a connection is one split, in the
//! order of its bytes. Does **not** guarantee: that anything can be read again, or is written once: what was sent before
//! a failure has been sent.
//! Depends on `stdin` for lines as they arrive, on `stdout` for rows as bytes. Start reading at [`CONNECTOR`].

mod listener;

use super::stdin::{Arriving, declared_format};
use super::stdout::{self, Written};
use super::{Bell, Connector, Fault, Next, Sink, Source, Split, SplitReader, Splits, Subject, Workers, format_faults};
use crate::dstream::table::{ConnectorSpec, OptionKind, OptionSpec, TableSpec};
use crate::error::{Diagnostic, Error, Result};
use crate::formats::table::{READING, format_of};
use crate::formats::{Format, bool_option};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a thread that waits for bytes looks whether anybody still wants them.
const LOOK_EVERY: Duration = Duration::from_millis(500);

static SPEC: ConnectorSpec = ConnectorSpec {
    name: "socket",
    doc: "Lines over TCP: JSON, CSV or text from a host, or from whoever connects",
    reads: true,
    writes: true,
    options: &[
        OptionSpec::new(
            "host",
            OptionKind::Text,
            Some("127.0.0.1"),
            "Name or address to connect to, or to listen at",
        ),
        OptionSpec::new("port", OptionKind::Count, None, "From 1 to 65535"),
        OptionSpec::new(
            "listen",
            OptionKind::Bool,
            Some("false"),
            "Reading: wait for connections, each a split, instead of making one",
        )
        .reading(),
        OptionSpec::new(
            "format",
            OptionKind::OneOf(&["json", "csv", "text"]),
            None,
            "json: one object per line; text (only read): one column, line. Writing: json when absent",
        ),
    ],
    formats: READING,
    format_of,
};

/// The registry's line.
pub const CONNECTOR: Connector = Connector {
    spec: &SPEC,
    infer: Some(infer),
    source: Some(open_source),
    sink: Some(open_sink),
    check_source: Some(|table| declared_format(table).map(drop)),
    check_sink: Some(stdout::check),
    check: Some(check),
    ends: |table| !table.is_on("listen"),
};

fn check(table: &TableSpec) -> Vec<Fault> {
    let wrong = address(table).err().map(|error| {
        let given = table.options.contains_key("port");
        let diagnostic = Diagnostic::error(if given { "option_value" } else { "missing_option" }, error.message);
        Fault {
            subject: Subject::Value(if given { "port" } else { "connector" }.to_string()),
            diagnostic,
        }
    });
    wrong.into_iter().chain(format_faults(table)).collect()
}

/// The columns of text lines: those of others are not known before somebody sends some.
fn infer(table: &TableSpec) -> Result<SchemaRef> {
    match declared_format(table)? {
        Format::Text => Ok(Arc::new(Schema::new(vec![Field::new("line", DataType::Utf8, true)]))),
        _ => Err(Error::refused(format!(
            "the columns of `{}` must be declared",
            table.name
        ))),
    }
}

/// Host and port.
fn address(table: &TableSpec) -> Result<(String, u16)> {
    let host = table.option(&SPEC, "host").unwrap_or_default().to_string();
    let Some(text) = table.options.get("port") else {
        return Err(Error::refused("connector `socket` needs `port`"));
    };
    match text.parse() {
        Ok(port) if port > 0 => Ok((host, port)),
        _ => Err(Error::refused(format!(
            "the option `port` takes a number from 1 to 65535, not `{text}`"
        ))),
    }
}

fn open_source(table: &TableSpec, _: &Workers) -> Result<Arc<dyn Source>> {
    let arriving = Arriving::new(table)?;
    let address = address(table)?;
    Ok(match bool_option(table, "listen", false)? {
        true => Arc::new(listener::Listening::open(address, arriving)?),
        false => Arc::new(Connecting { address, arriving }),
    })
}

/// Reads from a host; one split, which ends when the other side closes.
struct Connecting {
    address: (String, u16),
    arriving: Arriving,
}

impl Source for Connecting {
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
        Ok(Splits::one(shown(&self.address)))
    }

    fn open(&self, split: &Split, columns: &[usize], bell: Bell) -> Result<Box<dyn SplitReader>> {
        let address = self.address.clone();
        // On the thread that reads: a host may take its time to answer.
        let connect = move || TcpStream::connect(address);
        let (connection, closed) = Connection::new(Box::new(connect));
        let lines = self.arriving.reader(connection, false, &split.name, columns, bell);
        Ok(Box::new(ConnectionReader { lines, closed }))
    }
}

fn shown((host, port): &(String, u16)) -> String {
    format!("socket {host}:{port}")
}

type Connect = Box<dyn FnOnce() -> io::Result<TcpStream> + Send>;

/// The bytes of a connection, until nobody wants them any more.
struct Connection {
    connect: Option<Connect>,
    stream: Option<TcpStream>,
    closed: Arc<AtomicBool>,
}

impl Connection {
    /// A connection, and what tells it that nobody wants its bytes any more.
    fn new(connect: Connect) -> (Box<Connection>, Arc<AtomicBool>) {
        let closed = Arc::new(AtomicBool::new(false));
        let connection = Connection {
            connect: Some(connect),
            stream: None,
            closed: closed.clone(),
        };
        (Box::new(connection), closed)
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(connect) = self.connect.take() {
            let stream = connect()?;
            stream.set_read_timeout(Some(LOOK_EVERY))?;
            self.stream = Some(stream);
        }
        let Some(stream) = &mut self.stream else {
            return Ok(0);
        };
        while !self.closed.load(Ordering::Relaxed) {
            match stream.read(buffer) {
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                read => return read,
            }
        }
        Ok(0)
    }
}

struct ConnectionReader {
    lines: Box<dyn SplitReader>,
    closed: Arc<AtomicBool>,
}

impl SplitReader for ConnectionReader {
    fn next(&mut self) -> Result<Next> {
        self.lines.next()
    }
}

impl Drop for ConnectionReader {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

fn open_sink(table: &TableSpec, schema: SchemaRef, _: bool) -> Result<Box<dyn Sink>> {
    let address = address(table)?;
    let name = shown(&address);
    let stream =
        TcpStream::connect(&address).map_err(|e| Error::connector(format!("{name}: no connection: {e}")).because(e))?;
    // Rows leave with their interval.
    stream
        .set_nodelay(true)
        .map_err(|e| Error::connector(format!("{name}: {e}")).because(e))?;
    let written = Written {
        name,
        out: Box::new(stream),
        // A reader that goes away is a loss here, not an end.
        quiet: false,
    };
    stdout::sink(table, schema, written)
}
