//! Tables that are files: CSV, JSON lines, text lines, Parquet and Arrow, one file, a directory or a glob.
//!
//! Owns: which files a path means, reading them ahead and again, writing them so that nothing half done is seen.
//! Guarantees: offsets and rows depend on the files' bytes only; what is published is whole and on disk.
//! Does **not** guarantee: that files may be changed while they are read (it is noticed when one is replaced or cut).
//! Depends on `formats`, `prefetch` and the ground. Start reading at [`CONNECTOR`].

mod alone;
mod batches;
mod bytes;
mod folders;
mod follow;
mod groups;
mod locate;
mod partition;
mod parts;
mod paths;
mod place;
mod roll;
mod sink;
mod source;
mod tail;
#[cfg(test)]
mod tests;
mod text;
mod widen;

use super::{Connector, Fault, Sink, Source, Subject, Workers, format_faults};
use crate::dstream::table::{ConnectorSpec, OptionKind, OptionSpec, TableSpec};
use crate::error::{Diagnostic, Error, Result};
use crate::formats::table::{READING, format_of};
use crate::formats::{BlockReader, Format, OnError, Packing, Wanted, arrow, bool_option, infer_text, parquet};
use alone::{Alone, Held};
use bytes::{KnownFile, ParquetBytes};
use datafusion::arrow::datatypes::SchemaRef;
use folders::Folders;
use paths::is_glob;
pub use place::{Output, Place};
use source::Reading;
use std::path::Path;
use std::sync::Arc;
use widen::FolderSource;

pub static SPEC: ConnectorSpec = ConnectorSpec {
    name: "file",
    doc: "Files: CSV, JSON lines, text lines, Parquet, Arrow; one file, a directory, a glob",
    reads: true,
    writes: true,
    options: &[
        OptionSpec::new(
            "path",
            OptionKind::Path,
            None,
            "A file, a directory or a glob; relative to the current directory",
        ),
        OptionSpec::new(
            "format",
            OptionKind::OneOf(&["json", "csv", "text", "parquet", "arrow"]),
            None,
            "How rows are written; by default the suffix of the path tells. json: one object per line; text: one \
             column, line",
        ),
        OptionSpec::new(
            "compression",
            OptionKind::OneOf(&["auto", "none", "gzip", "zstd"]),
            Some("auto"),
            "How the bytes are packed; auto goes by the suffix of each file (.gz, .zst)",
        ),
        OptionSpec::new(
            "splits",
            OptionKind::OneOf(&["file", "ordered"]),
            Some("file"),
            "file: each file has its own order; ordered: the files are one sequence, by name",
        )
        .reading(),
        OptionSpec::new(
            "follow",
            OptionKind::Bool,
            Some("false"),
            "Go on reading as files grow and others appear; packed files, Parquet and Arrow must appear complete",
        )
        .reading()
        .elsewhere(&["source.monitor-interval"]),
        OptionSpec::new(
            "partition_by",
            OptionKind::Texts,
            None,
            "Writing: columns whose values make folders, as in 'year, city' or ['year', 'city']; they leave the files",
        ),
        OptionSpec::new(
            "max_rows_per_file",
            OptionKind::Count,
            None,
            "Writing to a directory: a part with so many rows is full; parts then go on over intervals",
        ),
        OptionSpec::new(
            "max_file_bytes",
            OptionKind::Size,
            None,
            "Writing to a directory: a part of about so many bytes is full; parts then go on over intervals",
        )
        .elsewhere(&["sink.rolling-policy.file-size", "file_size_bytes"]),
        OptionSpec::new(
            "roll_interval",
            OptionKind::Duration,
            None,
            "Writing to a directory: a part so old is full; parts then go on over intervals",
        )
        .elsewhere(&["sink.rolling-policy.rollover-interval"]),
        OptionSpec::new(
            "overwrite",
            OptionKind::Bool,
            Some("false"),
            "Writing: replace output that is already there",
        ),
    ],
    formats: READING,
    format_of,
};

/// The line of the registry.
pub const CONNECTOR: Connector = Connector {
    spec: &SPEC,
    infer: Some(infer),
    source: Some(open_source),
    sink: Some(open_sink),
    check_source: Some(check_source),
    check_sink: Some(sink::check),
    check: Some(check),
    ends: |table| !table.is_on("follow"),
};

