//! What the decoder of JSON lets pass and must not: texts that are no JSON, and such as nest too deep.
//!
//! Owns: commas that are too many or too few, numbers that begin with a needless zero, what looks like a number where text
//! belongs and is none, and the depth of nesting, for which the decoder, when it shows a value, takes room on the stack.
//! Does **not** guarantee: that every such line is found, or anything else about a text. Reads only lines that may be
//! wrong, told by a few bytes that stand together.

use super::json_text::{parts, string_end};
use super::records::line_length;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

/// How deep objects and lists may lie in each other: as deep as where columns are told from JSON, and beyond what
/// people write.
pub const DEPTH_MAX: usize = 128;

/// Errors: a line is broken, or nests too deep.
pub fn check(lines: &[u8]) -> Result<(), ArrowError> {
    let in_doubt = may_be_broken(lines);
    let mut rest = lines;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(line_length(rest));
        rest = after;
        if (in_doubt || may_be_deep(line))
            && let Some(fault) = fault(line)
        {
            return Err(ArrowError::JsonError(fault.into()));
        }
    }
    Ok(())
}

/// What is wrong with a line, if the decoder would not tell.
pub fn fault(line: &[u8]) -> Option<&'static str> {
    let (mut at, mut depth, mut last) = (0, 0usize, 0);
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' if matches!(last, b'"' | b'}' | b']') || last.is_ascii_alphanumeric() => {
                return Some("a comma is missing");
            }
            b'"' => {
                // One that does not end is for the decoder to tell.
                at = string_end(line, at)?;
                last = byte;
                continue;
            }
            b'{' | b'[' if depth == DEPTH_MAX => return Some("objects and lists lie in each other more than 128 deep"),
            b'{' | b'[' => depth += 1,
            b',' if matches!(last, b',' | b'{' | b'[' | b':') => return Some("a comma stands where a value belongs"),
            b'}' | b']' if last == b',' => return Some("a comma stands before the end of an object or list"),
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'0' if matches!(last, b':' | b',' | b'[' | b'-') && line.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                return Some("a number begins with a needless zero");
            }
            _ => {}
        }
        at += 1;
        // The sign of an exponent may stand before a zero.
        let exponent = byte == b'-' && matches!(last, b'e' | b'E');
        if !byte.is_ascii_whitespace() && !exponent {
            last = byte;
        }
    }
    None
}

/// Errors: what stands in a text column, `columns` being a struct of those, looks like a number and is none.
pub fn check_numbers(lines: &[u8], columns: &DataType) -> Result<(), ArrowError> {
    let mut rest = lines;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(line_length(rest));
        rest = after;
        if broken_number(line).is_some() && bad_number(line, columns).is_some() {
            return Err(ArrowError::JsonError("a number is broken".into()));
        }
    }
    Ok(())
}

/// The first that looks like a number and is none, in what a value of type `to` has of text.
pub fn bad_number<'v>(value: &'v [u8], to: &DataType) -> Option<&'v [u8]> {
    match to {
        DataType::Utf8 => broken_number(value),
        _ => parts(value, to)
            .into_iter()
            .find_map(|(place, to)| bad_number(&value[place], to)),
    }
}

/// The first that looks like a number and is none, outside strings.
fn broken_number(text: &[u8]) -> Option<&[u8]> {
    let of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at)?,
            b'-' | b'0'..=b'9' => {
                let length = text[at..].iter().take_while(|byte| of_number(byte)).count();
                let number = &text[at..at + length];
                if !is_number(number) {
                    return Some(number);
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

/// A number as JSON has it.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || whole > 1 && rest[0] == b'0' {
        return false;
    }
    rest = &rest[whole..];
    if let Some(behind) = rest.strip_prefix(b".") {
        let fraction = digits(behind);
        if fraction == 0 {
            return false;
        }
        rest = &behind[fraction..];
    }
    if let [b'e' | b'E', behind @ ..] = rest {
        let signed = behind.strip_prefix(b"-").or(behind.strip_prefix(b"+"));
        let power = signed.unwrap_or(behind);
        return !power.is_empty() && digits(power) == power.len();
    }
    rest.is_empty()
}

