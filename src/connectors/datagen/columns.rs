//! The values of one column: a function of the row's number.

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringBuilder, UInt64Array, make_array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use std::ops::Range;
use std::sync::Arc;

/// The golden ratio as a step over 64 bits: neighbouring rows get far apart states (Steele et al., SplitMix).
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Takes the question whether a value is NULL apart from what it is.
const NULL_SALT: u64 = 0x6E75_6C6C;

/// How a column is made.
pub struct Column {
    pub data_type: DataType,
    pub values: Values,
    /// Of the seed and the column's name.
    pub salt: u64,
    /// A row is NULL when its number for that is at most this.
    pub null_at_most: Option<u64>,
}

/// How values are made. Whole numbers stand for what the type counts: units of time, days, the last digit of a decimal.
pub enum Values {
    Random {
        min: i128,
        max: i128,
    },
    RandomFloat {
        min: f64,
        max: f64,
    },
    RandomBool,
    /// So many small letters.
    RandomText {
        length: usize,
    },
    /// `start`, `start + step` …, so many, and from the start again.
    Sequence {
        start: i128,
        step: i128,
        count: u64,
    },
    /// The same of numbers with fractions.
    FloatSequence {
        start: f64,
        step: f64,
        count: u64,
    },
}

impl Column {
    /// The values of some rows.
    pub fn array(&self, rows: Range<u64>) -> Result<ArrayRef, ArrowError> {
        let values: ArrayRef = match self.values {
            Values::Random { min, max } => self.whole(rows.clone().map(|row| self.between(row, min, max)))?,
            Values::Sequence { start, step, count } => {
                // `count` is such that the last value is one of the type.
                self.whole(rows.clone().map(|row| start + step * i128::from(row % count)))?
            }
            Values::RandomFloat { min, max } => {
                // The width of all numbers is none itself.
                let value = |unit: f64| match (max - min).is_finite() {
                    true => min + unit * (max - min),
                    false => min * (1.0 - unit) + max * unit,
                };
                self.floats(rows.clone().map(|row| value(self.unit(row)).clamp(min, max)))?
            }
            Values::FloatSequence { start, step, count } => {
                self.floats(rows.clone().map(|row| start + step * (row % count) as f64))?
            }
            Values::RandomBool => Arc::new(
                rows.clone()
                    .map(|row| Some(self.number(row) & 1 == 1))
                    .collect::<BooleanArray>(),
            ),
            Values::RandomText { length } => self.text(rows.clone(), length),
        };
        let Some(limit) = self.null_at_most else {
            return Ok(values);
        };
        let is_value = rows.map(|row| mix(self.number(row) ^ NULL_SALT) > limit);
        let nulls = NullBuffer::from_iter(is_value);
        Ok(make_array(values.to_data().into_builder().nulls(Some(nulls)).build()?))
    }

    /// Whole numbers as values of the type.
    fn whole(&self, values: impl Iterator<Item = i128>) -> Result<ArrayRef, ArrowError> {
        match &self.data_type {
            DataType::Decimal128(precision, scale) => {
                let decimals = Decimal128Array::from_iter_values(values);
                Ok(Arc::new(decimals.with_precision_and_scale(*precision, *scale)?))
            }
            DataType::UInt64 => Ok(Arc::new(UInt64Array::from_iter_values(
                values.map(|value| value as u64),
            ))),
            DataType::Date32 => {
                let days = cast(&whole_numbers(values), &DataType::Int32)?;
                cast(&days, &DataType::Date32)
            }
            other => cast(&whole_numbers(values), other),
        }
    }

    fn floats(&self, values: impl Iterator<Item = f64>) -> Result<ArrayRef, ArrowError> {
        cast(&Float64Array::from_iter_values(values), &self.data_type)
    }

    fn text(&self, rows: Range<u64>, length: usize) -> ArrayRef {
        let count = (rows.end - rows.start) as usize;
        let mut texts = StringBuilder::with_capacity(count, count.saturating_mul(length));
        let mut text = String::with_capacity(length);
        for row in rows {
            text.clear();
            let mut state = self.number(row);
            let mut left = state;
            for at in 0..length {
                // 26^12 is below 2^64: twelve letters of one number.
                if at > 0 && at % 12 == 0 {
                    state = mix(state.wrapping_add(STEP));
                    left = state;
                }
                text.push(char::from(b'a' + (left % 26) as u8));
                left /= 26;
            }
            texts.append_value(&text);
        }
        Arc::new(texts.finish())
    }

    fn between(&self, row: u64, min: i128, max: i128) -> i128 {
        // As wide as the type may be, which is more than it holds itself.
        let width = max.wrapping_sub(min) as u128 + 1;
        let number = u128::from(self.number(row));
        let above = match width <= 1 << 64 {
            true => (number * width) >> 64,
            // The first numbers are more likely than the last by one part in ten or less.
            false => (number << 64 | u128::from(mix(self.number(row).wrapping_add(STEP)))) % width,
        };
        min.wrapping_add(above as i128)
    }

    /// From 0 up to 1, without 1.
    fn unit(&self, row: u64) -> f64 {
        (self.number(row) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn number(&self, row: u64) -> u64 {
        mix(self.salt.wrapping_add(row.wrapping_mul(STEP)))
    }
}

fn whole_numbers(values: impl Iterator<Item = i128>) -> Int64Array {
    Int64Array::from_iter_values(values.map(|value| value as i64))
}

/// What makes the numbers of a column its own.
pub fn salt(seed: u64, name: &str) -> u64 {
    name.bytes().fold(mix(seed), |salt, byte| mix(salt ^ u64::from(byte)))
}

/// The output function of SplitMix64: every bit of the input moves every bit of the output.
fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}
