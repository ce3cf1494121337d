//! Writing files that appear whole: one file at the end of a bounded query, or a directory of one part per interval.

use super::partition::Partitioning;
use crate::connectors::Sink;
use crate::dstream::table::TableSpec;
use crate::error::{Error, Result};
use crate::formats::{Compression, Encoder, Format, bool_option, resolve_compression, resolve_format};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A path with a suffix is one file, any other a directory of parts.
///
/// Errors: there is output already and `overwrite` is not set; one file is asked for a query that does not end.
pub fn open(spec: &TableSpec, schema: SchemaRef, bounded: bool) -> Result<Box<dyn Sink>> {
    let Some(path) = spec.options.get("path") else {
        return Err(Error::refused(format!(
            "`{}`: connector 'file' needs a path",
            spec.name
        )));
    };
    let target = Path::new(path);
    let overwrite = bool_option(spec, "overwrite", false)?;
    let columns = spec.options.get("partition_by").map_or("", String::as_str);
    let partitioning = Partitioning::new(columns, &schema)?;
    let writing = Writing {
        format: resolve_format(spec)?,
        compression: resolve_compression(spec, path)?,
        schema: partitioning.schema.clone(),
    };
    if writing.format == Format::Text {
        return Err(Error::refused(
            "format 'text' can only be read: write 'csv', 'json', 'parquet' or 'arrow'",
        ));
    }
    let is_file = target.extension().is_some() && !path.ends_with('/') && !target.is_dir();
    if !is_file {
        return Ok(Box::new(PartSink::open(target, writing, partitioning, overwrite)?));
    }
    if !columns.trim().is_empty() {
        return Err(Error::refused(format!(
            "{path} is one file, and partition_by makes folders: write to a directory, as in path = '{}', format = '{}'",
            target.with_extension("").display(),
            writing.format.name()
        )));
    }
    if !bounded {
        let directory = target.with_extension("");
        return Err(Error::refused(format!(
            "{path} would be one file, which is complete when the input ends, and this input does not end: write to \
             a directory, as in path = '{}', format = '{}'",
            directory.display(),
            writing.format.name()
        )));
    }
    if target.exists() && !overwrite {
        return Err(already_there(target));
    }
    Ok(Box::new(FileSink::open(target, writing)?))
}

fn already_there(path: &Path) -> Error {
    Error::refused(format!(
        "{} is already there: overwrite = true replaces it",
        path.display()
    ))
}

/// How rows become bytes here.
struct Writing {
    format: Format,
    compression: Compression,
    schema: SchemaRef,
}

impl Writing {
    fn suffix(&self) -> String {
        let packed = match self.compression {
            _ if self.format.is_binary() => "",
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        };
        let name = match self.format {
            Format::Json(_) => "jsonl",
            _ => self.format.name(),
        };
        format!("{name}{packed}")
    }

    fn create(&self, path: &Path) -> Result<Encoder<Packed>> {
        let file = BufWriter::new(File::create(path).map_err(|e| unwritable(path, e))?);
        let packed = match self.compression {
            _ if self.format.is_binary() => Packed::Plain(file),
            Compression::None => Packed::Plain(file),
            Compression::Gzip => Packed::Gzip(GzEncoder::new(file, flate2::Compression::default())),
            Compression::Zstd => {
                let level = zstd::DEFAULT_COMPRESSION_LEVEL;
                Packed::Zstd(zstd::Encoder::new(file, level).map_err(|e| unwritable(path, e))?)
            }
        };
        Encoder::new(&self.format, self.schema.clone(), packed)
    }
}

/// A file, packed or not.
enum Packed {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl Packed {
    /// Writes what is left and waits until it is on disk.
    fn finish(self) -> io::Result<()> {
        let file = match self {
            Packed::Plain(file) => file,
            Packed::Gzip(packed) => packed.finish()?,
            Packed::Zstd(packed) => packed.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Packed::Plain(output) => output.write(bytes),
            Packed::Gzip(output) => output.write(bytes),
            Packed::Zstd(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Packed::Plain(output) => output.flush(),
            Packed::Gzip(output) => output.flush(),
            Packed::Zstd(output) => output.flush(),
        }
    }
}

/// One file, written beside its place and put there at the end.
struct FileSink {
    target: PathBuf,
    staged: PathBuf,
    /// `None` once it is in its place.
    encoder: Option<Encoder<Packed>>,
    /// What was prepared and not committed.
    prepared: BTreeMap<u64, Vec<RecordBatch>>,
}

impl FileSink {
    fn open(target: &Path, writing: Writing) -> Result<Self> {
        let name = target
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let staged = target.with_file_name(format!(".{name}.unfinished"));
        if let Some(directory) = target.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(directory).map_err(|e| unwritable(directory, e))?;
        }
        Ok(FileSink {
            encoder: Some(writing.create(&staged)?),
            target: target.to_path_buf(),
            staged,
            prepared: BTreeMap::new(),
        })
    }
}

impl Sink for FileSink {
    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()> {
        if batches.iter().any(|b| b.num_rows() > 0) {
            self.prepared.insert(interval, batches.to_vec());
        }
        Ok(())
    }

