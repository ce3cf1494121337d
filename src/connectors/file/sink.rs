//! Writing files that appear whole: one file at the end of a bounded query, or a directory of parts.

use super::locate::path_of;
use super::partition::Partitioning;
use super::parts::{PartSink, replaced};
use super::place::Place;
use super::roll::{Limits, RollingSink};
use crate::connectors::Sink;
use crate::dstream::table::TableSpec;
use crate::error::{Error, Result};
use crate::formats::{Compression, Encoder, Format, Packing, bool_option, check_writable, resolve_format};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where and how rows are to be written.
struct Layout<'a> {
    target: &'a Path,
    /// One file; else a directory of parts.
    is_file: bool,
    writing: Writing,
    partitioning: Partitioning,
    limits: Option<Limits>,
    overwrite: bool,
}

impl Layout<'_> {
    /// A path with a suffix is one file, any other a directory of parts.
    ///
    /// Errors: there is output already and `overwrite` is not set; what is there is neither a file nor a directory; one file
    /// is asked for a query that does not end; options that do not go together; columns that the format does not take.
    fn of<'a>(spec: &'a TableSpec, schema: &SchemaRef, bounded: bool) -> Result<Layout<'a>> {
        let path = path_of(spec)?;
        let target = Path::new(path);
        let is_file = is_file(path);
        check_there(target, is_file)?;
        let columns = spec.options.get("partition_by").map(String::as_str);
        let partitioning = Partitioning::new(columns, schema)?;
        let writing = Writing {
            format: resolve_format(spec)?,
            compression: Packing::of(spec)?.of_file(path),
            schema: partitioning.schema.clone(),
        };
        check_writable(&writing.format, &writing.schema)?;
        if writing.format.is_binary() && writing.compression != Compression::None {
            let message = format!(
                "{path}: format '{}' packs its columns itself, and not the file: write it without .gz, .zst and compression",
                writing.format.name()
            );
            return Err(Error::refused(message));
        }
        let layout = Layout {
            target,
            is_file,
            writing,
            partitioning,
            limits: Limits::of(spec)?,
            overwrite: bool_option(spec, "overwrite", false)?,
        };
        if layout.is_file {
            layout.check_file(path, columns.is_some(), bounded)?;
        }
        Ok(layout)
    }

    fn check_file(&self, path: &str, in_folders: bool, bounded: bool) -> Result<()> {
        let directory = format!(
            "write to a directory, as in path = '{}', format = '{}'",
            self.target.with_extension("").display(),
            self.writing.format.name()
        );
        let refused = if self.limits.is_some() {
            format!("{path} is one file, which never is full: {directory}")
        } else if in_folders {
            format!("{path} is one file, and partition_by makes folders: {directory}")
        } else if !bounded {
            format!(
                "{path} would be one file, which is complete when the input ends, and this input does not end: \
                 {directory}"
            )
        } else if self.target.exists() && !self.overwrite {
            return Err(already_there(self.target));
        } else {
            return Ok(());
        };
        Err(Error::refused(refused))
    }
}

/// Whether a path to write to is one file. It has a suffix then.
pub fn is_file(path: &str) -> bool {
    let target = Path::new(path);
    target.extension().is_some() && !path.ends_with('/') && !target.is_dir()
}

/// Errors: what is there by that name is no file that can be replaced, and no directory for parts; or nothing can be
/// made there.
fn check_there(target: &Path, is_file: bool) -> Result<()> {
    let path = target.display();
    if let Some(system) = ["/proc", "/sys"]
        .iter()
        .find(|system| Place::of(&path.to_string()).is_in(system))
    {
        return Err(Error::refused(format!(
            "{path}: {system} is made by the operating system, and no files can be written there"
        )));
    }
    // Without the slash that may stand at the end.
    let target: PathBuf = target.components().collect();
    if let Some(file) = target.ancestors().skip(1).find(|above| above.is_file()) {
        return Err(Error::refused(format!(
            "{path}: {} is a file, and no directory to write into",
            file.display()
        )));
    }
    if !target.exists() || target.is_dir() {
        return Ok(());
    }
    if target.starts_with("/dev") || !target.is_file() {
        return Err(Error::refused(format!(
            "{path} is a device or a pipe, and files are written that appear whole when they are complete: a SELECT alone \
             shows its rows on standard output, and INSERT INTO stdout SELECT … writes them there"
        )));
    }
    match is_file {
        true => Ok(()),
        false => Err(Error::refused(format!(
            "{} is a file, and no directory to write into, which a path without suffix is: write '{}.csv'",
            target.display(),
            target.with_extension("").display()
        ))),
    }
}

/// Errors: what [`open`] would refuse.
pub fn check(spec: &TableSpec, schema: &SchemaRef, bounded: bool) -> Result<()> {
    let layout = Layout::of(spec, schema, bounded)?;
    match layout.target.is_dir() {
        true => replaced(layout.target, layout.overwrite).map(drop),
        false => Ok(()),
    }
}

/// Opens one file or a directory of parts.
///
/// Errors: those of [`Layout::of`]; nothing can be written there.
pub fn open(spec: &TableSpec, schema: SchemaRef, bounded: bool) -> Result<Box<dyn Sink>> {
    let layout = Layout::of(spec, &schema, bounded)?;
    if layout.is_file {
        return Ok(Box::new(FileSink::open(layout.target, layout.writing)?));
    }
    let parts = PartSink::open(layout.target, layout.writing, layout.partitioning, layout.overwrite)?;
    Ok(match layout.limits {
        Some(limits) => Box::new(RollingSink::new(parts, limits)),
        None => Box::new(parts),
    })
}

pub fn already_there(path: &Path) -> Error {
    Error::refused(format!(
        "{} is already there: overwrite = true replaces it",
        path.display()
    ))
}

