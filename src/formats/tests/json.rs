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
            "5@50 not a JSON object",
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
