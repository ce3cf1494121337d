//! Standard output as a sink: the rows of an interval are written at once when it commits.
//!
//! Owns: the sink `stdout`. Guarantees: whole rows, in the order of intervals, flushed after each; a pipe that has been
//! closed ends the query quietly. Does **not** guarantee: exactly once after a restart (a terminal takes nothing back).
//! Depends on `formats`. Start reading at [`open`].

use super::{Connector, Sink};
use crate::dstream::table::{ConnectorSpec, OptionKind, OptionSpec, TableSpec};
use crate::error::{Error, Result};
use crate::formats::table::{WRITING, format_of};
use crate::formats::{Encoder, check_writable, resolve_format};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

static SPEC: ConnectorSpec = ConnectorSpec {
    name: "stdout",
    doc: "Rows to standard output, an interval at a time",
    reads: false,
    writes: true,
    options: &[OptionSpec::new(
        "format",
        OptionKind::OneOf(&["json", "csv"]),
        Some("json"),
        "json: one object per line; csv: with one header",
    )],
    formats: WRITING,
    format_of: format_or_json,
};

/// The line of the registry.
pub const CONNECTOR: Connector = Connector {
    spec: &SPEC,
    infer: None,
    source: None,
    sink: Some(open),
    check_source: None,
    check_sink: Some(check),
    check: None,
    ends: |_| true,
};

/// Opens standard output for rows of the given columns.
pub fn open(spec: &TableSpec, schema: SchemaRef, _: bool) -> Result<Box<dyn Sink>> {
    let mut spec = named(spec);
    let format = resolve_format(&spec)?;
    let mut out: Box<dyn Write + Send> = Box::new(io::stdout());
    if format.has_header() {
        let header = Encoder::new(&format, Arc::clone(&schema), Vec::new())?.finish()?;
        spec.options.insert("header".into(), "false".into());
        out = Box::new(Headed {
            header: Some((spec.name.clone(), header)),
            out,
        });
    }
    let written = Written {
        name: "stdout".to_string(),
        out,
        quiet: true,
    };
    sink(&spec, schema, written)
}

/// The headers that standard output has been given, each with the sink that gave it. There is one standard output.
static HEADERS: Mutex<BTreeSet<(String, Vec<u8>)>> = Mutex::new(BTreeSet::new());

/// Puts the header before the first bytes, unless another query into the same sink has done so.
struct Headed {
    /// The name of the sink, and its header.
    header: Option<(String, Vec<u8>)>,
    out: Box<dyn Write + Send>,
}

impl Headed {
    fn begin(&mut self) -> io::Result<()> {
        let Some(header) = self.header.take() else {
            return Ok(());
        };
        let mut given = HEADERS.lock().unwrap_or_else(PoisonError::into_inner);
        match given.contains(&header) {
            true => Ok(()),
            false => {
                self.out.write_all(&header.1)?;
                given.insert(header);
                Ok(())
            }
        }
    }
}

impl Write for Headed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begin()?;
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.begin()?;
        self.out.flush()
    }
}

/// Where the bytes of a [`sink`] go.
pub struct Written {
    /// For messages.
    pub name: String,
    pub out: Box<dyn Write + Send>,
    /// That nobody reads any more ends the query quietly.
    pub quiet: bool,
}

/// The format that is named, else JSON.
fn format_or_json(options: &BTreeMap<String, String>) -> Option<&'static str> {
    format_of(options).or(Some("json"))
}

/// Errors: what [`sink`] would refuse.
pub fn check(spec: &TableSpec, schema: &SchemaRef, _: bool) -> Result<()> {
    check_writable(&resolve_format(&named(spec))?, schema)
}

/// Rows as lines of JSON (if no format is named) or CSV, written when their interval commits.
pub fn sink(spec: &TableSpec, schema: SchemaRef, written: Written) -> Result<Box<dyn Sink>> {
    let format = resolve_format(&named(spec))?;
    let encoded = Encoded::default();
    let encoder = Encoder::new(&format, schema, encoded.clone())?;
    Ok(Box::new(Stdout {
        encoder,
        encoded,
        written,
    }))
}

/// The same with a format, if none is named.
fn named(spec: &TableSpec) -> TableSpec {
    let mut named = spec.clone();
    named.options.entry("format".into()).or_insert_with(|| "json".into());
    named
}

struct Stdout {
    encoder: Encoder<Encoded>,
    encoded: Encoded,
    written: Written,
}

/// Bytes that wait for their interval to commit.
#[derive(Clone, Default)]
struct Encoded(Arc<Mutex<Vec<u8>>>);

impl Encoded {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Encoded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Stdout {
    fn prepare(&mut self, _interval: u64, batches: &[RecordBatch]) -> Result<()> {
        batches.iter().try_for_each(|batch| self.encoder.write(batch))
    }

    fn commit(&mut self, _interval: u64) -> Result<()> {
        let bytes = self.encoded.take();
        let Written { name, out, quiet } = &mut self.written;
        let written = out.write_all(&bytes).and_then(|()| out.flush());
        written.map_err(|e| match quiet {
            true => Error::connector(format!("{name} cannot be written: {e}")).because(e),
            // Without its cause, by which a closed pipe is known.
            false => Error::connector(format!("{name}: the connection was lost: {e}")),
        })
    }

    fn abort(&mut self) -> Result<()> {
        self.encoded.take();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        // The header of a CSV without rows.
        self.commit(0)
    }
}
