//! The bytes of a file, as they were when the table was opened, packed or not.

use crate::error::{Error, Result};
use crate::formats::{self, Compression};
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::reader::{ChunkReader, Length};
use flate2::bufread::GzDecoder;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;
use tokio_util::bytes::Bytes;

/// How much of a packed file is read at once, in bytes.
const PACKED_READ_BYTES: usize = 256 << 10;

/// How packed files begin.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How many Parquet files are kept open at once; beyond that a file is opened for each read.
const HELD_FILES: usize = 256;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// A file as it was found: what is appended to it later is not read, and a file put in its place is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    pub path: PathBuf,
    /// As messages show it.
    pub name: String,
    len: u64,
    identity: Identity,
}

impl KnownFile {
    /// Errors: the file is not there, or is not a regular file.
    pub fn find(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let metadata = std::fs::metadata(path).map_err(|e| Error::connector(format!("{name}: {e}")).because(e))?;
        if !metadata.is_file() {
            let message = format!("{name} is not a regular file: a pipe is read with connector = 'stdin'");
            return Err(Error::connector(message));
        }
        Ok(KnownFile {
            path: path.to_path_buf(),
            name,
            len: metadata.len(),
            identity: identity(&metadata),
        })
    }

    /// In bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// When it was written last, if the system tells.
    pub fn modified(&self) -> Option<SystemTime> {
        std::fs::metadata(&self.path)
            .and_then(|metadata| metadata.modified())
            .ok()
    }

    /// Whether both are the same file, though perhaps under another name or of another length.
    pub fn is_same(&self, other: &KnownFile) -> bool {
        match cfg!(unix) {
            true => self.identity == other.identity,
            false => self.path == other.path,
        }
    }

    /// The file, open at its beginning; it stays readable when it is renamed. `None`: another one is in its place.
    ///
    /// Errors: it cannot be opened.
    pub fn handle(&self) -> Result<Option<File>> {
        let unreadable = |e: io::Error| Error::connector(format!("{}: {e}", self.name)).because(e);
        let file = match File::open(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(unreadable)?,
        };
        let same = identity(&file.metadata().map_err(unreadable)?) == self.identity;
        Ok(same.then_some(file))
    }

    /// The unpacked bytes from the beginning. Nothing stays open between reads.
    ///
    /// Errors: it cannot be read, or is not packed so.
    pub fn read(&self, compression: Compression) -> io::Result<Box<dyn formats::Bytes>> {
        match compression {
            Compression::None => {}
            Compression::Gzip => self.begins_as(&GZIP, "gzip")?,
            Compression::Zstd => self.begins_as(&ZSTD, "zstd")?,
        }
        let packed = || BufReader::with_capacity(PACKED_READ_BYTES, self.read_from(0));
        Ok(match compression {
            Compression::None => Box::new(PlainBytes(self.read_from(0))),
            Compression::Gzip => Box::new(GzipMembers(Some(GzDecoder::new(packed())))),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed())?),
        })
    }

    /// Errors: the file has bytes, and they do not begin as those do that were packed so.
    fn begins_as(&self, begin: &[u8], packed: &str) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.read_from(0).take(begin.len() as u64).read_to_end(&mut bytes)?;
        match begin.starts_with(&bytes) {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it is not packed with {packed}: compression = 'none' reads it as it is"),
            )),
        }
    }

    /// The bytes as they are on disk, from a place on.
    pub fn read_from(&self, at: u64) -> FileRead {
        FileRead { file: self.clone(), at }
    }

    fn open_at(&self, at: u64) -> io::Result<File> {
        let mut file = File::open(&self.path)?;
        let metadata = file.metadata()?;
        if identity(&metadata) != self.identity || metadata.len() < self.len {
            return Err(changed());
        }
        file.seek(SeekFrom::Start(at))?;
        Ok(file)
    }
}

fn changed() -> io::Error {
    io::Error::other("the file was replaced or cut while it was being read")
}

/// What tells a file from others. The number of a file that is gone may be given to the next one, which was made later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    number: u64,
    /// If the system tells.
    made: Option<SystemTime>,
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity {
        device: metadata.dev(),
        number: metadata.ino(),
        made: metadata.created().ok(),
    }
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {
    Identity {
        device: 0,
        number: 0,
        made: None,
    }
}

