//! JSON lines: what is an object, and what its values become.

use super::*;

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
fn what_looks_like_a_number_and_is_none_is_no_text() {
    let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    let columns = schema(&[("s", DataType::Utf8), ("l", list)]);
    let good =
        "{\"s\": 1.50, \"l\": [true, -1E+5]}\n{\"s\": \"1.5.5\", \"l\": [\"1e\"], \"z\": 1-2}\n{\"s\": {\"a\": 0.1}}\n";
    let format = Format::Json(JsonFormat::default());
    let wanted_rows = ["1.50|[true, -1E+5]", "1.5.5|[1e]", "{\"a\": 0.1}|"];
    assert_eq!(skip(&format, &columns, good), wanted_rows);
    for (bad, number) in [
        ("{\"s\": 1.5.5}", "1.5.5"),
        ("{\"s\": 1e}", "1e"),
        ("{\"l\": [1, -]}", "-"),
        ("{\"s\": {\"a\": [2024-1-1]}}", "2024-1-1"),
    ] {
        let why = format!("broken JSON: {number} is no number");
        let text = format!("{good}{bad}\n");
        let got = skip(&format, &columns, &text);
        assert_eq!(got[..3], wanted_rows);
        assert!(got[3].ends_with(&why), "{got:?}");
        assert!(skip(&format, &columns, bad)[0].ends_with(&why), "alone it is as bad");
    }
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
