//! DECIMALs from text: all digits that the column has room for, and rounded where it has not, as CAST does it.
//!
//! The decoders would cut what is too much behind the point, and know no times in a form of the user's own. So they give
//! such columns, and what is nested in others, as text ([`as_text`]), which becomes DECIMALs and times here
//! ([`from_text`]).

use super::{TimeFormats, type_name};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, ListArray, MapArray, StringArray, StructArray,
};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, i256};
use datafusion::arrow::error::ArrowError;
use std::sync::Arc;

/// The type with text in the place of each DECIMAL, and of each time that has a form of its own.
pub fn as_text(data_type: &DataType, times: &TimeFormats) -> DataType {
    let field = |field: &Field| field.clone().with_data_type(as_text(field.data_type(), times));
    match data_type {
        _ if times.of(data_type).is_some() => DataType::Utf8,
        DataType::Decimal128(..) | DataType::Decimal256(..) => DataType::Utf8,
        DataType::List(item) => DataType::List(Arc::new(field(item))),
        DataType::Struct(inner) => DataType::Struct(inner.iter().map(|inner| field(inner)).collect::<Fields>()),
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(field(entries)), *sorted),
        other => other.clone(),
    }
}

/// The values of a type that [`as_text`] has changed.
///
/// Errors: a text is no number, or has more digits before the point than its type; or it is no such time.
pub fn from_text(array: &ArrayRef, to: &DataType, times: &TimeFormats) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    Ok(match to {
        _ if times.of(to).is_some() => times.read(array, to)?,
        DataType::Decimal128(precision, scale) => {
            let values = decimals(array, *precision, *scale, i256::to_i128)?;
            Arc::new(Decimal128Array::from(values).with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Decimal256(precision, scale) => {
            let values = decimals(array, *precision, *scale, Some)?;
            Arc::new(Decimal256Array::from(values).with_precision_and_scale(*precision, *scale)?)
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let values = from_text(list.values(), item.data_type(), times)?;
            let nulls = list.nulls().cloned();
            Arc::new(ListArray::try_new(item.clone(), list.offsets().clone(), values, nulls)?)
        }
        DataType::Struct(fields) => Arc::new(inner(array.as_struct(), fields, times)?),
        DataType::Map(entries, sorted) => Arc::new(map(array.as_map(), entries, *sorted, times)?),
        _ => array.clone(),
    })
}

fn inner(array: &StructArray, fields: &Fields, times: &TimeFormats) -> Result<StructArray, ArrowError> {
    let columns = array.columns().iter().zip(fields);
    let columns = columns.map(|(column, field)| from_text(column, field.data_type(), times));
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
    StructArray::try_new_with_length(fields.clone(), columns, array.nulls().cloned(), array.len())
}

fn map(array: &MapArray, entries: &FieldRef, sorted: bool, times: &TimeFormats) -> Result<MapArray, ArrowError> {
    let DataType::Struct(pair) = entries.data_type() else {
        return Ok(array.clone());
    };
    let pairs = inner(array.entries(), pair, times)?;
    let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
    MapArray::try_new(entries.clone(), offsets, pairs, nulls, sorted)
}

fn decimals<T>(
    array: &ArrayRef,
    precision: u8,
    scale: i8,
    narrowed: impl Fn(i256) -> Option<T>,
) -> Result<Vec<Option<T>>, ArrowError> {
    let texts: &StringArray = array.as_string();
    let value = |text: &str| {
        let wrong = || {
            ArrowError::ParseError(format!(
                "{text} is no {}",
                type_name(&DataType::Decimal256(precision, scale))
            ))
        };
        unscaled(text, precision, scale).and_then(&narrowed).ok_or_else(wrong)
    };
    texts.iter().map(|text| text.map(value).transpose()).collect()
}

/// The number that a text holds, in units of the last digit of a DECIMAL, rounded half away from zero. `None`: it is no
/// number, or has more digits than the DECIMAL.
fn unscaled(text: &str, precision: u8, scale: i8) -> Option<i256> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = [whole, behind].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let zeros = digits.len() - digits.trim_start_matches('0').len();
    digits.drain(..zeros);
    // Where the number ends, counted from its first digit that is not zero.
    let end = i64::try_from(digits.len()).ok()? - i64::try_from(behind.len()).ok()? + exponent + i64::from(scale);
    if digits.is_empty() || end < 0 {
        return Some(i256::ZERO);
    }
    if end > i64::from(precision) {
        return None;
    }
    let end = end as usize;
    let rounds_up = digits.as_bytes().get(end).is_some_and(|digit| *digit >= b'5');
    digits.truncate(end);
    let kept = match i256::from_string(&format!("{digits:0<end$}")) {
        Some(kept) => kept,
        None if end == 0 => i256::ZERO,
        None => return None,
    };
    let size = if rounds_up { kept.checked_add(i256::ONE)? } else { kept };
    let limit = i256::from_i128(10).checked_pow(u32::from(precision))?;
    (size < limit).then(|| if negative { size.wrapping_neg() } else { size })
}

/// A whole number, far beyond all digits if it does not fit.
fn exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| sign * digits.parse::<i64>().unwrap_or(i64::MAX).min(i64::MAX >> 1))
}

#[cfg(test)]
mod tests {
    use super::unscaled;

    #[test]
    fn what_does_not_fit_behind_the_point_is_rounded() {
        for (text, wanted) in [
            ("1.239", Some("124")),
            ("-1.235", Some("-124")),
            ("1.2349999999999999999999999999999999999999999999999999", Some("123")),
            ("999.99", Some("99999")),
            ("999.994", Some("99999")),
            ("999.995", None),
            ("1000", None),
            ("0001.5", Some("150")),
            ("+1", Some("100")),
            ("1.", Some("100")),
            (".5", Some("50")),
            ("0.005", Some("1")),
            ("-0.004", Some("0")),
            ("5e-3", Some("1")),
            ("4e-3", Some("0")),
            ("1.5e2", Some("15000")),
            ("1e3", None),
            ("0e99999999999999999999", Some("0")),
            ("1e-99999999999999999999", Some("0")),
            ("12e99999999999999999999", None),
            ("", None),
            (".", None),
            ("-", None),
            ("1e", None),
            ("1 ", None),
            ("1.5.2", None),
            ("--1", None),
            ("1e1.5", None),
        ] {
            let found = unscaled(text, 5, 2).map(|value| value.to_string());
            assert_eq!(found.as_deref(), wanted, "{text}");
        }
        let most = "9".repeat(76);
        assert_eq!(unscaled(&most, 76, 0).map(|value| value.to_string()), Some(most));
    }
}
