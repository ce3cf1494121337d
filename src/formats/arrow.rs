//! Arrow IPC record batches, of files and of streams.

use super::OnError;
use super::decode::{Decoded, Wanted};
use super::typed::{Fit, table_columns};
use super::words::unreadable;
use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::{FileReader, StreamReader};
use datafusion::arrow::ipc::{Block, Message, MessageHeader, root_as_footer, root_as_message};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The first bytes of the file format; a stream begins with its first message.
const FILE_MAGIC: &[u8; 6] = b"ARROW1";

/// What stands before the length of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The length of the footer and the magic word, in bytes: the end of the file format.
const FOOTER_END_BYTES: i64 = 10;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 256 << 10;

/// How much a byte unpacks to at most: zstd repeats one over a block of 128 KiB in 4 bytes, and LZ4 packs less.
const UNPACKED_BYTES_MAX: u64 = 32 << 10;

/// What a file is read through.
pub trait Input: Read + Seek + Send {}

impl<T: Read + Seek + Send> Input for T {}

type Bytes = BufReader<Box<dyn Input>>;

/// The record batches of one file, in order, as rows of the table.
pub struct ArrowReader {
    batches: Batches,
    fit: Fit,
    /// Of the next record batch.
    index: u64,
}

enum Batches {
    /// With a footer that knows the place of each batch, in bytes.
    File(Box<FileReader<Bytes>>, Vec<u64>),
    /// One message after the other, in so many bytes.
    Stream(Box<StreamReader<Bytes>>, u64),
}

impl ArrowReader {
    /// Opens a file for the wanted columns; others are not decoded. `open` gives its bytes, from the beginning.
    ///
    /// Errors: it is no Arrow file; a declared column is not in it.
    pub fn open(
        open: &dyn Fn() -> Box<dyn Input>,
        wanted: &Wanted,
        on_error: OnError,
        source: &str,
    ) -> Result<ArrowReader> {
        let schema = Batches::open(open(), None, source)?.schema();
        let fit = Fit::new(&schema, wanted, on_error, source)?;
        Ok(ArrowReader {
            batches: Batches::open(open(), Some(fit.roots().to_vec()), source)?,
            fit,
            index: 0,
        })
    }

    /// The number of the record batch that comes next, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Goes on with the record batch of that number, which must not lie behind.
    ///
    /// Errors: the file ends before it, or cannot be read.
    pub fn skip_to(&mut self, index: u64) -> Result<()> {
        let gone = || Error::connector(format!("{} has fewer record batches than it had", self.fit.source()));
        if let Batches::File(reader, _) = &mut self.batches {
            let place = usize::try_from(index).unwrap_or(usize::MAX);
            reader.set_index(place).map_err(|e| gone().because(e))?;
            self.index = index;
        }
        while self.index < index {
            if self.batch()?.is_none() {
                return Err(Error::connector(format!(
                    "{} has fewer record batches than it had",
                    self.fit.source()
                )));
            }
        }
        Ok(())
    }

    /// The rows of the next record batch; `None` at the end.
    ///
    /// Errors: the file is broken, or a value does not fit the declared type.
    pub fn next_rows(&mut self) -> Result<Option<Decoded>> {
        let index = self.index;
        let Some(batch) = self.batch()? else {
            return Ok(None);
        };
        let place = |row| format!("row {row} of record batch {index}");
        self.fit.rows(batch.columns(), batch.num_rows(), &place).map(Some)
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let index = self.index;
        // What a damaged batch announces of itself can make the library panic.
        let next = catch_unwind(AssertUnwindSafe(|| self.batches.next(index).transpose()));
        let panicked = |_| Err(ArrowError::IpcError("the batch is damaged".into()));
        let batch = next.unwrap_or_else(panicked).map_err(|e| {
            let source = self.fit.source();
            let what = match &e {
                ArrowError::IoError(_, io) if io.kind() == io::ErrorKind::UnexpectedEof => "the file is cut",
                _ => "it is damaged",
            };
            Error::connector(format!("{source}: record batch {index} cannot be read: {what}")).because(e)
        })?;
        self.index += u64::from(batch.is_some());
        Ok(batch)
    }
}

