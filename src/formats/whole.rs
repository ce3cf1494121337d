//! Whole numbers in JSON: a number with a fraction is no BIGINT, and the decoder would cut it silently.
//!
//! Owns: where such numbers stand. Guarantees: `1.0` and `1e3` are whole, `1.5` and `15e-1` are not. Does **not**
//! guarantee: anything about keys that are written with escapes. Looks at the few bytes that a fraction needs (`.`,
//! `e-`) and reads a line only where one of them may stand in a column of whole numbers.

use super::json_text::{RawField, elements, fields};
use super::records::line_length;
use super::{shorten, type_name};
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::arrow::error::ArrowError;
use memchr::{memchr2_iter, memrchr};

/// The columns of a table that hold whole numbers, in themselves or nested.
pub struct WholeNumbers {
    columns: Vec<FieldRef>,
    /// The keys before which a whole number belongs, at any depth, behind the quote that begins them.
    keys: Vec<Vec<u8>>,
    /// The bytes with which they end: most keys are told from them by that.
    ends: [bool; 256],
    /// Whole numbers stand in lists too.
    in_lists: bool,
    /// Whole numbers stand behind keys that nobody knows (maps).
    behind_any_key: bool,
}

impl WholeNumbers {
    /// `None`: no column holds whole numbers.
    pub fn of(schema: &Schema) -> Option<WholeNumbers> {
        let mut whole = WholeNumbers {
            columns: Vec::new(),
            keys: Vec::new(),
            ends: [false; 256],
            in_lists: false,
            behind_any_key: false,
        };
        for field in schema.fields() {
            if whole.note(field) {
                whole.columns.push(field.clone());
            }
        }
        (!whole.columns.is_empty()).then_some(whole)
    }

    /// Notes where whole numbers stand in a field; whether there are any.
    fn note(&mut self, field: &FieldRef) -> bool {
        match field.data_type() {
            DataType::Struct(inner) => inner.iter().fold(false, |any, inner| self.note(inner) | any),
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                let any = self.note(item);
                self.in_lists |= any;
                any
            }
            DataType::Map(entries, _) => {
                let any = self.note(entries);
                self.behind_any_key |= any;
                any
            }
            other if is_whole_type(other) => {
                let key = format!("\"{}", field.name()).into_bytes();
                self.ends[usize::from(key[key.len() - 1])] = true;
                self.keys.push(key);
                true
            }
            _ => false,
        }
    }

    /// Errors: a number with a fraction stands in a column of whole ones.
    pub fn check(&self, lines: &[u8]) -> Result<(), ArrowError> {
        let mut checked = 0;
        for at in memchr2_iter(b'.', b'-', lines) {
            let mark = match at.checked_sub(1).map(|before| lines[before]) {
                Some(b'e' | b'E') if lines[at] == b'-' => at - 1,
                _ if lines[at] == b'.' => at,
                _ => continue,
            };
            if mark < checked || !self.may_be_wrong(lines, mark) {
                continue;
            }
            let begin = memrchr(b'\n', &lines[..mark]).map_or(0, |end| end + 1);
            checked = mark + line_length(&lines[mark..]);
            self.check_line(&lines[begin..checked])?;
        }
        Ok(())
    }

    /// Whether a mark of a fraction may stand in a number of ours. Tells by what stands before it.
    fn may_be_wrong(&self, lines: &[u8], mark: usize) -> bool {
        if mark == 0 || !lines[mark - 1].is_ascii_digit() {
            return false;
        }
        let number = lines[..mark].iter().rev().take_while(is_of_number).count();
        let start = mark - number;
        let before = lines[..start].trim_ascii_end();
        let ours = match before.last() {
            Some(b'[' | b',') => self.in_lists,
            Some(b':') => self.is_behind_key(before[..before.len() - 1].trim_ascii_end()),
            _ => false,
        };
        let rest = lines[mark..].iter().take_while(is_of_number).count();
        ours && !is_whole(&lines[start..mark + rest])
    }

    fn is_behind_key(&self, before: &[u8]) -> bool {
        let Some(text) = before.strip_suffix(b"\"") else {
            return false;
        };
        let known = || self.keys.iter().any(|key| text.ends_with(key));
        self.behind_any_key || text.last().is_some_and(|end| self.ends[usize::from(*end)]) && known()
    }

    fn check_line(&self, line: &[u8]) -> Result<(), ArrowError> {
        // What is no object is for the decoder to tell.
        let found = fields(line).unwrap_or_default();
        for column in &self.columns {
            let name = column.name();
            let Some(value) = value_of(&found, line, name) else {
                continue;
            };
            if !fits(value, column.data_type()) {
                let (shown, wanted) = (shorten(value), type_name(column.data_type()));
                return Err(ArrowError::JsonError(format!(
                    "column `{name}`: {shown} is no {wanted}"
                )));
            }
        }
        Ok(())
    }
}

/// Types whose numbers are whole. DECIMAL has a fraction of its own.
pub fn is_whole_type(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Timestamp(_, _)
                | DataType::Date32
                | DataType::Date64
                | DataType::Time32(_)
                | DataType::Time64(_)
                | DataType::Duration(_)
        )
}

/// The value of a field of `object`; of several the last counts.
fn value_of<'a>(found: &[RawField], object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut backwards = found.iter().rev();
    let field = backwards.find(|field| &object[field.key.clone()] == name.as_bytes())?;
    Some(&object[field.value.clone()])
}

