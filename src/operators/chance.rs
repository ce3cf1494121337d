//! `random()` and `uuid()` as hashes of the place of a row, and the name under which `now()` is planned.
//!
//! `plan::chance` puts them where users write `random()`, `uuid()` and `now()`. A number is made of (seed, call site,
//! split, offset in the split), so it is the same in every replay, for every cut and every number of partitions.
//! `__clock()` is a name only: `plan::clock` puts a column in its place.

use crate::dstream::nodes::{CLOCK_FUNCTION, RANDOM_FUNCTION, UUID_FUNCTION};
use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::fmt::Write;
use std::sync::Arc;

/// What is registered in every session.
pub fn functions() -> [ScalarUDF; 3] {
    let placed = |uuid| Placed {
        signature: Signature::exact(vec![DataType::Int64; 4], Volatility::Immutable),
        uuid,
    };
    [
        ScalarUDF::from(placed(false)),
        ScalarUDF::from(placed(true)),
        ScalarUDF::from(Clock {
            // Not to be folded, merged or moved: where it stands says which interval's clock it is.
            signature: Signature::nullary(Volatility::Volatile),
            aliases: vec!["proctime".to_string()],
        }),
    ]
}

/// `__random(seed, site, split, offset)` and `__uuid(…)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Placed {
    signature: Signature,
    uuid: bool,
}

impl ScalarUDFImpl for Placed {
    fn name(&self) -> &str {
        if self.uuid { UUID_FUNCTION } else { RANDOM_FUNCTION }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.uuid { DataType::Utf8 } else { DataType::Float64 })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let [seed, site, split, offset] = &columns[..] else {
            return plan_err!("{} takes four numbers", self.name());
        };
        let [seed, site, split, offset]: [&Int64Array; 4] =
            [seed, site, split, offset].map(|c| c.as_primitive::<Int64Type>());
        let hashes = (0..rows).map(|row| hash([seed, site, split, offset].map(|c| c.value(row) as u64)));
        let values: ArrayRef = match self.uuid {
            false => Arc::new(Float64Array::from_iter_values(hashes.map(unit))),
            true => Arc::new(uuids(rows, hashes)?),
        };
        match constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)),
            false => Ok(ColumnarValue::Array(values)),
        }
    }
}

/// From 0 (included) to 1: the upper 53 bits, as many as a float of that size tells apart.
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// RFC 9562, version 4: 122 random bits, the rest says what it is.
fn uuids(rows: usize, hashes: impl Iterator<Item = u64>) -> Result<datafusion::arrow::array::StringArray> {
    const LENGTH: usize = 36;
    let mut texts = StringBuilder::with_capacity(rows, rows * LENGTH);
    for high in hashes {
        let low = mixed(high ^ 0xA5A5_A5A5_5A5A_5A5A);
        let high = (high & !0xF000) | 0x4000;
        let low = (low & (u64::MAX >> 2)) | (1 << 63);
        write!(
            texts,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0xFFFF,
            low >> 48,
            low & 0xFFFF_FFFF_FFFF
        )
        .map_err(|e| datafusion::common::DataFusionError::Execution(e.to_string()))?;
        texts.append_value("");
    }
    Ok(texts.finish())
}

/// Each part goes through a full mix, so that neighbouring rows, splits and seeds have nothing in common.
fn hash(parts: [u64; 4]) -> u64 {
    parts.into_iter().fold(0x9E37_79B9_7F4A_7C15, |hash, part| {
        mixed(hash ^ mixed(part.wrapping_add(hash)))
    })
}

/// SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014).
fn mixed(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `__clock()`: the recorded clock of the interval, as `now()` gives it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Clock {
    signature: Signature,
    aliases: Vec<String>,
}

impl ScalarUDFImpl for Clock {
    fn name(&self) -> &str {
        CLOCK_FUNCTION
    }

    /// Flink's name for the time at which a row arrives.
    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Nanosecond, None))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        plan_err!("now() cannot be computed here: write it in the SELECT of the whole query")
    }
}