impl Batches {
    /// `columns`: the places of those that are wanted; all of them when absent.
    fn open(mut input: Box<dyn Input>, columns: Option<Vec<usize>>, source: &str) -> Result<Batches> {
        let broken = || Error::connector(unreadable(source, "Arrow"));
        let mut magic = [0; FILE_MAGIC.len()];
        let is_file = match input.read_exact(&mut magic) {
            Ok(()) => &magic == FILE_MAGIC,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(broken().because(e)),
            Err(e) => return Err(Error::connector(format!("{source}: {e}")).because(e)),
        };
        let Some(places) = fits(input.as_mut(), is_file).map_err(|e| broken().because(e))? else {
            return Err(broken());
        };
        let bytes = input.seek(SeekFrom::End(0)).map_err(|e| broken().because(e))?;
        input.rewind().map_err(|e| broken().because(e))?;
        let input = BufReader::with_capacity(READ_BYTES, input);
        // A damaged footer can make the library panic.
        let opened = catch_unwind(AssertUnwindSafe(|| match is_file {
            true => FileReader::try_new(input, columns).map(|reader| Batches::File(Box::new(reader), places)),
            false => StreamReader::try_new(input, columns).map(|reader| Batches::Stream(Box::new(reader), bytes)),
        }));
        match opened {
            Ok(batches) => batches.map_err(|e| broken().because(e)),
            Err(_) => Err(broken()),
        }
    }

    fn schema(&self) -> SchemaRef {
        match self {
            Batches::File(reader, _) => reader.schema(),
            Batches::Stream(reader, _) => reader.schema(),
        }
    }

    /// The batch of that number, which is the next one.
    fn next(&mut self, index: u64) -> Option<Result<RecordBatch, ArrowError>> {
        match self {
            Batches::File(reader, places) => {
                let place = usize::try_from(index).ok().and_then(|index| places.get(index));
                match place.map_or(Ok(()), |at| check_room(reader.get_mut(), *at)) {
                    Ok(()) => reader.next(),
                    Err(error) => Some(Err(error.into())),
                }
            }
            Batches::Stream(reader, bytes) => match holds_next(reader.get_mut(), *bytes) {
                Ok(true) => reader.next(),
                Ok(false) => Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())),
                Err(error) => Some(Err(error.into())),
            },
        }
    }
}

/// Whether a stream of so many bytes holds the next record batch, and the dictionaries before it, as far as they announce
/// how long they are. The library makes room for them before it looks. What is broken otherwise is for it to tell.
fn holds_next(input: &mut Bytes, bytes: u64) -> io::Result<bool> {
    let begin = input.stream_position()?;
    let (mut at, mut holds) = (begin, true);
    while let Some((length, is_dictionary)) = announced(input)? {
        at = at.saturating_add(length);
        holds = at <= bytes;
        if !holds || !is_dictionary {
            break;
        }
        input.seek(SeekFrom::Start(at))?;
    }
    let back = i64::try_from(input.stream_position()?).unwrap_or(i64::MAX) - i64::try_from(begin).unwrap_or(0);
    input.seek_relative(-back)?;
    Ok(holds)
}

/// How long the message is that comes next, with all that belongs to it, and whether it is a dictionary. `None`: it is
/// none that can be understood.
///
/// Errors: it announces parts that nobody has room for.
fn announced<R: Read + Seek + ?Sized>(input: &mut R) -> io::Result<Option<(u64, bool)>> {
    let begin = input.stream_position()?;
    let mut number = [0; 4];
    let mut prefix = Vec::new();
    input.take(8).read_to_end(&mut prefix)?;
    let at = if prefix.starts_with(&CONTINUATION) { 4 } else { 0 };
    let Some(length) = prefix.get(at..at + 4) else {
        return Ok(None);
    };
    number.copy_from_slice(length);
    let Ok(length) = u64::try_from(i32::from_le_bytes(number)) else {
        return Ok(None);
    };
    // Of streams of old more than the length has been read.
    let mut message = prefix.split_off(at + 4);
    let taken = message.len() as u64;
    input.take(length.saturating_sub(taken)).read_to_end(&mut message)?;
    let Ok(root) = root_as_message(&message) else {
        return Ok(None);
    };
    let body = u64::try_from(root.bodyLength()).unwrap_or(u64::MAX);
    let before = (at as u64 + 4).saturating_add(length);
    if !has_room(input, &root, begin.saturating_add(before))? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a part announces more than it holds",
        ));
    }
    let whole = before.saturating_add(body);
    Ok(Some((whole, root.header_type() == MessageHeader::DictionaryBatch)))
}

