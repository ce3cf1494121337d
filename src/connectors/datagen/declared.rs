//! A declaration to columns that can be made: what the options mean for each type, and what is wrong with them.

use super::super::{Fault, Subject};
use super::columns::{Column, Values, salt};
use crate::config::parse_duration_ns;
use crate::dstream::table::{TableSpec, unit_ns};
use crate::error::Diagnostic;
use crate::formats::type_name;
use datafusion::arrow::compute::kernels::cast_utils::{parse_decimal, string_to_timestamp_nanos};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, TimeUnit};

const DAY_NS: i64 = 86_400_000_000_000;

/// 2024, in which random times lie and sequences of times begin when nothing is said.
const YEAR_BEGIN_NS: i64 = 1_704_067_200_000_000_000;
const YEAR_END_NS: i64 = YEAR_BEGIN_NS + 366 * DAY_NS - 1;

/// A table as it was declared.
pub struct Declared {
    pub columns: Vec<Column>,
    /// `None`: without end.
    pub rows: Option<u64>,
    pub rate: Option<u64>,
}

impl Declared {
    /// Errors: everything that is wrong with the declaration.
    pub fn of(table: &TableSpec) -> Result<Declared, Vec<Fault>> {
        let mut faults = strangers(table);
        let seed = count(table, "seed").unwrap_or(42);
        let mut rows = count(table, "rows");
        let rate = count(table, "rate");
        if rate == Some(0) {
            let diagnostic = Diagnostic::error("option_value", "the option `rate` must be at least 1");
            faults.push(Fault {
                subject: Subject::Value("rate".to_string()),
                diagnostic,
            });
        }
        let schema = table.physical_schema();
        let key = table.physical_key();
        let mut columns = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            let mut options = Options {
                table,
                field,
                faults: &mut faults,
            };
            let null_at_most = options.nulls(!field.is_nullable() || key.contains(&index));
            let Some((values, limit)) = options.values() else {
                continue;
            };
            rows = match (rows, limit) {
                (Some(rows), Some(limit)) => Some(rows.min(limit)),
                (rows, limit) => rows.or(limit),
            };
            columns.push(Column {
                data_type: field.data_type().clone(),
                values,
                salt: salt(seed, field.name()),
                null_at_most,
            });
        }
        match faults.is_empty() {
            true => Ok(Declared { columns, rows, rate }),
            false => Err(faults),
        }
    }
}

/// Options of columns that are not there.
fn strangers(table: &TableSpec) -> Vec<Fault> {
    let schema = table.physical_schema();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let column_of = |key: &str| Some(key.strip_prefix("fields.")?.rsplit_once('.')?.0.to_string());
    let unknown = |key: &String| {
        let column = column_of(key)?;
        if names.iter().any(|name| name.to_lowercase() == column) {
            return None;
        }
        let message = format!("column `{column}` of `{key}` not found");
        let diagnostic = Diagnostic::error("unknown_column", message)
            .note(format!("the columns are: {}", names.join(", ")))
            .suggest(&column, names.iter().copied());
        Some(Fault {
            subject: Subject::Key(key.clone()),
            diagnostic,
        })
    };
    table.options.keys().filter_map(unknown).collect()
}

fn count(table: &TableSpec, name: &str) -> Option<u64> {
    table.options.get(name)?.parse().ok()
}