/// Whether a line has so many beginnings that they may lie in each other too deep.
fn may_be_deep(line: &[u8]) -> bool {
    // Both brackets are the same but for one bit.
    let begins = |byte: &u8| u8::from(byte | 0x20 == b'{');
    let count = |bytes: &[u8]| usize::from(bytes.iter().map(begins).sum::<u8>());
    line.len() > DEPTH_MAX && line.chunks(usize::from(u8::MAX)).map(count).sum::<usize>() > DEPTH_MAX
}

/// Whether a comma too many or too few, or a needless zero, may be among the bytes. Has no branches, so that many bytes are
/// looked at at once.
fn may_be_broken(bytes: &[u8]) -> bool {
    let Some(count) = bytes.len().checked_sub(3) else {
        return false;
    };
    let from = |at: usize| &bytes[at..at + count];
    let (first, second, third, fourth) = (from(0), from(1), from(2), from(3));
    // Where three bytes hold a comma, none of them is a value.
    let mut found = bytes[..3].contains(&b',');
    for at in 0..count {
        let (a, b, c, d) = (first[at], second[at], third[at], fourth[at]);
        let ends = (d == b'}') | (d == b']');
        let comma = (c == b',') | (c == b' ') & (b == b',');
        let zero = (c == b'0') & d.is_ascii_digit();
        let apart = (a == b':') | (a == b',') | (a == b'[') | (a == b' ');
        // A colon within a text is that of a time, most often.
        let begins = (b == b',') | (b == b'[') | (b == b':') & (a == b'"') | ((b == b' ') | (b == b'-')) & apart;
        let opens = |byte: u8| (byte == b',') | (byte == b'{') | (byte == b'[') | (byte == b':');
        let early = (d == b',') & (opens(c) | (c == b' ') & opens(b));
        // An empty text, and one that ends with a digit, look like a text behind another without the space.
        let missing = (d == b'"') & (c == b' ') & (b.is_ascii_digit() | (b == b'"') | (b == b'}') | (b == b']'));
        found |= ends & comma | zero & begins | early | missing;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_decoder_lets_pass_is_found() {
        for line in [
            r#"{"a":1,}"#,
            r#"{"a":1 , }"#,
            r#"{"a":[1,2,],"b":"x"}"#,
            r#"{"a":[1,,2]}"#,
            r#"{ ,"a":1}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":"x" "b":2}"#,
            r#"{"a":01}"#,
            r#"{"a": 01}"#,
            r#"{"a":-01}"#,
            r#"{"a": -00.5}"#,
            r#"{"l":[01]}"#,
            r#"{"l":[1, 01]}"#,
            r#"{"l":[1,-01]}"#,
        ] {
            for lines in [line.to_string(), format!("{{\"a\":1}}\n{line}\n{{\"a\":2}}\n")] {
                assert!(check(lines.as_bytes()).is_err(), "{lines}");
            }
        }
        for line in [
            r#"{"a":0,"b":-0,"c":0.5,"d":1e-05,"e":10,"f":[0,100]}"#,
            r#"{"t":"01:00:05 ,} ,05 [01] \",}","u":"2024-01-01 00:00:00"}"#,
            r#"{"t":[],"u":{}}"#,
            r#"{ "t" : " " , "u" : ["", " 1 ", "a,,b"] , "v" : null }"#,
        ] {
            assert!(check(line.as_bytes()).is_ok(), "{line}");
        }
    }

    #[test]
    fn numbers_are_those_of_json() {
        for text in ["0", "-0", "10", "1.5", "-0.25", "1e5", "1E+05", "2.50e-7"] {
            assert!(is_number(text.as_bytes()), "{text}");
        }
        for text in [
            "", "-", "01", "-01", "1.", ".5", "1.5.5", "1e", "1e+", "1-2", "1.e5", "+1", "1e5.0", "1 ",
        ] {
            assert!(!is_number(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}\n", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(check(nested(DEPTH_MAX).as_bytes()).is_ok());
        for depth in [DEPTH_MAX + 1, 1000, 100_000] {
            assert!(check(nested(depth).as_bytes()).is_err(), "{depth}");
        }
        let wide = format!("{{\"a\":[{}]}}\n", "[],".repeat(1000) + "{}");
        assert!(check(wide.as_bytes()).is_ok());
        assert!(check(format!("{{\"a\":\"{}\"}}\n", "[".repeat(1000)).as_bytes()).is_ok());
    }
}