fn open_source(spec: &TableSpec, workers: &Workers) -> Result<Arc<dyn Source>> {
    let folders = Folders::of(spec)?;
    if bool_option(spec, "follow", false)? {
        let files = Arc::new(follow::FollowSource::open(spec, workers)?);
        // Folders may appear later.
        let known = None;
        return Ok(Arc::new(FolderSource { folders, files, known }));
    }
    let files = Arc::new(source::FileSource::open(spec, workers)?);
    if !files.files().iter().any(|file| folders.tell_of(&file.path)) {
        return Ok(files);
    }
    let known = Some(files.files().iter().map(|file| file.path.clone()).collect());
    Ok(Arc::new(FolderSource { folders, files, known }))
}

/// What reading the first file would refuse before its first row: a declared column that it lacks, or that it is not what
/// its name says. Where such a file is a bad record, one that can be read is enough. A file that is followed may not have
/// been written so far.
fn check_source(spec: &TableSpec) -> Result<()> {
    let (files, format, packing) = locate::locate(spec)?;
    if spec.is_on("follow") {
        return Ok(());
    }
    let reading = Reading {
        packing,
        on_error: OnError::of(spec)?,
        wanted: Wanted {
            schema: spec.physical_schema(),
            columns: Vec::new(),
            key: spec.physical_key(),
            text: false,
        },
        pruning: None,
        folders: Folders::of(spec)?,
        format,
    };
    let open = |file: &KnownFile| match reading.format {
        Format::Parquet => groups::open_file(&reading, file).map(drop),
        Format::Arrow => batches::open_file(&reading, file).map(drop),
        _ => text::open_file(&reading, file).map(drop),
    };
    let first = files.first().map_or(Ok(()), open);
    let passes = first.is_err() && reading.on_error != OnError::Fail;
    match passes && files.iter().skip(1).any(|file| open(file).is_ok()) {
        true => Ok(()),
        false => first,
    }
}

fn check(table: &TableSpec) -> Vec<Fault> {
    let path = table.path();
    let is_one = !Path::new(path).is_dir() && !is_glob(path);
    // Of the columns of several text files all but one may be told by folders.
    let mut faults = match is_one || format_of(&table.options) != Some("text") {
        true => format_faults(table),
        false => Vec::new(),
    };
    let mut wrong = |option: &str, diagnostic| {
        let subject = Subject::Value(option.to_string());
        faults.push(Fault { subject, diagnostic });
    };
    if table.is_on("follow") && table.is_static {
        let message = "an EXTERNAL TABLE is read once and never changes: it cannot follow files";
        let diagnostic = Diagnostic::error("option_value", message);
        wrong(
            "follow",
            diagnostic.help("write CREATE SOURCE to read files as a stream"),
        );
    }
    let option = |name: &str| table.options.get(name).map_or("", String::as_str);
    if let (Some(format @ ("parquet" | "arrow")), "gzip" | "zstd") = (format_of(&table.options), option("compression"))
    {
        let message = format!("format '{format}' packs its columns itself, and not the file: leave compression out");
        wrong("compression", Diagnostic::error("option_value", message));
    }
    if table.is_on("follow") && table.options.get("splits").is_some_and(|splits| splits == "ordered") {
        let message = "splits = 'ordered' needs files that are all there: it does not go with follow = true";
        wrong("splits", Diagnostic::error("option_value", message));
    }
    faults
}

fn open_sink(spec: &TableSpec, schema: SchemaRef, bounded: bool) -> Result<Box<dyn Sink>> {
    let held = Held::new(locate::path_of(spec)?)?;
    let sink = sink::open(spec, schema, bounded)?;
    Ok(Box::new(Alone { sink, held: Some(held) }))
}

/// The columns of the first file, and those that its folders tell.
fn infer(spec: &TableSpec) -> Result<SchemaRef> {
    let (files, format, packing) = locate::locate(spec)?;
    // An empty file tells nothing.
    let told = files.iter().find(|file| file.len() > 0);
    let Some(file) = told.or(files.first()) else {
        let message = format!(
            "`{}` has no files yet that could tell its columns: declare them",
            spec.name
        );
        return Err(Error::connector(message));
    };
    folders::inferred(spec, &file.path, &infer_file(file, &format, packing)?)
}

fn infer_file(file: &KnownFile, format: &Format, packing: Packing) -> Result<SchemaRef> {
    if format == &Format::Parquet {
        let bytes = ParquetBytes::open(file).map_err(|e| text::unreadable(file, e))?;
        return Ok(parquet::columns(&parquet::read_footer(&bytes, &file.name)?));
    }
    if format == &Format::Arrow {
        return arrow::columns(Box::new(file.read_from(0)), &file.name);
    }
    let input = file
        .read(packing.of_file(&file.name))
        .map_err(|e| text::unreadable(file, e))?;
    infer_text(format, &mut BlockReader::new(input, format.rule()), &file.name)
}