/// The options of one column.
struct Options<'a> {
    table: &'a TableSpec,
    field: &'a Field,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Options<'a> {
    fn key(&self, part: &str) -> String {
        format!("fields.{}.{part}", self.field.name().to_lowercase())
    }

    fn get(&self, part: &str) -> Option<&'a str> {
        self.table.options.get(&self.key(part)).map(String::as_str)
    }

    fn wrong(&mut self, part: &str, message: impl Into<String>) {
        self.faults.push(Fault {
            subject: Subject::Value(self.key(part)),
            diagnostic: Diagnostic::error("option_value", message),
        });
    }

    /// The share of NULLs as a limit for numbers of 64 bits.
    fn nulls(&mut self, required: bool) -> Option<u64> {
        let text = self.get("null_rate")?;
        let rate = text.parse::<f64>().ok().filter(|rate| (0.0..=1.0).contains(rate));
        let Some(rate) = rate else {
            let message = format!(
                "the option `{}` takes a share from 0 to 1, not `{text}`",
                self.key("null_rate")
            );
            self.wrong("null_rate", message);
            return None;
        };
        if rate > 0.0 && required {
            let message = format!("column `{}` may not be NULL, so it has no null_rate", self.field.name());
            self.wrong("null_rate", message);
        }
        // From 2^64 on the conversion stays at the greatest number.
        (rate > 0.0).then_some((rate * 2f64.powi(64)) as u64)
    }

    /// How values are made, and after how many rows a sequence ends them.
    fn values(&mut self) -> Option<(Values, Option<u64>)> {
        let data_type = self.field.data_type();
        let Some(range) = range_of(data_type) else {
            let (name, what) = (self.field.name(), type_name(data_type));
            let message = format!("column `{name}`: datagen makes no {what}");
            let diagnostic = Diagnostic::error("unsupported_type", message).help(
                "it makes BOOLEAN, whole numbers, FLOAT, DOUBLE, DECIMAL up to 38 digits, STRING, DATE and TIMESTAMP; \
                 others are computed from these, as in `pair AS [a, b]`",
            );
            self.faults.push(Fault {
                subject: Subject::Column(name.clone()),
                diagnostic,
            });
            return None;
        };
        let sequence = self.get("kind") == Some("sequence");
        self.refuse_strangers(sequence);
        match (sequence, data_type) {
            (true, DataType::Float32 | DataType::Float64) => self.float_sequence(),
            (true, DataType::Boolean) => {
                self.wrong("kind", "a BOOLEAN has no sequence: its kind is random");
                None
            }
            (true, _) => self.sequence(range),
            (false, DataType::Boolean) => Some((Values::RandomBool, None)),
            (false, DataType::Utf8) => {
                let length = self.get("length").map_or(Some(16), |text| text.parse().ok());
                let length = length.filter(|length| *length <= 1 << 16);
                if length.is_none() {
                    self.wrong("length", "a made-up STRING has at most 65536 letters");
                }
                Some((Values::RandomText { length: length? }, None))
            }
            (false, DataType::Float32 | DataType::Float64) => self.floats(),
            (false, _) => self.random(range),
        }
    }

    /// Options that mean nothing for this kind of values.
    fn refuse_strangers(&mut self, sequence: bool) {
        let text = self.field.data_type() == &DataType::Utf8;
        let bool = self.field.data_type() == &DataType::Boolean;
        let others: &[&str] = match sequence {
            true => &["min", "max", "length"],
            false if text => &["min", "max", "start", "end", "step"],
            false if bool => &["min", "max", "length", "start", "end", "step"],
            false => &["length", "start", "end", "step"],
        };
        for part in others {
            if self.get(part).is_some() {
                let (key, kind) = (self.key(part), self.key("kind"));
                let message = match (sequence, *part) {
                    (true, _) => {
                        format!("`{key}` is for random values, and this is a sequence: it has start, end, step")
                    }
                    (false, "start" | "end" | "step") if !bool => {
                        format!("`{key}` is for a sequence: add '{kind}' = 'sequence'")
                    }
                    _ => format!(
                        "`{key}` means nothing for a random {}",
                        type_name(self.field.data_type())
                    ),
                };
                self.faults.push(Fault {
                    subject: Subject::Key(key),
                    diagnostic: Diagnostic::error("option_value", message),
                });
            }
        }
    }

    fn random(&mut self, range: (i128, i128)) -> Option<(Values, Option<u64>)> {
        let (low, high) = match self.field.data_type() {
            DataType::Timestamp(unit, _) => (year(YEAR_BEGIN_NS, unit_ns(*unit)), year(YEAR_END_NS, unit_ns(*unit))),
            DataType::Date32 => (year(YEAR_BEGIN_NS, DAY_NS), year(YEAR_END_NS, DAY_NS)),
            _ => (0, range.1),
        };
        let min = self.value("min", range)?;
        let max = self.value("max", range)?;
        // One bound alone that lies beyond the other takes that one with it.
        let width = high - low;
        let min = min.unwrap_or(match max {
            Some(max) if max < low => max.saturating_sub(width).max(range.0),
            _ => low,
        });
        let max = max.unwrap_or(match min > high {
            true => min.saturating_add(width).min(range.1),
            false => high,
        });
        if min > max {
            self.wrong(
                "max",
                format!("the max of column `{}` is below its min", self.field.name()),
            );
            return None;
        }
        Some((Values::Random { min, max }, None))
    }

    fn floats(&mut self) -> Option<(Values, Option<u64>)> {
        let (min, max) = (self.float("min")?.unwrap_or(0.0), self.float("max")?.unwrap_or(1.0));
        if min > max {
            self.wrong(
                "max",
                format!("the max of column `{}` is below its min", self.field.name()),
            );
            return None;
        }
        Some((Values::RandomFloat { min, max }, None))
    }

    /// A number with a fraction; `Some(None)` when it is not given, `None` when it is wrong.
    #[allow(clippy::option_option, reason = "absent and wrong are different")]
    fn float(&mut self, part: &str) -> Option<Option<f64>> {
        let Some(text) = self.get(part) else {
            return Some(None);
        };
        let most = match self.field.data_type() {
            DataType::Float32 => f64::from(f32::MAX),
            _ => f64::MAX,
        };
        let number = text.replace('_', "").parse::<f64>().ok().filter(|n| n.abs() <= most);
        if number.is_none() {
            let message = format!("the option `{}` takes a number, not `{text}`", self.key(part));
            self.wrong(part, message);
        }
        number.map(Some)
    }

    fn float_sequence(&mut self) -> Option<(Values, Option<u64>)> {
        let start = self.float("start")?.unwrap_or(0.0);
        let end = self.float("end")?;
        let step = self.float("step")?.unwrap_or(1.0);
        if step == 0.0 {
            let message = format!("the option `{}` takes a number other than 0", self.key("step"));
            self.wrong("step", message);
            return None;
        }
        let steps = end.map(|end| (end - start) / step);
        if steps.is_some_and(|steps| steps < 0.0) {
            self.never_ends();
            return None;
        }
        // A little more, as 0.1 is no number of these: 0, 0.1 … 0.3 are four.
        let count = steps.map(|steps| ((steps + 1e-9) as u64).saturating_add(1));
        let values = Values::FloatSequence {
            start,
            step,
            count: count.unwrap_or(u64::MAX),
        };
        Some((values, count))
    }

    fn never_ends(&mut self) {
        self.wrong(
            "end",
            format!("the sequence of column `{}` never gets to its end", self.field.name()),
        );
    }

    fn sequence(&mut self, range: (i128, i128)) -> Option<(Values, Option<u64>)> {
        let first = match self.field.data_type() {
            DataType::Timestamp(unit, _) => year(YEAR_BEGIN_NS, unit_ns(*unit)),
            DataType::Date32 => year(YEAR_BEGIN_NS, DAY_NS),
            _ => 0,
        };
        let start = self.value("start", range)?.unwrap_or(first);
        let end = self.value("end", range)?;
        let step = self.step()?;
        let last = end.unwrap_or(if step > 0 { range.1 } else { range.0 });
        let steps = last.saturating_sub(start) / step;
        let backwards = (last < start && step > 0) || (last > start && step < 0);
        if backwards {
            self.never_ends();
            return None;
        }
        let count = u64::try_from(steps + 1).unwrap_or(u64::MAX);
        Some((Values::Sequence { start, step, count }, end.map(|_| count)))
    }

    /// From one value of a sequence to the next.
    fn step(&mut self) -> Option<i128> {
        let data_type = self.field.data_type();
        let (unit, default, wants) = match data_type {
            DataType::Timestamp(TimeUnit::Second, _) => (1_000_000_000, 1, "whole seconds, as in '5 seconds'"),
            DataType::Timestamp(unit, _) => (
                unit_ns(*unit),
                1_000_000_000 / unit_ns(*unit),
                "a duration such as 100ms",
            ),
            DataType::Date32 => (DAY_NS, 1, "whole days, as in '7 days'"),
            DataType::Decimal128(_, scale) => (
                0,
                10i64.checked_pow(u32::from(scale.unsigned_abs())).unwrap_or(1),
                "a number other than 0 that the column can hold",
            ),
            _ => (0, 1, "a whole number other than 0"),
        };
        let Some(text) = self.get("step") else {
            return Some(default.into());
        };
        let step = match (unit, data_type) {
            (0, DataType::Decimal128(precision, scale)) => decimal(text, *precision, *scale),
            (0, _) => text.replace('_', "").parse::<i64>().ok().map(i128::from),
            _ => {
                let ns = parse_duration_ns(text).filter(|ns| ns % unit == 0);
                ns.map(|ns| i128::from(ns / unit))
            }
        };
        let step = step.filter(|step| *step != 0);
        if step.is_none() {
            self.wrong(
                "step",
                format!("the option `{}` takes {wants}, not `{text}`", self.key("step")),
            );
        }
        step
    }

    /// A value of the column in what its type counts; `Some(None)` when it is not given, `None` when it is wrong.
    #[allow(clippy::option_option, reason = "absent and wrong are different")]
    fn value(&mut self, part: &str, range: (i128, i128)) -> Option<Option<i128>> {
        let Some(text) = self.get(part) else {
            return Some(None);
        };
        let data_type = self.field.data_type();
        let (value, wants) = match data_type {
            DataType::Timestamp(unit, _) => {
                let ns = string_to_timestamp_nanos(text).ok();
                (
                    ns.map(|ns| ns.div_euclid(unit_ns(*unit)).into()),
                    "a time such as 2024-01-01T00:00:00Z",
                )
            }
            DataType::Date32 => {
                let ns = string_to_timestamp_nanos(text).ok();
                (ns.map(|ns| ns.div_euclid(DAY_NS).into()), "a date such as 2024-01-01")
            }
            DataType::Decimal128(precision, scale) => {
                (decimal(text, *precision, *scale), "a number that the column can hold")
            }
            _ => (
                text.replace('_', "").parse().ok(),
                "a whole number that the column can hold",
            ),
        };
        let value = value.filter(|value| (range.0..=range.1).contains(value));
        if value.is_none() {
            let message = format!("the option `{}` takes {wants}, not `{text}`", self.key(part));
            self.wrong(part, message);
        }
        value.map(Some)
    }
}