/// Whether a value has no fraction where the type has none.
fn fits(value: &[u8], data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(inner) => {
            let found = fields(value).unwrap_or_default();
            inner.iter().all(|field| {
                let own = value_of(&found, value, field.name());
                own.is_none_or(|own| fits(own, field.data_type()))
            })
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let found = elements(value).unwrap_or_default();
            found.into_iter().all(|element| fits(&value[element], item.data_type()))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return true;
            };
            let found = fields(value).unwrap_or_default();
            let mut values = found.iter().map(|f| &value[f.value.clone()]);
            pair.last()
                .is_none_or(|to| values.all(|value| fits(value, to.data_type())))
        }
        other => {
            let is_number = value.first().is_some_and(|byte| *byte == b'-' || byte.is_ascii_digit());
            !(is_number && is_whole_type(other)) || is_whole(value)
        }
    }
}

fn is_of_number(byte: &&u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E')
}

/// Whether a number, as JSON writes it, has no fraction.
fn is_whole(number: &[u8]) -> bool {
    let end = number.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = number.split_at(end.unwrap_or(number.len()));
    let exponent = std::str::from_utf8(exponent.get(1..).unwrap_or(b"")).unwrap_or("");
    let exponent: i64 = match exponent {
        "" => 0,
        // Far beyond what any mantissa makes up for.
        text => text
            .parse()
            .unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let (before, after) = mantissa.split_at(point.unwrap_or(mantissa.len()));
    let zeros = |digits: &[u8]| digits.iter().rev().take_while(|digit| **digit == b'0').count() as i64;
    let after = after.get(1..).unwrap_or(b"");
    let fraction = after.len() as i64 - zeros(after);
    if fraction > 0 {
        return fraction <= exponent;
    }
    let before = before.strip_prefix(b"-").unwrap_or(before);
    // Zero is whole, however it is scaled.
    zeros(before) == before.len() as i64 || exponent.saturating_add(zeros(before)) >= 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::{Field, Fields, TimeUnit};
    use std::sync::Arc;

    #[test]
    fn numbers_without_a_fraction_are_whole() {
        for whole in [
            "1",
            "-1",
            "1.0",
            "-12.00",
            "1e3",
            "1E3",
            "1.5e1",
            "10e-1",
            "0.0",
            "0e-9",
            "100.00e-2",
            "1e+2",
        ] {
            assert!(is_whole(whole.as_bytes()), "{whole}");
        }
        for broken in [
            "1.5",
            "-0.1",
            "15e-1",
            "1.25e1",
            "1e-1",
            "1e-99999999999999999999",
            "12.010",
        ] {
            assert!(!is_whole(broken.as_bytes()), "{broken}");
        }
    }

    #[test]
    fn fractions_are_found_where_whole_numbers_belong() {
        let item = Arc::new(Field::new("item", DataType::Int32, true));
        let inner = Fields::from(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("x", DataType::Float64, true),
        ]);
        let entries = Field::new("key", DataType::Utf8, false);
        let entries = Fields::from(vec![entries, Field::new("value", DataType::Int64, true)]);
        let entries = Arc::new(Field::new("entries", DataType::Struct(entries), false));
        let flat = Schema::new(vec![
            Field::new("a", DataType::Int8, true),
            Field::new("d", DataType::Float64, true),
            Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        ]);
        let nested = Schema::new(vec![
            Field::new("l", DataType::List(item), true),
            Field::new("s", DataType::Struct(inner), true),
            Field::new("m", DataType::Map(entries, false), true),
        ]);
        for (schema, line, column) in [
            (&flat, r#"{"a":1,"d":1.5,"at":1704067200000}"#, None),
            (&flat, r#"{"a":1.5}"#, Some("a")),
            (&flat, r#"{"a" : -15e-1 , "d":2}"#, Some("a")),
            (&flat, r#"{"d":0.5,"at":1704067200000.5}"#, Some("at")),
            (&flat, r#"{"a":1.0,"at":1.7e12,"d":1.25}"#, None),
            (&flat, r#"{"o":{"a":1.5},"a":1}"#, None),
            (&flat, r#"{"t":"\"a\":1.5","a":1,"u":"12:34:56.789"}"#, None),
            (&flat, r#"{"a":1.5,"a":1}"#, None),
            (&nested, r#"{"l":[1,2.5]}"#, Some("l")),
            (&nested, r#"{"l":[1, 2.0 ,3],"s":{"n":1,"x":2.5},"o":[1.5]}"#, None),
            (&nested, r#"{"s":{"x":1,"n":2.5}}"#, Some("s")),
            (&nested, r#"{"m":{"k":1.5}}"#, Some("m")),
            (&nested, r#"{"m":{"k":1},"o":{"k":1.5}}"#, None),
        ] {
            let lines = format!("{{\"a\":1,\"l\":[1]}}\n{line}\n{{\"a\":2}}\n");
            let found = WholeNumbers::of(schema).unwrap().check(lines.as_bytes()).err();
            let wanted = column.map(|name| format!("column `{name}`: "));
            match (found, wanted) {
                (None, None) => {}
                (Some(error), Some(wanted)) if error.to_string().contains(&wanted) => {}
                (found, _) => panic!("{line}: {found:?}"),
            }
        }
        let text = Schema::new(vec![Field::new("t", DataType::Utf8, true)]);
        assert!(WholeNumbers::of(&text).is_none());
    }
}
