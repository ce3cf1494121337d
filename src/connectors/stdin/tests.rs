//! A pipe that is written to bit by bit.

use super::arrivals::Arrivals;
use super::input::Input;
use super::{StdinReader, Stream};
use crate::connectors::{Bell, Next, SplitReader};
use crate::formats::{CsvFormat, Format, OnError, Wanted, type_name};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use std::io::{self, Read};
use std::sync::{Arc, mpsc};

/// Each read gives what one write sent.
struct Pipe(mpsc::Receiver<Vec<u8>>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.recv().unwrap_or_default();
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

fn pipe() -> (mpsc::Sender<Vec<u8>>, Input) {
    let (send, receive) = mpsc::channel();
    (send, Input::new(Box::new(Pipe(receive))))
}

#[test]
fn sniffing_loses_nothing() {
    for (writes, format, columns) in [
        (vec!["\n {\"a\"", ":1}\n{\"a\":"], "json", "a BIGINT"),
        (vec!["\u{feff}{\"a\":1}"], "json", "a BIGINT"),
        (vec!["GET /", "\n"], "text", "line STRING"),
        (vec![], "text", "line STRING"),
    ] {
        let (send, mut input) = pipe();
        writes.iter().for_each(|w| send.send(w.as_bytes().to_vec()).unwrap());
        drop(send);
        let sniffed = input.sniff().unwrap();
        assert_eq!(sniffed.format, format);
        let field = sniffed.schema.field(0);
        assert_eq!(format!("{} {}", field.name(), type_name(field.data_type())), columns);
        let mut arrivals = Arrivals::new(input, &Format::Text);
        let mut all = Vec::new();
        while let Some(block) = arrivals.next_block().unwrap() {
            all.extend(block.bytes);
        }
        assert_eq!(
            String::from_utf8(all).unwrap(),
            writes.concat().trim_start_matches('\u{feff}')
        );
    }
}

#[test]
fn rows_appear_as_their_lines_arrive() {
    let (send, mut input) = pipe();
    let format = Format::Csv(CsvFormat::default());
    send.send(b"a,b\n1,\"x".to_vec()).unwrap();
    send.send(b"\"\n".to_vec()).unwrap();
    let schema = input.columns(&format).unwrap();
    let wanted = Wanted {
        schema,
        columns: vec![0, 1],
        key: vec![],
        text: false,
    };
    let stream = Stream {
        name: "stdin".to_string(),
        arrivals: Arrivals::new(input, &format),
        format,
        wanted,
        on_error: OnError::Skip,
    };
    let (rung, heard) = mpsc::channel();
    let bell = Bell(Arc::new(move || {
        rung.send(()).ok();
    }));
    let mut reader = StdinReader::new(stream, bell);
    let mut next = || loop {
        match reader.next().unwrap() {
            Next::Pending => heard.recv_timeout(std::time::Duration::from_secs(20)).unwrap(),
            Next::Chunk(chunk) => return Some((chunk.from.block, chunk.batch.num_rows(), chunk.bad.len())),
            Next::Ended => return None,
        }
    };
    assert_eq!(next(), Some((4, 1, 0)));
    send.send(b"2,\"y\nz\"\nbad\n3".to_vec()).unwrap();
    assert_eq!(next(), Some((10, 1, 1)));
    send.send(b",last".to_vec()).unwrap();
    drop(send);
    assert_eq!(next(), Some((22, 1, 0)));
    assert_eq!(next(), None);
}

/// Gives some bytes and then breaks.
struct Breaking(&'static [u8]);

impl Read for Breaking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            read => Ok(read),
        }
    }
}

#[test]
fn one_of_many_streams_ends_where_it_breaks_off() {
    for (bytes, is_one_of_many, on_error, rows, bad, fails) in [
        (&b"1\n2\n"[..], true, OnError::Fail, 2, 0, false),
        (b"1\n2", true, OnError::Fail, 1, 0, false),
        (b"1\n2", true, OnError::Skip, 1, 1, false),
        (b"1\n2\n", false, OnError::Skip, 2, 0, true),
    ] {
        let arrivals = Arrivals::new(Input::new(Box::new(Breaking(bytes))), &Format::Text);
        let stream = Stream {
            name: "socket".to_string(),
            arrivals: if is_one_of_many {
                arrivals.one_of_many()
            } else {
                arrivals
            },
            format: Format::Text,
            wanted: Wanted {
                schema: Arc::new(Schema::new(vec![Field::new("line", DataType::Utf8, true)])),
                columns: vec![0],
                key: vec![],
                text: false,
            },
            on_error,
        };
        let (out, chunks) = mpsc::sync_channel(8);
        stream.run(&out, &Bell(Arc::new(|| {})));
        drop(out);
        let (mut found, mut failed) = ((0, 0), false);
        for chunk in chunks {
            match chunk {
                Ok(chunk) => found = (found.0 + chunk.batch.num_rows(), found.1 + chunk.bad.len()),
                Err(_) => failed = true,
            }
        }
        assert_eq!((found, failed), ((rows, bad), fails), "{bytes:?}");
    }
}
