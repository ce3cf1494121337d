//! Text in, rows out: what each format makes of good, odd and broken bytes.

mod csv;
mod json;

use super::*;
use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::util::display::array_value_to_string;
use proptest::prelude::*;
use std::io::{Cursor, Read};
use std::sync::Arc;

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(
        columns
            .iter()
            .map(|(n, t)| Field::new(*n, t.clone(), true))
            .collect::<Vec<_>>(),
    ))
}

fn wanted(schema: &SchemaRef) -> Wanted {
    Wanted {
        schema: schema.clone(),
        columns: (0..schema.fields().len()).collect(),
        key: vec![],
        text: false,
    }
}

fn csv() -> Format {
    Format::Csv(CsvFormat::default())
}

/// Rows as `a|b|c`.
fn rows(batch: &RecordBatch) -> Vec<String> {
    let cell = |c: usize, row: usize| array_value_to_string(batch.column(c), row).unwrap();
    (0..batch.num_rows())
        .map(|row| {
            (0..batch.num_columns())
                .map(|c| cell(c, row))
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}

/// Rows, then bad records as `line@byte message`, then the error.
fn read(format: &Format, wanted: &Wanted, on_error: OnError, bytes: &[u8], block_bytes: usize) -> Vec<String> {
    let input = Box::new(Cursor::new(bytes.to_vec()));
    let mut blocks = BlockReader::new(input, format.rule()).with_block_bytes(block_bytes);
    let header = if format.has_header() {
        blocks.take_record().unwrap()
    } else {
        None
    };
    let decoder = RowDecoder::new(format, wanted, header.as_deref(), on_error, "data").unwrap();
    let (mut out, mut bad) = (Vec::new(), Vec::new());
    while let Some(block) = blocks.next_block().unwrap() {
        let decoded = decoder.decode_block(&block);
        out.extend(rows(&decoded.batch));
        for b in decoded.bad {
            let begin = b.byte_offset as usize;
            assert_eq!(&bytes[begin..begin + b.bytes.len()], b.bytes);
            bad.push(format!("{}@{} {}", b.line, b.byte_offset, b.message));
        }
        if let Some(stop) = decoded.stop {
            bad.push(stop.to_string());
            break;
        }
    }
    out.extend(bad);
    out
}

fn skip(format: &Format, schema: &SchemaRef, text: &str) -> Vec<String> {
    let all = wanted(schema);
    let whole = read(format, &all, OnError::Skip, text.as_bytes(), 1 << 20);
    for block_bytes in [1, 7, 30] {
        let again = read(format, &all, OnError::Skip, text.as_bytes(), block_bytes);
        let sorted = |mut v: Vec<String>| {
            v.sort();
            v
        };
        assert_eq!(sorted(again), sorted(whole.clone()), "blocks of {block_bytes} bytes");
    }
    whole
}

#[test]
fn bytes_that_are_not_utf8_are_a_bad_record() {
    let text = b"a\nb\xff\nc\n";
    let line = schema(&[("line", DataType::Utf8)]);
    let bad = "2@2 byte 2 of the line is not UTF-8";
    assert_eq!(
        read(&Format::Text, &wanted(&line), OnError::Skip, text, 99),
        ["a", "c", bad]
    );
    let json = b"{\"line\":\"a\"}\n{\"line\":\"\xff\"}\n";
    let got = read(
        &Format::Json(JsonFormat::default()),
        &wanted(&line),
        OnError::DeadLetter,
        json,
        99,
    );
    assert_eq!(got, ["a", "2@13 byte 10 of the line is not UTF-8"]);
    let got = read(&csv(), &wanted(&line), OnError::Skip, b"line\na\n\xff\nb\n", 99);
    assert_eq!(got, ["a", "b", "3@7 byte 1 of the line is not UTF-8"]);
}

#[test]
fn times_have_the_format_that_was_given() {
    let format = |text: &str| TimeFormat::new(text).unwrap();
    let times = |timestamp: &str, date: &str| TimeFormats {
        timestamp: Some(format(timestamp)),
        date: Some(format(date)),
    };
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    let columns = schema(&[("t", millis.clone()), ("d", DataType::Date32)]);
    let csv = |timestamp: &str, date: &str| {
        Format::Csv(CsvFormat {
            header: false,
            times: times(timestamp, date),
            ..CsvFormat::default()
        })
    };
    for (timestamp, date, text, expected) in [
        (
            "%d/%m/%Y %H:%M:%S%.f",
            "%d.%m.%y",
            "05/02/2024 10:20:30.25,06.02.24\n,\n",
            "2024-02-05T10:20:30.250|2024-02-06",
        ),
        (
            "%d/%m/%Y",
            "%j %Y",
            "05/02/2024,060 2024\n,\n",
            "2024-02-05T00:00:00|2024-02-29",
        ),
        (
            "%Y%m%d %H",
            "%Y-%m-%d",
            "20240205 07,2024-02-06\n,\n",
            "2024-02-05T07:00:00|2024-02-06",
        ),
        (
            "%s",
            "%F",
            "1707128430,2024-02-06\n,\n",
            "2024-02-05T10:20:30|2024-02-06",
        ),
        (
            "%F %R %z",
            "%F",
            "2024-02-05 10:20 +0200,2024-02-06\n,\n",
            "2024-02-05T08:20:00|2024-02-06",
        ),
    ] {
        assert_eq!(
            skip(&csv(timestamp, date), &columns, text),
            [expected, "|"],
            "{timestamp}"
        );
    }
    let wrong = skip(&csv("%d/%m/%Y", "%F"), &columns, "2024-02-05,2024-02-06\n");
    assert_eq!(
        wrong,
        ["1@0 column `t`: \"2024-02-05\" is no TIMESTAMP(3) as in '%d/%m/%Y'"]
    );
    let json = Format::Json(JsonFormat {
        times: times("%d/%m/%Y %H:%M", "%s"),
    });
    let text = "{\"t\":\"05/02/2024 10:20\"}\n{\"t\":null,\"d\":86400}\n{\"t\":\"5\"}\n";
    let bad = "3@46 column `t`: \"5\" is no TIMESTAMP(3) as in '%d/%m/%Y %H:%M'";
    assert_eq!(
        skip(&json, &columns, text),
        ["2024-02-05T10:20:00|", "|1970-01-02", bad]
    );
    // A time without zone is one of the column's.
    let zoned = schema(&[("t", DataType::Timestamp(TimeUnit::Millisecond, Some("+02:00".into())))]);
    let zoned = skip(&csv("%F %R", "%F"), &zoned, "2024-02-05 10:20\n");
    assert_eq!(zoned, ["2024-02-05T10:20:00+02:00"]);
    let naive = schema(&[("t", millis)]);
    let refused = Encoder::new(&csv("%F %z", "%F"), naive, Vec::new()).err().unwrap();
    assert!(refused.message.contains("asks for a time zone"), "{refused}");
}

#[test]
fn utf_16_is_refused_and_carriage_returns_end_records() {
    for mark in [b"\xff\xfea\0", b"\xfe\xff\0a"] {
        let mut blocks = BlockReader::new(Box::new(Cursor::new(mark.to_vec())), Rule::Lines);
        assert!(blocks.next_block().unwrap_err().to_string().contains("UTF-16"));
    }
    let columns = schema(&[("a", DataType::Int32), ("b", DataType::Utf8)]);
    let old = "a,b\r1,x\r\r2,\"y\rz\"\rq,u\r3,w";
    assert_eq!(
        skip(&csv(), &columns, old),
        ["1|x", "2|y\rz", "3|w", "6@17 column `a`: \"q\" is no INT"]
    );
}

#[test]
fn no_columns_still_count() {
    let columns = schema(&[("a", DataType::Int32)]);
    let none = Wanted {
        columns: vec![],
        ..wanted(&columns)
    };
    let line = Wanted {
        schema: schema(&[("line", DataType::Utf8)]),
        ..none.clone()
    };
    for (format, wanted, text) in [
        (Format::Json(JsonFormat::default()), &none, "{\"a\":1}\n\n{}\n"),
        (csv(), &none, "a\n1\n2\n"),
        (Format::Text, &line, "1\n2"),
    ] {
        assert_eq!(
            read(&format, wanted, OnError::Fail, text.as_bytes(), 99),
            ["", ""],
            "{format:?}"
        );
    }
}

/// Gives one byte at a time.
struct Slow(Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let one = buffer.len().min(1);
        self.0.read(&mut buffer[..one])
    }
}

#[test]
fn blocks_depend_on_bytes_only() {
    let text: Vec<u8> = (0..500)
        .flat_map(|i| format!("{i},\"a\n{}\"\n", "x".repeat(i % 37)).into_bytes())
        .collect();
    let blocks = |input: Box<dyn Bytes>| {
        let mut reader = BlockReader::new(input, csv().rule()).with_block_bytes(100);
        let mut found = Vec::new();
        while let Some(block) = reader.next_block().unwrap() {
            found.push(block);
        }
        found
    };
    let fast = blocks(Box::new(Cursor::new(text.clone())));
    assert_eq!(fast, blocks(Box::new(Slow(Cursor::new(text.clone())))));
    assert_eq!(fast.iter().flat_map(|b| b.bytes.clone()).collect::<Vec<_>>(), text);
    let again = BlockReader::resume(
        Box::new(Cursor::new(text[fast[3].offset as usize..].to_vec())),
        csv().rule(),
        0,
    );
    assert_eq!(
        again.with_block_bytes(100).next_block().unwrap().unwrap().bytes,
        fast[3].bytes
    );
}

#[test]
fn a_very_long_line_is_one_record() {
    let mut text = b"short\n".to_vec();
    text.extend(std::iter::repeat_n(b'x', 5 << 20));
    text.extend_from_slice(b"\nlast\n");
    let got = read(
        &Format::Text,
        &wanted(&schema(&[("line", DataType::Utf8)])),
        OnError::Fail,
        &text,
        1 << 20,
    );
    assert_eq!(got.iter().map(String::len).collect::<Vec<_>>(), [5, 5 << 20, 4]);
}

#[test]
fn columns_are_inferred() {
    let infer = |format: &Format, text: &str| {
        let mut reader = BlockReader::new(Box::new(Cursor::new(text.as_bytes().to_vec())), format.rule());
        let schema = infer_text(format, &mut reader, "x").unwrap();
        schema
            .fields()
            .iter()
            .map(|f| format!("{} {}", f.name(), type_name(f.data_type())))
            .collect::<Vec<_>>()
    };
    let json = "{\"z\": 1, \"t\": \"2024-01-01T10:00:00Z\", \"o\": {\"b\": [1.5], \"a\": null}}\nbroken\n{\"y\": true, \"z\": 2.5, \"d\": \"2024\"}\n";
    assert_eq!(
        infer(&Format::Json(JsonFormat::default()), json),
        [
            "z DOUBLE",
            "t TIMESTAMP(3)",
            "o STRUCT<a STRING, b DOUBLE[]>",
            "y BOOLEAN",
            "d STRING"
        ]
    );
    let text = "a,b,c,d,e\n1,true,2024-01-01,2024-01-01T00:00:00,\n-2,false,2024-02-01,2024-01-01T00:00:00.5,\n";
    assert_eq!(
        infer(&csv(), text),
        ["a BIGINT", "b BOOLEAN", "c DATE", "d TIMESTAMP", "e STRING"]
    );
    // A lost quote makes no text of the column behind it.
    let lost = "a,b\n1,2\n3,\"4\n5,6\n";
    assert_eq!(infer(&csv(), lost), ["a BIGINT", "b BIGINT"]);
    assert_eq!(infer(&Format::Text, "x"), ["line STRING"]);
}

#[test]
fn written_json_and_csv() {
    let columns = schema(&[
        ("t", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("f", DataType::Float64),
        ("s", DataType::Utf8),
    ]);
    let text = b"t,f,s\n2024-01-01T10:00:01.5,NaN,\"a,\"\"b\"\n,1.5,\n";
    let mut blocks = BlockReader::new(Box::new(Cursor::new(text.to_vec())), csv().rule());
    let header = blocks.take_record().unwrap();
    let decoder = RowDecoder::new(&csv(), &wanted(&columns), header.as_deref(), OnError::Fail, "x").unwrap();
    let batch = decoder.decode_block(&blocks.next_block().unwrap().unwrap()).batch;
    let write = |format: &Format| {
        let mut encoder = Encoder::new(format, columns.clone(), Vec::new()).unwrap();
        encoder.write(&batch).unwrap();
        String::from_utf8(encoder.finish().unwrap()).unwrap()
    };
    assert_eq!(
        write(&Format::Json(JsonFormat::default())),
        "{\"t\":\"2024-01-01T10:00:01.500Z\",\"f\":null,\"s\":\"a,\\\"b\"}\n{\"t\":null,\"f\":1.5,\"s\":null}\n"
    );
    assert_eq!(write(&csv()), "t,f,s\n2024-01-01T10:00:01.500,NaN,\"a,\"\"b\"\n,1.5,\n");
}

/// Text that is nearly JSON or CSV.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(&b"{\"a\":1,\"s\":\"x\"}\n"[..]),
        4 => Just(&b"1,x\n"[..]),
        1 => prop::sample::select(vec![
            &b"{"[..], b"}", b"[", b"]", b"\"", b":", b",", b"\n", b"\r", b"\\", b"\\u12", b" ", b"1", b"-", b"e",
            b"null", b"tru", b"\"a\"", b"\xff", b"\xc3\xa9", b"\xef\xbb\xbf", b"\x00",
        ]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn broken_text_never_panics_and_lines_do_not_depend_on_blocks(text in nearly()) {
        let columns = wanted(&schema(&[("a", DataType::Int32), ("s", DataType::Utf8)]));
        let line = wanted(&schema(&[("line", DataType::Utf8)]));
        let no_header = Format::Csv(CsvFormat { header: false, null_values: vec!["x".into()], ..CsvFormat::default() });
        let odd = Format::Csv(CsvFormat { header: false, quote: b'[', escape: Some(b'\\'), comment: Some(b'{'), ragged: true, ..CsvFormat::default() });
        let comments = Format::Csv(CsvFormat { header: false, comment: Some(b'{'), ..CsvFormat::default() });
        let ragged = Format::Csv(CsvFormat { header: false, ragged: true, ..CsvFormat::default() });
        let bare = Format::Csv(CsvFormat { header: false, quote: NO_QUOTE, comment: Some(b']'), ragged: true, ..CsvFormat::default() });
        for (format, wanted) in [
            (Format::Json(JsonFormat::default()), &columns),
            (no_header, &columns),
            (comments, &columns),
            (ragged, &columns),
            (bare, &columns),
            (odd, &columns),
            (Format::Text, &line),
        ] {
            let sorted = |block_bytes| {
                let mut found = read(&format, wanted, OnError::Skip, &text, block_bytes);
                found.sort();
                found
            };
            prop_assert_eq!(sorted(5), sorted(1 << 20));
            read(&format, wanted, OnError::Fail, &text, 1 << 20);
            infer_text(&format, &mut BlockReader::new(Box::new(Cursor::new(text.clone())), format.rule()), "x").ok();
        }
    }
}
