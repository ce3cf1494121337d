//! Stdout, buffered, which remembers that nobody reads any more.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::fd::AsFd;
use waterwheel::error::Error;

/// How much is gathered before it is written, in bytes; a flush writes less.
const BUFFER_BYTES: usize = 64 << 10;

/// Stdout. Writing never fails: when the reader has gone, or the disk is full, the rest is dropped and
/// [`Out::is_closed`] or [`Out::failure`] says so, where it is one question for all formats.
pub struct Out {
    writer: Option<BufWriter<File>>,
    failure: Option<io::Error>,
    gone: bool,
}

impl Out {
    pub fn stdout() -> Out {
        // The handle of the standard library would look for line ends in everything that is written.
        match io::stdout().as_fd().try_clone_to_owned() {
            Ok(handle) => Out {
                writer: Some(BufWriter::with_capacity(BUFFER_BYTES, File::from(handle))),
                failure: None,
                gone: false,
            },
            Err(error) => Out {
                writer: None,
                failure: Some(error),
                gone: true,
            },
        }
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        let written = self.writer.as_mut().map(|w| w.write_all(bytes));
        self.note(written);
    }

    pub fn flush(&mut self) {
        let flushed = self.writer.as_mut().map(Write::flush);
        self.note(flushed);
    }

    fn note(&mut self, result: Option<io::Result<()>>) {
        if let Some(Err(error)) = result {
            self.gone = true;
            if error.kind() != ErrorKind::BrokenPipe {
                self.failure = Some(error);
            }
            // Dropping the buffer would try to write it once more.
            if let Some(writer) = self.writer.take() {
                drop(writer.into_parts());
            }
        }
    }

    /// Whether nobody takes what is written.
    pub fn is_closed(&self) -> bool {
        self.gone && self.failure.is_none()
    }

    /// Whether nothing can be written any more, for whatever reason.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Why nothing can be written, told once.
    pub fn failure(&mut self) -> Option<Error> {
        let error = self.failure.take()?;
        Some(Error::connector(format!("stdout cannot be written: {error}")).because(error))
    }
}
