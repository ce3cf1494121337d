//! Text in, rows out: what each format makes of good, odd and broken bytes.

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
fn broken_json_lines_keep_their_neighbours() {
    let columns = schema(&[("a", DataType::Int32), ("s", DataType::Utf8)]);
    let text = "{\"a\": 1, \"s\": \"x\"}\n{\"a\": 2, \"s\": \n{\"a\": \"three\"}\n\n[4]\n{\"a\":5}{\"a\":6}\n{\"a\": 7, \"z\": {}}\r\n  \nnull\n{\"s\": true, \"a\": \"8\"}";
    assert_eq!(
        skip(&Format::Json(JsonFormat::default()), &columns, text),
        [
            "1|x",
            "7|",
            "8|true",
            "2@19 broken JSON: the object does not end",
            "3@34 column `a`: \"three\" is no INT",
            "5@50 not a JSON object but a list: one object per line is read",
            "6@54 broken JSON: more than one object on the line",
            "9@91 not a JSON object",
        ]
    );
}

#[test]
fn fail_gives_the_rows_before_then_the_place() {
    let columns = schema(&[("a", DataType::Int32)]);
    let text = format!("{}oops\n{{\"a\":9}}\n", "{\"a\":1}\n".repeat(200));
    let got = read(
        &Format::Json(JsonFormat::default()),
        &wanted(&columns),
        OnError::Fail,
        text.as_bytes(),
        1 << 20,
    );
    assert_eq!(got.len(), 201);
    assert_eq!(got[200], "data:201 (byte 1,600): not a JSON object: oops");
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
fn json_times_and_nested_text() {
    let columns = schema(&[
        ("t", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("p", DataType::Utf8),
    ]);
    let text = r#"{"t": "2024-01-01T10:00:01+02:00", "p": {"k": ["a\"b", 1]}}
{"t": "2024-01-01 10:00:01.5", "p": "{}"}
{"t": "2024-01-01", "p": 1.50}
{"t": 1704103200000, "p": [ ]}
"#;
    assert_eq!(
        skip(&Format::Json(JsonFormat::default()), &columns, text),
        [
            r#"2024-01-01T08:00:01|{"k": ["a\"b", 1]}"#,
            "2024-01-01T10:00:01.500|{}",
            "2024-01-01T00:00:00|1.50",
            "2024-01-01T10:00:00|[ ]"
        ]
    );
}

#[test]
fn null_in_a_required_column_is_a_bad_record() {
    let columns = schema(&[("id", DataType::Utf8), ("n", DataType::Int64)]);
    let keyed = Wanted {
        key: vec![0],
        ..wanted(&columns)
    };
    let text = b"{\"id\":\"a\"}\n{\"n\":1}\n{\"id\":\"b\"}\n";
    let got = read(&Format::Json(JsonFormat::default()), &keyed, OnError::Skip, text, 99);
    assert_eq!(got, ["a|", "b|", "2@11 column `id` may not be NULL"]);
}

#[test]
fn csv_header_gives_the_order_and_quotes_hold_newlines() {
    let columns = schema(&[("n", DataType::Int32), ("s", DataType::Utf8)]);
    let text = "\u{feff}s,extra,n\r\n\"two\nlines, \"\"q\"\"\",x,1\r\n5\" pipe,\"\",2\r\n\r\nshort,1\r\nbad,y,z\r\n,,\r\nlast,,3";
    assert_eq!(
        skip(&csv(), &columns, text),
        [
            "1|two\nlines, \"q\"",
            "2|5\" pipe",
            "|",
            "3|last",
            "6@54 2 fields where 3 belong",
            "7@63 column `n`: \"z\" is no INT",
        ]
    );
}

#[test]
fn a_lost_quote_costs_one_line() {
    let columns = schema(&[("a", DataType::Utf8), ("b", DataType::Utf8)]);
    let text = "a,b\n1,x\n\"2,x\n3,x\n4,x\n";
    let got = read(&csv(), &wanted(&columns), OnError::Skip, text.as_bytes(), 1 << 20);
    assert_eq!(got[..3], ["1|x", "3|x", "4|x"]);
    assert_eq!(got.len(), 4);
}

#[test]
fn a_bad_record_of_several_lines_is_one() {
    let columns = schema(&[("id", DataType::Int32), ("txt", DataType::Utf8)]);
    let text = "id,txt\n1,a\nbad,\"first\n99,ghost\"\n3,c\n";
    assert_eq!(
        skip(&csv(), &columns, text),
        ["1|a", "3|c", "3@11 column `id`: \"bad\" is no INT"]
    );
    // What is too much in it is no lost quote.
    let text = "id,txt\n1,\"first\nsecond\",x\n3,c\n4\n";
    let many = "2@7 3 fields where 2 belong";
    assert_eq!(
        skip(&csv(), &columns, text),
        ["3|c", many, "5@30 1 field where 2 belong"]
    );
    // What follows the quote says that it is not the one that belongs to the first.
    let text = "id,txt\nbad,\"first\n2,\"b\"\n3,c\n";
    let lost = "2@7 not a CSV record: a quote does not end";
    assert_eq!(skip(&csv(), &columns, text), ["2|b", "3|c", lost]);
}

#[test]
fn a_quote_that_another_closes_swallows_no_neighbour() {
    let columns = schema(&[("a", DataType::Int32), ("b", DataType::Utf8), ("c", DataType::Int32)]);
    let text = "a,b,c\n1,\"abc,10\n2,\"def\",20\n3,x,30\n9,\"st\"ray,90\n4,5\" pi\"pe,\n5,\"\"\"q\"\"\",50\n";
    let open = "2@6 not a CSV record: a quote does not end";
    let inside = "5@34 not a CSV record: a quote ends in the middle of a field";
    let rows = ["2|def|20", "3|x|30", "4|5\" pi\"pe|", "5|\"q\"|50"];
    assert_eq!(skip(&csv(), &columns, text), [&rows[..], &[open, inside]].concat());
    let stops = read(&csv(), &wanted(&columns), OnError::Fail, text.as_bytes(), 1 << 20);
    assert_eq!(
        stops,
        ["data:2 (byte 6): not a CSV record: a quote does not end: 1,\"abc,10"]
    );
    // Nor where quotes mean nothing in comments, and are escaped.
    let format = Format::Csv(CsvFormat {
        header: false,
        escape: Some(b'\\'),
        comment: Some(b'#'),
        ..CsvFormat::default()
    });
    let text = "#,\"\n1,\"a\\\"\n#b\",\n#\"\n2,\"c\\\",3\n3,\"d\\\\\",4\n";
    let open = "5@19 not a CSV record: a quote does not end";
    assert_eq!(skip(&format, &columns, text), ["1|a\"\n#b|", "3|d\\|4", open]);
}

#[test]
fn a_quote_that_does_not_end_costs_one_line() {
    let columns = schema(&[("id", DataType::Int32), ("txt", DataType::Utf8)]);
    for end in ["\n", ""] {
        let text = format!("id,txt\n1,a\n2,\"unclosed\n3,c\n4,d{end}");
        let bad = "3@11 not a CSV record: a quote does not end";
        assert_eq!(skip(&csv(), &columns, &text), ["1|a", "3|c", "4|d", bad]);
        let stops = read(&csv(), &wanted(&columns), OnError::Fail, text.as_bytes(), 1 << 20);
        assert_eq!(stops[0], "1|a");
        assert_eq!(stops.len(), 2);
    }
    let text = "id,txt\r1,a\r2,\"unclosed\r3,c\r";
    assert_eq!(skip(&csv(), &columns, text)[..2], ["1|a", "3|c"]);
}

#[test]
fn text_behind_a_closing_quote_takes_no_line_with_it() {
    let columns = schema(&[("a", DataType::Int32), ("b", DataType::Utf8), ("c", DataType::Utf8)]);
    let text = "a,b,c\n1,x,y\n2,\"st\"ray,\"open\n3,x,\"y\"\n4,\"st\"ray,\"open\n5,x,y\"\n6,\"st\"ray,\"\"\"\n7,x,y";
    let inside = |place: &str| format!("{place} not a CSV record: a quote ends in the middle of a field");
    let rows = ["1|x|y", "3|x|y", "5|x|y\"", "7|x|y"].map(String::from);
    let bad = ["3@12", "5@36", "7@59"].map(inside);
    assert_eq!(skip(&csv(), &columns, text), [&rows[..], &bad].concat());
}

#[test]
fn a_carriage_return_ends_a_comment() {
    let columns = schema(&[("a", DataType::Utf8), ("b", DataType::Int32)]);
    for ragged in [false, true] {
        let format = Format::Csv(CsvFormat {
            header: false,
            comment: Some(b'#'),
            ragged,
            ..CsvFormat::default()
        });
        for text in [
            "a,1\r#c\rb,2\r",
            "#\",\"\ra,1\r#c\"\r#d\rb,2",
            "a,1\r#c\r\rb,2\r#",
            "#\r\na,1\r\n#c\r\nb,2\r\n",
        ] {
            assert_eq!(
                skip(&format, &columns, text),
                ["a|1", "b|2"],
                "{text:?}, ragged {ragged}"
            );
        }
        let quoted = "\"a\r#\",1\r#c\r\"#\",2\r";
        assert_eq!(skip(&format, &columns, quoted), ["a\r#|1", "#|2"]);
    }
}

#[test]
fn an_empty_field_alone_is_a_row() {
    let columns = schema(&[("x", DataType::Int32)]);
    for nulls in ["", "NA"] {
        let ragged = CsvFormat {
            ragged: true,
            null_values: vec![nulls.into()],
            ..CsvFormat::default()
        };
        let bare = CsvFormat {
            quote: NO_QUOTE,
            ..ragged.clone()
        };
        assert_eq!(
            skip(&Format::Csv(ragged), &columns, "x\n,2\n\"\",3\n\n3\n4,5,6\n"),
            ["", "", "3", "4"]
        );
        assert_eq!(skip(&Format::Csv(bare), &columns, "x\n,2\n\n3\n,"), ["", "3", ""]);
    }
}

#[test]
fn a_byte_order_mark_within_the_text_is_text() {
    let columns = schema(&[("a", DataType::Utf8), ("b", DataType::Int32)]);
    let text = "\u{feff}a,b\nx,1\n\u{feff}y,2\n\u{feff}";
    assert_eq!(
        skip(&csv(), &columns, text),
        ["x|1", "\u{feff}y|2", "4@18 1 field where 2 belong"]
    );
}

#[test]
fn bytes_that_are_not_utf8_are_no_quotes() {
    let bare = Format::Csv(CsvFormat {
        header: false,
        quote: NO_QUOTE,
        ..CsvFormat::default()
    });
    let columns = schema(&[("s", DataType::Utf8)]);
    let text = b"a\n\xffb\nc\n\xffd\xff\n";
    for block_bytes in [1, 1 << 20] {
        let got = read(&bare, &wanted(&columns), OnError::Skip, text, block_bytes);
        let bad = ["2@2", "4@7"].map(|place| format!("{place} byte 1 of the line is not UTF-8"));
        assert_eq!(got, [&["a", "c"].map(String::from)[..], &bad].concat());
    }
}

#[test]
fn what_is_lost_with_a_quote_is_bounded() {
    let columns = schema(&[("a", DataType::Int32), ("b", DataType::Utf8)]);
    let line = format!("1,{}\n", "x".repeat(1000));
    let lines = |bytes: usize| line.repeat(bytes / line.len());
    // Longer than a field in quotes may be, with and without another quote at the end.
    let text = format!("2,\"open\n{}3,\"y\"\n4,z\"\n5,w\n", lines(17 << 20));
    let format = Format::Csv(CsvFormat {
        header: false,
        ..CsvFormat::default()
    });
    let mut blocks = BlockReader::new(Box::new(Cursor::new(text.as_bytes().to_vec())), format.rule());
    let first = blocks.next_block().unwrap().unwrap();
    assert_eq!(first.bytes, b"2,\"open\n");
    let longest = std::iter::from_fn(|| blocks.next_block().unwrap()).map(|block| block.bytes.len());
    assert!(longest.max().unwrap() <= 1 << 20);
    // As one block it gives the same.
    for block_bytes in [1 << 20, 1 << 25] {
        let got = read(&format, &wanted(&columns), OnError::Skip, text.as_bytes(), block_bytes);
        assert_eq!(got.len(), (17 << 20) / line.len() + 4);
        assert_eq!(got.last().unwrap(), "1@0 not a CSV record: a quote does not end");
    }
    // A line of that length too is a bad record, and no more than that.
    let text = format!("1,\"{}\"\n5,w\n", "x".repeat(17 << 20));
    let got = read(&format, &wanted(&columns), OnError::Skip, text.as_bytes(), 1 << 20);
    assert_eq!(got, ["5|w", "1@0 not a CSV record: a quote does not end"]);
}

#[test]
fn csv_null_value_and_missing_column() {
    let columns = schema(&[("a", DataType::Int32), ("b", DataType::Utf8)]);
    let format = Format::Csv(CsvFormat {
        header: false,
        delimiter: b';',
        null_values: vec!["NA".into()],
        ..CsvFormat::default()
    });
    assert_eq!(skip(&format, &columns, "1;NA\nNA;\n;x\n"), ["1|", "|", "|x"]);
    let error = RowDecoder::new(&csv(), &wanted(&columns), Some(b"aa,b\n"), OnError::Fail, "x.csv")
        .err()
        .unwrap();
    assert!(
        error
            .message
            .starts_with("x.csv: column `a` is not in the header, which has: aa, b"),
        "{error}"
    );
}

#[test]
fn ragged_records_are_filled_and_cut() {
    let columns = schema(&[("a", DataType::Utf8), ("b", DataType::Int32), ("c", DataType::Utf8)]);
    let text = "1,2\n3,4,x,5,6\n\n7\n\"y\nz\",8,\"q,r\",9\r\n,,";
    for nulls in [vec![""], vec!["NA"], vec!["-", "N\"A"]] {
        let ragged = Format::Csv(CsvFormat {
            header: false,
            ragged: true,
            null_values: nulls.iter().map(|null| null.to_string()).collect(),
            ..CsvFormat::default()
        });
        let got = read(&ragged, &wanted(&columns), OnError::Fail, text.as_bytes(), 1 << 20);
        assert_eq!(got, ["1|2|", "3|4|x", "7||", "y\nz|8|q,r", "||"], "{nulls:?}");
        assert_eq!(read(&ragged, &wanted(&columns), OnError::Fail, text.as_bytes(), 1), got);
    }
}

#[test]
fn a_comment_at_the_end_is_no_record() {
    let columns = schema(&[("a", DataType::Int32), ("b", DataType::Utf8)]);
    for ragged in [false, true] {
        let format = Format::Csv(CsvFormat {
            header: false,
            comment: Some(b'#'),
            ragged,
            ..CsvFormat::default()
        });
        for text in ["1,x\n# end", "1,x\r# end", "1,x\n#", "# begin\n1,x"] {
            assert_eq!(skip(&format, &columns, text), ["1|x"], "{text:?}, ragged {ragged}");
        }
    }
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
fn without_quotes_what_cannot_be_told_is_not_written() {
    let bare = Format::Csv(CsvFormat {
        quote: NO_QUOTE,
        ..CsvFormat::default()
    });
    let columns = schema(&[("s", DataType::Utf8)]);
    let batch =
        |text: &str| RecordBatch::try_new(columns.clone(), vec![Arc::new(StringArray::from(vec![text]))]).unwrap();
    let mut encoder = Encoder::new(&bare, columns.clone(), Vec::new()).unwrap();
    encoder.write(&batch("a \"quoted\" word")).unwrap();
    let error = encoder.write(&batch("a,b")).unwrap_err();
    assert!(
        error.message.contains("column `s`: \"a,b\" holds the delimiter"),
        "{error}"
    );
    let written = String::from_utf8(encoder.finish().unwrap()).unwrap();
    assert_eq!(skip(&bare, &columns, &written), ["a \"quoted\" word"]);
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

/// Texts that mean something to a CSV, and some that do not.
fn texts() -> impl Strategy<Value = Vec<Option<String>>> {
    let piece = prop::sample::select(vec![
        "a", "b c", "", ",", ";", "\"", "'", "\\", "\n", "\r\n", "\r", "#", "NA", "é", "#x", "\\N",
    ]);
    let text = prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat());
    // An empty text is NULL where NULL is written as one.
    let text = text.prop_map(|text| {
        if text.is_empty() || text == "NIL" {
            "x".to_string()
        } else {
            text
        }
    });
    prop::collection::vec(prop::option::weighted(0.8, text), 1..20)
}

fn variants() -> impl Strategy<Value = CsvFormat> {
    let (delimiters, quotes) = (
        prop::sample::select(b",;".to_vec()),
        prop::sample::select(b"\"'".to_vec()),
    );
    let escapes = prop::sample::select(vec![None, Some(b'\\')]);
    let comments = prop::sample::select(vec![None, Some(b'#')]);
    let nulls = prop::sample::select(vec!["", "NIL"]);
    (
        delimiters,
        quotes,
        escapes,
        comments,
        nulls,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(delimiter, quote, escape, comment, null, header, ragged)| CsvFormat {
            header,
            delimiter,
            quote,
            escape,
            comment,
            null_values: vec![null.to_string()],
            ragged,
            ..CsvFormat::default()
        })
}

proptest! {
    #[test]
    fn what_is_written_as_csv_is_read_again(texts in texts(), csv in variants()) {
        let columns = schema(&[("a", DataType::Utf8), ("n", DataType::Int64), ("b", DataType::Utf8)]);
        let strings = |skip: usize| Arc::new(texts.iter().cycle().skip(skip).take(texts.len()).cloned().collect::<StringArray>());
        let numbers: Int64Array = (0..texts.len() as i64).map(|n| (n % 3 > 0).then_some(n)).collect();
        let batch = RecordBatch::try_new(columns.clone(), vec![strings(0), Arc::new(numbers), strings(1)]).unwrap();
        let format = Format::Csv(csv);
        let mut encoder = Encoder::new(&format, columns.clone(), Vec::new()).unwrap();
        encoder.write(&batch).unwrap();
        let bytes = encoder.finish().unwrap();
        for block_bytes in [1, 7, 1 << 20] {
            prop_assert_eq!(read(&format, &wanted(&columns), OnError::Fail, &bytes, block_bytes), rows(&batch));
        }
    }

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
