//! Numbers that are too large for their column: the decoders make them infinite, which only a text without digits means.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};

/// Whether a column holds an infinite number.
pub fn has_infinite(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Float32 => column
            .as_primitive::<Float32Type>()
            .values()
            .iter()
            .any(|n| n.is_infinite()),
        DataType::Float64 => column
            .as_primitive::<Float64Type>()
            .values()
            .iter()
            .any(|n| n.is_infinite()),
        _ => false,
    }
}

/// Whether all numbers that are infinite are so in the texts that they were decoded from, too.
pub fn are_infinite(numbers: &ArrayRef, texts: &ArrayRef) -> bool {
    let texts = texts.as_string::<i32>().iter();
    let has_digits = |text: Option<&str>| text.is_some_and(|text| text.bytes().any(|byte| byte.is_ascii_digit()));
    let Ok(numbers) = cast(numbers, &DataType::Float64) else {
        return false;
    };
    let mut both = numbers.as_primitive::<Float64Type>().iter().zip(texts);
    !both.any(|(number, text)| number.is_some_and(f64::is_infinite) && has_digits(text))
}