/// One packed stream behind the other, as they come of putting files together; zeros behind the last are padding. `None`: the
/// end.
struct GzipMembers<R: BufRead>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut member) = self.0.take() {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                self.0 = Some(member);
                return Ok(read);
            }
            let mut rest = member.into_inner();
            loop {
                let waiting = rest.fill_buf()?;
                let zeros = waiting.iter().take_while(|byte| **byte == 0).count();
                if waiting.is_empty() {
                    return Ok(0);
                }
                if zeros < waiting.len() {
                    rest.consume(zeros);
                    break;
                }
                rest.consume(zeros);
            }
            self.0 = Some(GzDecoder::new(rest));
        }
        Ok(0)
    }
}

/// Reads a file without keeping it open: a thousand files can be half read at once. Meant for large reads.
pub struct FileRead {
    file: KnownFile,
    at: u64,
}

impl Read for FileRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len.saturating_sub(self.at);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        // It may be cut after it was looked at: what is not there is not its end.
        match self.file.open_at(self.at)?.read(&mut buffer[..wanted])? {
            0 => Err(changed()),
            read => {
                self.at += read as u64;
                Ok(read)
            }
        }
    }
}

impl Seek for FileRead {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.file.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = place.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        Ok(self.at)
    }
}

/// A file that is not packed. Its reads go into memory that nobody has filled with zeros before.
pub struct PlainBytes(pub FileRead);

impl formats::Bytes for PlainBytes {
    fn append(&mut self, bytes: usize, to: &mut Vec<u8>) -> io::Result<usize> {
        let FileRead { file, at } = &mut self.0;
        let wanted = file.len.saturating_sub(*at).min(bytes as u64);
        if wanted == 0 {
            return Ok(0);
        }
        let before = to.len();
        let read = file.open_at(*at)?.take(wanted).read_to_end(to);
        *at += (to.len() - before) as u64;
        match read {
            Ok(read) if (read as u64) < wanted => Err(changed()),
            read => read,
        }
    }
}

/// A Parquet file, open while there are not too many of them.
#[derive(Clone)]
pub struct ParquetBytes {
    file: KnownFile,
    held: Option<Arc<HeldFile>>,
}

struct HeldFile(File);

impl Drop for HeldFile {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ParquetBytes {
    /// Errors: the file cannot be opened, or is another one than was found.
    pub fn open(file: &KnownFile) -> io::Result<Self> {
        let opened = file.open_at(0)?;
        let room = |held: usize| (held < HELD_FILES).then_some(held + 1);
        let held = HELD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok();
        Ok(ParquetBytes {
            file: file.clone(),
            held: held.then(|| Arc::new(HeldFile(opened))),
        })
    }

    fn read_into(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.held {
            Some(held) => {
                let mut file = &held.0;
                read_exact_at(&mut file, at, buffer)
            }
            None => self.file.open_at(at)?.read_exact(buffer),
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &mut &File, at: u64, buffer: &mut [u8]) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    FileExt::read_exact_at(*file, buffer, at)
}

#[cfg(not(unix))]
fn read_exact_at(file: &mut &File, at: u64, buffer: &mut [u8]) -> io::Result<()> {
    // A handle of its own, as the place of a shared one would move under the other readers.
    let mut own = file.try_clone()?;
    own.seek(SeekFrom::Start(at))?;
    own.read_exact(buffer)
}

impl Length for ParquetBytes {
    fn len(&self) -> u64 {
        self.file.len
    }
}

impl ChunkReader for ParquetBytes {
    type T = BufReader<ParquetRead>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(ParquetRead {
            bytes: self.clone(),
            at: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let left = self.file.len.saturating_sub(start);
        if length as u64 > left {
            return Err(ParquetError::EOF("the file ends before the data it announces".into()));
        }
        let mut buffer = vec![0; length];
        self.read_into(start, &mut buffer)?;
        Ok(buffer.into())
    }
}

/// Sequential reading of page headers.
pub struct ParquetRead {
    bytes: ParquetBytes,
    at: u64,
}

impl Read for ParquetRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.file.len.saturating_sub(self.at);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.bytes.read_into(self.at, &mut buffer[..wanted])?;
        self.at += wanted as u64;
        Ok(wanted)
    }
}