/// How rows become bytes here.
pub struct Writing {
    pub format: Format,
    compression: Compression,
    pub schema: SchemaRef,
}

impl Writing {
    pub fn suffix(&self) -> String {
        let packed = match self.compression {
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

    /// Begins a file, hidden beside its place.
    pub fn begin(&self, target: &Path) -> Result<Growing> {
        // What a link points to is replaced, and not the link.
        let pointed = target.is_symlink().then(|| fs::canonicalize(target).ok()).flatten();
        let target = pointed.as_deref().unwrap_or(target);
        let staged = Staged::beside(target);
        let path = &staged.path;
        let bytes = Arc::new(AtomicU64::new(0));
        let file = Counted {
            file: BufWriter::new(File::create(path).map_err(|e| unwritable(target, e))?),
            bytes: bytes.clone(),
        };
        if let Ok(replaced) = fs::metadata(target) {
            // Who may read it stays as it was.
            fs::set_permissions(path, replaced.permissions()).map_err(|e| unwritable(target, e))?;
        }
        let packed = match self.compression {
            Compression::None => Packed::Plain(file),
            Compression::Gzip => Packed::Gzip(GzEncoder::new(file, flate2::Compression::default())),
            Compression::Zstd => {
                let level = zstd::DEFAULT_COMPRESSION_LEVEL;
                Packed::Zstd(zstd::Encoder::new(file, level).map_err(|e| unwritable(target, e))?)
            }
        };
        Ok(Growing {
            encoder: Encoder::new(&self.format, self.schema.clone(), packed).map_err(|e| within(target, e))?,
            broken: false,
            bytes,
            staged,
        })
    }
}

/// A file that is being written. Dropped before its end, it is removed.
pub struct Growing {
    encoder: Encoder<Packed>,
    /// Rows could not be written, so that it must not be seen.
    broken: bool,
    bytes: Arc<AtomicU64>,
    staged: Staged,
}

impl Growing {
    /// Errors: a value has no form in the format, or the disk takes no more.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let written = self.encoder.write(batch);
        self.broken |= written.is_err();
        written.map_err(|e| within(&self.staged.target, e))
    }

    /// How long the file is, but for what its packer and the end of its format still hold.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) + self.encoder.waiting_bytes() as u64
    }

    /// Writes what is left and waits until it is on disk.
    ///
    /// Errors: the disk takes no more, or has not taken all that was written before.
    pub fn finish(self) -> Result<Staged> {
        if self.broken {
            let target = self.staged.target.display();
            return Err(Error::connector(format!("{target}: the output is not whole")));
        }
        let packed = self.encoder.finish().map_err(|e| within(&self.staged.target, e))?;
        packed.finish().map_err(|e| unwritable(&self.staged.target, e))?;
        Ok(self.staged)
    }
}

/// A file beside its place. It is removed, unless it is published.
pub struct Staged {
    path: PathBuf,
    target: PathBuf,
    published: bool,
}

impl Staged {
    fn beside(target: &Path) -> Staged {
        let name = target.file_name().map(|n| n.to_string_lossy().into_owned());
        Staged {
            path: target.with_file_name(format!(".{}.unfinished", name.unwrap_or_default())),
            target: target.to_path_buf(),
            published: false,
        }
    }

    /// Puts the file, which is on disk already, into its place, and the news of it on disk.
    pub fn publish(mut self) -> Result<()> {
        fs::rename(&self.path, &self.target).map_err(|e| unwritable(&self.target, e))?;
        self.published = true;
        let directory = self.target.parent().filter(|p| !p.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        if cfg!(unix) {
            File::open(directory)
                .and_then(|d| d.sync_all())
                .map_err(|e| unwritable(directory, e))?;
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            // Nobody could act on a failure here: the file is hidden and overwritten by the next run.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// A file, packed or not.
enum Packed {
    Plain(Counted),
    Gzip(GzEncoder<Counted>),
    Zstd(zstd::Encoder<'static, Counted>),
}

/// A file that counts what is written to it.
struct Counted {
    file: BufWriter<File>,
    bytes: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Packed {
    fn finish(self) -> io::Result<()> {
        let counted = match self {
            Packed::Plain(file) => file,
            Packed::Gzip(packed) => packed.finish()?,
            Packed::Zstd(packed) => packed.finish()?,
        };
        counted
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()
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
    /// `None` once it is in its place, or given up.
    file: Option<Growing>,
    /// What was prepared and not committed.
    prepared: BTreeMap<u64, Vec<RecordBatch>>,
}

impl FileSink {
    fn open(target: &Path, writing: Writing) -> Result<Self> {
        if let Some(directory) = target.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(directory).map_err(|e| unwritable(directory, e))?;
        }
        Ok(FileSink {
            file: Some(writing.begin(target)?),
            target: target.to_path_buf(),
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
        let Some(file) = &mut self.file else {
            return Err(Error::internal(format!(
                "{} was finished before its input",
                self.target.display()
            )));
        };
        batches.iter().try_for_each(|batch| file.write(batch))
    }

    fn abort(&mut self) -> Result<()> {
        self.prepared.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        match self.file.take() {
            Some(file) => file.finish()?.publish(),
            None => Ok(()),
        }
    }
}

pub fn unwritable(path: &Path, error: io::Error) -> Error {
    let below_a_file = matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
    );
    if let Some(file) = path.ancestors().find(|at| below_a_file && at.is_file()) {
        let message = format!("{} is a file, and no directory to write into", file.display());
        return Error::connector(message).because(error);
    }
    Error::connector(format!("{}: {error}", path.display())).because(error)
}

fn within(path: &Path, mut error: Error) -> Error {
    error.message = format!("{}: {}", path.display(), error.message);
    error
}