/// Errors: the message at a place announces parts that nobody has room for.
fn check_room<R: Read + Seek + ?Sized>(input: &mut R, at: u64) -> io::Result<()> {
    input.seek(SeekFrom::Start(at))?;
    announced(input).map(drop)
}

/// Whether the packed parts of a message, whose body begins at a place, can be what they say that they unpack to: the
/// library makes room for that before it looks.
fn has_room<R: Read + Seek + ?Sized>(input: &mut R, message: &Message, body: u64) -> io::Result<bool> {
    let batch = match message.header_as_dictionary_batch() {
        Some(dictionary) => dictionary.data(),
        None => message.header_as_record_batch(),
    };
    let packed = batch.filter(|batch| batch.compression().is_some());
    for part in packed.and_then(|batch| batch.buffers()).into_iter().flatten() {
        // How long it is unpacked stands first; a negative number says that it is not packed.
        let (at, bytes) = (u64::try_from(part.offset()), u64::try_from(part.length()));
        let (Ok(at), Ok(bytes @ 8..)) = (at, bytes) else {
            continue;
        };
        let mut number = [0; 8];
        input.seek(SeekFrom::Start(body.saturating_add(at)))?;
        input.read_exact(&mut number)?;
        let unpacked = u64::try_from(i64::from_le_bytes(number)).unwrap_or(0);
        let room = usize::try_from(unpacked).map(|unpacked| Vec::<u8>::new().try_reserve_exact(unpacked));
        if unpacked > bytes.saturating_mul(UNPACKED_BYTES_MAX) || !matches!(room, Ok(Ok(()))) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the bytes hold what is read of them first, the footer of a file or the first message of a stream, which the
/// library makes room for before it looks; and what the footer announces. Gives the places of a file's batches; `None`: they
/// do not.
fn fits(input: &mut dyn Input, is_file: bool) -> io::Result<Option<Vec<u64>>> {
    let bytes = input.seek(SeekFrom::End(0))?;
    let mut number_at = |at: SeekFrom| -> io::Result<[u8; 4]> {
        let mut number = [0; 4];
        input.seek(at)?;
        input.read_exact(&mut number)?;
        Ok(number)
    };
    let length = match is_file {
        true => number_at(SeekFrom::End(-FOOTER_END_BYTES))?,
        // Streams of old begin with the length.
        false => match number_at(SeekFrom::Start(0))? {
            CONTINUATION => number_at(SeekFrom::Start(4))?,
            length => length,
        },
    };
    let length = match u64::try_from(i32::from_le_bytes(length)) {
        Ok(length) if length < bytes => length,
        _ => return Ok(None),
    };
    if !is_file {
        return Ok(Some(Vec::new()));
    }
    let mut footer = Vec::new();
    input.seek(SeekFrom::End(-FOOTER_END_BYTES - length as i64))?;
    (&mut *input).take(length).read_to_end(&mut footer)?;
    let Ok(footer) = root_as_footer(&footer) else {
        // A broken one is for the library to tell.
        return Ok(Some(Vec::new()));
    };
    let place = |block: &Block| u64::try_from(block.offset()).unwrap_or(u64::MAX);
    let end = |block: &Block| {
        let numbers = [block.metaDataLength().into(), block.bodyLength()];
        let numbers = numbers.map(|number| u64::try_from(number).unwrap_or(u64::MAX));
        numbers.into_iter().fold(place(block), u64::saturating_add)
    };
    let (batches, dictionaries) = (footer.recordBatches(), footer.dictionaries());
    let mut blocks = batches.into_iter().chain(dictionaries).flatten();
    if !blocks.all(|block| end(block) <= bytes) {
        return Ok(None);
    }
    // The library reads dictionaries as it opens a file.
    for dictionary in dictionaries.into_iter().flatten() {
        check_room(input, place(dictionary))?;
    }
    Ok(Some(batches.into_iter().flatten().map(place).collect()))
}

/// The columns of a file as those of a table.
///
/// Errors: it is no Arrow file.
pub fn columns(input: Box<dyn Input>, source: &str) -> Result<SchemaRef> {
    Ok(table_columns(Batches::open(input, None, source)?.schema().fields()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, Int64Array};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::arrow::ipc::CompressionType;
    use datafusion::arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
    use std::io::Cursor;
    use std::sync::Arc;

    /// A file and a stream of two batches, whose numbers do not fill their room.
    fn written(packed: Option<CompressionType>) -> (Vec<u8>, Vec<u8>) {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1001));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let options = || IpcWriteOptions::default().try_with_compression(packed).unwrap();
        let mut file = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options()).unwrap();
        let mut stream = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options()).unwrap();
        for _ in 0..2 {
            file.write(&batch).unwrap();
            stream.write(&batch).unwrap();
        }
        (file.into_inner().unwrap(), stream.into_inner().unwrap())
    }

    /// How many rows are read before the end, or the error.
    fn read(bytes: &[u8]) -> (usize, Option<String>) {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let wanted = Wanted {
            schema,
            columns: vec![0],
            key: Vec::new(),
            text: false,
        };
        let open = || Box::new(Cursor::new(bytes.to_vec())) as Box<dyn Input>;
        let mut rows = 0;
        let mut reader = match ArrowReader::open(&open, &wanted, OnError::Fail, "f") {
            Ok(reader) => reader,
            Err(error) => return (rows, Some(error.message)),
        };
        loop {
            match reader.next_rows() {
                Ok(Some(decoded)) => rows += decoded.batch.num_rows(),
                Ok(None) => return (rows, None),
                Err(error) => return (rows, Some(error.message)),
            }
        }
    }

    #[test]
    fn no_room_is_made_for_what_a_file_cannot_hold() {
        let (file, stream) = written(None);
        assert_eq!((read(&file), read(&stream)), ((2002, None), (2002, None)));
        let body = |file: &[u8]| {
            let end = file.len() - FOOTER_END_BYTES as usize;
            let length = i32::from_le_bytes(file[end..end + 4].try_into().unwrap()) as usize;
            let footer = root_as_footer(&file[end - length..end]).unwrap();
            footer.recordBatches().unwrap().get(1).bodyLength().to_le_bytes()
        };
        // The last place at which the length of the second batch stands: in the footer, and in its message.
        let body = body(&file);
        let huge = |bytes: &[u8]| {
            let at = bytes.windows(8).rposition(|eight| eight == body).unwrap();
            let mut huge = bytes.to_vec();
            huge[at..at + 8].copy_from_slice(&(1i64 << 50).to_le_bytes());
            huge
        };
        let unreadable = Some("f is not a readable Arrow file".to_string());
        assert_eq!(read(&huge(&file)), (0, unreadable));
        let cut = Some("f: record batch 1 cannot be read: the file is cut".to_string());
        assert_eq!(read(&huge(&stream)), (1001, cut.clone()));
        assert_eq!(read(&stream[..stream.len() - 5000]), (1001, cut));
    }

    #[test]
    fn no_room_is_made_for_what_a_packed_part_cannot_hold() {
        for packed in [CompressionType::ZSTD, CompressionType::LZ4_FRAME] {
            let (file, stream) = written(Some(packed));
            assert_eq!((read(&file), read(&stream)), ((2002, None), (2002, None)));
            let damaged = Some("f: record batch 1 cannot be read: it is damaged".to_string());
            for bytes in [file, stream] {
                for huge in [1i64 << 41, i64::MAX] {
                    let mut bytes = bytes.clone();
                    let length = (1001i64 * 8).to_le_bytes();
                    let at = bytes.windows(8).rposition(|eight| eight == length).unwrap();
                    bytes[at..at + 8].copy_from_slice(&huge.to_le_bytes());
                    assert_eq!(read(&bytes), (1001, damaged.clone()));
                }
            }
        }
    }
}
