//! Tables that are files: CSV, JSON lines, text lines, Parquet and Arrow, one file, a directory or a glob.
//!
//! Owns: which files a path means, reading them ahead and again, writing them so that nothing half done is seen.
//! Guarantees: offsets and rows depend on the files' bytes only; what is published is whole and on disk.
//! Does **not** guarantee: that files may be changed while they are read (it is noticed when one is replaced or cut).
//! Depends on `formats`, `prefetch` and the ground. Start reading at [`CONNECTOR`].

mod batches;
mod bytes;
mod follow;
mod groups;
mod partition;
mod paths;
mod sink;
mod source;
mod tail;
#[cfg(test)]
mod tests;
mod text;

use super::{Connector, Fault, Sink, Source, Subject, Workers};
use crate::dstream::table::{ConnectorSpec, OptionKind, OptionSpec, TableSpec};
use crate::error::{Diagnostic, Error, Result};
use crate::formats::{BlockReader, Format, arrow, bool_option, infer_text, parquet};
use bytes::ParquetBytes;
use datafusion::arrow::datatypes::SchemaRef;
use std::sync::Arc;

pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "file",
    doc: "Files: CSV, JSON lines, text lines, Parquet, Arrow; one file, a directory, a glob",
    reads: true,
    writes: true,
    options: &[
        option(
            "path",
            OptionKind::Path,
            None,
            "A file, a directory or a glob; relative to the current directory",
        ),
        FORMAT,
        option(
            "compression",
            OptionKind::OneOf(&["auto", "none", "gzip", "zstd"]),
            Some("auto"),
            "How the bytes are packed; auto goes by the suffix (.gz, .zst)",
        ),
        HEADER,
        DELIMITER,
        NULL_VALUE,
        ON_ERROR,
        option(
            "splits",
            OptionKind::OneOf(&["file", "ordered"]),
            Some("file"),
            "file: each file has its own order; ordered: the files are one sequence, by name",
        ),
        option(
            "follow",
            OptionKind::Bool,
            Some("false"),
            "Go on reading as files grow and others appear; packed files, Parquet and Arrow must appear complete",
        ),
        option(
            "partition_by",
            OptionKind::Text,
            None,
            "Writing: columns whose values make folders, as in 'year, city'; they leave the files",
        ),
        option(
            "overwrite",
            OptionKind::Bool,
            Some("false"),
            "Writing: replace output that is already there",
        ),
    ],
};

pub(super) const FORMAT: OptionSpec = option(
    "format",
    OptionKind::OneOf(&["json", "csv", "text", "parquet", "arrow"]),
    None,
    "How rows are written; by default the suffix of the path tells. json: one object per line; text: one column, line",
);
pub(super) const HEADER: OptionSpec = option(
    "header",
    OptionKind::Bool,
    Some("true"),
    "CSV: the first record holds the names of the columns",
);
pub(super) const DELIMITER: OptionSpec = option(
    "delimiter",
    OptionKind::Char,
    Some(","),
    "CSV: what stands between fields",
);
pub(super) const NULL_VALUE: OptionSpec = option(
    "null_value",
    OptionKind::Text,
    Some(""),
    "CSV: a field with this text is NULL",
);
pub(super) const ON_ERROR: OptionSpec = option(
    "on_error",
    OptionKind::OneOf(&["fail", "skip", "dead_letter"]),
    Some("fail"),
    "What a record that cannot be read does: end the query, be left out and counted, or go to dead_letters('table')",
);

/// The line of the registry.
pub const CONNECTOR: Connector = Connector {
    spec: &SPEC,
    infer: Some(infer),
    source: Some(open_source),
    sink: Some(open_sink),
    check: Some(check),
    ends: |table| !follows(table),
};

const fn option(name: &'static str, kind: OptionKind, default: Option<&'static str>, doc: &'static str) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        default,
        doc,
    }
}

fn open_source(spec: &TableSpec, workers: &Workers) -> Result<Arc<dyn Source>> {
    Ok(match bool_option(spec, "follow", false)? {
        true => Arc::new(follow::FollowSource::open(spec, workers)?),
        false => Arc::new(source::FileSource::open(spec, workers)?),
    })
}

fn follows(table: &TableSpec) -> bool {
    table.options.get("follow").is_some_and(|value| value == "true")
}

fn check(table: &TableSpec) -> Vec<Fault> {
    if !(follows(table) && table.is_static) {
        return Vec::new();
    }
    let message = "an EXTERNAL TABLE is read once and never changes: it cannot follow files";
    let diagnostic = Diagnostic::error("option_value", message).help("write CREATE SOURCE to read files as a stream");
    vec![Fault {
        subject: Subject::Value("follow".to_string()),
        diagnostic,
    }]
}

fn open_sink(spec: &TableSpec, schema: SchemaRef, bounded: bool) -> Result<Box<dyn Sink>> {
    sink::open(spec, schema, bounded)
}

/// The columns of the first file.
fn infer(spec: &TableSpec) -> Result<SchemaRef> {
    let (files, format, compression) = source::locate(spec)?;
    let Some(file) = files.first() else {
        return Err(Error::connector(format!("`{}` has no files", spec.name)));
    };
    let unreadable = |e: std::io::Error| Error::connector(format!("{}: {e}", file.name)).because(e);
    if format == Format::Parquet {
        let bytes = ParquetBytes::open(file).map_err(unreadable)?;
        return Ok(parquet::columns(&parquet::read_footer(&bytes, &file.name)?));
    }
    if format == Format::Arrow {
        return arrow::columns(Box::new(file.read_from(0)), &file.name);
    }
    let input = file.read(compression).map_err(unreadable)?;
    infer_text(&format, &mut BlockReader::new(input, format.rule()), &file.name)
}