    fn commit(&mut self, interval: u64) -> Result<()> {
        let batches = self.prepared.remove(&interval).unwrap_or_default();
        let Some(encoder) = &mut self.encoder else {
            return Err(Error::internal(format!(
                "{} was finished before its input",
                self.target.display()
            )));
        };
        batches
            .iter()
            .try_for_each(|batch| encoder.write(batch))
            .map_err(|e| within(&self.target, e))
    }

    fn abort(&mut self) -> Result<()> {
        self.prepared.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let Some(encoder) = self.encoder.take() else {
            return Ok(());
        };
        let packed = encoder.finish().map_err(|e| within(&self.target, e))?;
        packed.finish().map_err(|e| unwritable(&self.staged, e))?;
        publish(&self.staged, &self.target)
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        if self.encoder.take().is_some() {
            // The query did not end well and nobody could act on a failure here: the file is hidden and overwritten
            // by the next run.
            fs::remove_file(&self.staged).ok();
        }
    }
}

/// A directory of one file per interval that has rows, or of folders of such files.
struct PartSink {
    directory: PathBuf,
    writing: Writing,
    partitioning: Partitioning,
    /// Parts of an earlier run, to be removed when the first new one is published.
    replaced: Vec<PathBuf>,
    /// Staged files by interval, with their place.
    prepared: BTreeMap<u64, Vec<(PathBuf, PathBuf)>>,
}

impl PartSink {
    fn open(directory: &Path, writing: Writing, partitioning: Partitioning, overwrite: bool) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|e| unwritable(directory, e))?;
        let replaced = parts(directory).map_err(|e| unwritable(directory, e))?;
        if !replaced.is_empty() && !overwrite {
            return Err(already_there(&replaced[0]));
        }
        Ok(PartSink {
            directory: directory.to_path_buf(),
            writing,
            partitioning,
            replaced,
            prepared: BTreeMap::new(),
        })
    }

    /// Writes the rows of one folder beside their place.
    fn stage(&self, interval: u64, folder: &str, batches: &[RecordBatch]) -> Result<(PathBuf, PathBuf)> {
        let name = format!("part-{interval:012}.{}", self.writing.suffix());
        let directory = self.directory.join(folder);
        fs::create_dir_all(&directory).map_err(|e| unwritable(&directory, e))?;
        let target = directory.join(&name);
        let staged = directory.join(format!(".{name}.unfinished"));
        let mut encoder = self.writing.create(&staged)?;
        batches
            .iter()
            .try_for_each(|batch| encoder.write(batch))
            .map_err(|e| within(&target, e))?;
        let packed = encoder.finish().map_err(|e| within(&target, e))?;
        packed.finish().map_err(|e| unwritable(&staged, e))?;
        Ok((staged, target))
    }

    fn remove_replaced(&mut self) -> Result<()> {
        for part in self.replaced.drain(..) {
            fs::remove_file(&part).map_err(|e| unwritable(&part, e))?;
        }
        Ok(())
    }
}

impl Sink for PartSink {
    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()> {
        if batches.iter().all(|b| b.num_rows() == 0) {
            return Ok(());
        }
        for (folder, batches) in self.partitioning.deal(batches)? {
            let staged = self.stage(interval, &folder, &batches)?;
            self.prepared.entry(interval).or_default().push(staged);
        }
        Ok(())
    }

    fn commit(&mut self, interval: u64) -> Result<()> {
        self.remove_replaced()?;
        let prepared = self.prepared.remove(&interval).unwrap_or_default();
        prepared.iter().try_for_each(|(staged, target)| publish(staged, target))
    }

    fn abort(&mut self) -> Result<()> {
        for (staged, _) in std::mem::take(&mut self.prepared).into_values().flatten() {
            fs::remove_file(&staged).map_err(|e| unwritable(&staged, e))?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.remove_replaced()
    }
}

/// The parts that an earlier run left in a directory and its folders, by name.
fn parts(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("part-") {
            found.push(entry.path());
        } else if name.contains('=') && entry.file_type()?.is_dir() {
            found.extend(parts(&entry.path())?);
        }
    }
    found.sort();
    Ok(found)
}

/// Puts a staged file, which is on disk already, into its place, and the news of it on disk.
fn publish(staged: &Path, target: &Path) -> Result<()> {
    fs::rename(staged, target).map_err(|e| unwritable(target, e))?;
    let directory = target
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if cfg!(unix) {
        File::open(directory)
            .and_then(|d| d.sync_all())
            .map_err(|e| unwritable(directory, e))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    Error::connector(format!("{}: {error}", path.display())).because(error)
}

fn within(path: &Path, mut error: Error) -> Error {
    error.message = format!("{}: {}", path.display(), error.message);
    error
}
