//! CSV: quotes, comments and fields, kept, lost and too many.

use super::*;

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
fn what_null_is_written_as_is_text_in_quotes() {
    let columns = schema(&[("a", DataType::Utf8), ("b", DataType::Int32)]);
    let format = CsvFormat {
        header: false,
        null_values: vec!["NA".into(), "-".into(), "x,y".into()],
        ..CsvFormat::default()
    };
    let text = "NA,1\n\n\"NA\",\"NA\"\n\"-\",-\n\"x,y\",2\n\"a\"\"NA\",3\n";
    let rows = ["|1", "NA|", "-|", "|2", "a\"NA|3"];
    assert_eq!(skip(&Format::Csv(format.clone()), &columns, text), rows);
    let texts = || Arc::new(StringArray::from(vec![Some("NA"), Some("-"), None, Some("")]));
    let written = |format: &CsvFormat| -> Result<String> {
        let columns = schema(&[("a", DataType::Utf8)]);
        let mut encoder = Encoder::new(&Format::Csv(format.clone()), columns.clone(), Vec::new())?;
        encoder.write(&RecordBatch::try_new(columns, vec![texts()]).unwrap())?;
        Ok(String::from_utf8(encoder.finish()?).unwrap())
    };
    assert_eq!(written(&format).unwrap(), "\"NA\"\n\"-\"\nNA\n\"\"\n");
    let refused = |null: &str, quote: u8| {
        let null_values = vec![null.to_string()];
        written(&CsvFormat {
            null_values,
            quote,
            ..format.clone()
        })
        .err()
        .unwrap()
        .message
    };
    assert!(refused("NA", NO_QUOTE).contains("column `a`: \"NA\" is what NULL is written as"));
    assert!(refused("", NO_QUOTE).contains("an empty line is no record"));
    assert!(refused("x,y", b'"').contains("would have to be quoted, as text is"));
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

/// Texts that mean something to a CSV, and some that do not.
fn texts() -> impl Strategy<Value = Vec<Option<String>>> {
    let piece = prop::sample::select(vec![
        "a", "b c", "", ",", ";", "\"", "'", "\\", "\n", "\r\n", "\r", "#", "NA", "é", "#x", "\\N", "NIL",
    ]);
    let text = prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat());
    // An empty text is NULL where NULL is written as one.
    let text = text.prop_map(|text| match text.is_empty() {
        true => "x".to_string(),
        false => text,
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
}