/// The values of a type as whole numbers, as far as they are made here; `None` for types that are not.
fn range_of(data_type: &DataType) -> Option<(i128, i128)> {
    Some(match data_type {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 | DataType::Date32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, u64::MAX.into()),
        // A negative scale has no digits to be random.
        DataType::Decimal128(precision, 0..) => {
            let most = 10i128.pow(u32::from(*precision)) - 1;
            (-most, most)
        }
        DataType::Int64 | DataType::Timestamp(_, _) | DataType::Utf8 => (i64::MIN.into(), i64::MAX.into()),
        // They are not made of whole numbers.
        DataType::Boolean | DataType::Float32 | DataType::Float64 => (0, 0),
        _ => return None,
    })
}

/// A bound of the year of times, in units of so many nanoseconds.
fn year(bound_ns: i64, unit_ns: i64) -> i128 {
    (bound_ns / unit_ns).into()
}

/// A number in what the last digit of a DECIMAL counts. `None`: it has more digits, which would be left out.
fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let text = text.replace('_', "");
    let fraction = text
        .split_once('.')
        .map_or("", |(_, digits)| digits.trim_end_matches('0'));
    if !fraction.is_empty() && fraction.len() > usize::try_from(scale).unwrap_or(0) {
        return None;
    }
    parse_decimal::<Decimal128Type>(&text, precision, scale).ok()
}
