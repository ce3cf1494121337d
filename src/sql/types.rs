//! What the types of columns and casts mean in Arrow.

use crate::error::nearest;
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, Fields, IntervalUnit, TimeUnit,
};
use datafusion::sql::sqlparser::ast::{self, ArrayElemTypeDef, ExactNumberInfo, TimezoneInfo};
use std::sync::Arc;

/// The Arrow type of a column or a cast. `TIMESTAMP` counts nanoseconds, `TIMESTAMP(p)` the coarsest unit that holds p digits;
/// with a time zone it is UTC. Text and UUID are Utf8, all binary types Binary. The error is a sentence.
pub fn plan_type(data_type: &ast::DataType) -> Result<DataType, String> {
    use ast::DataType as Sql;
    if let Some(simple) = number_type(data_type) {
        return Ok(simple);
    }
    match data_type {
        Sql::Boolean | Sql::Bool => Ok(DataType::Boolean),
        Sql::Varchar(_)
        | Sql::Nvarchar(_)
        | Sql::Char(_)
        | Sql::Character(_)
        | Sql::CharacterVarying(_)
        | Sql::CharVarying(_)
        | Sql::Text
        | Sql::String(_)
        | Sql::Uuid
        | Sql::JSON
        | Sql::JSONB
        | Sql::Clob(_) => Ok(DataType::Utf8),
        Sql::Bytea | Sql::Binary(_) | Sql::Varbinary(_) | Sql::Blob(_) | Sql::Bytes(_) => Ok(DataType::Binary),
        Sql::Date | Sql::Date32 => Ok(DataType::Date32),
        Sql::Time(precision, zone) => time_type(*precision, zone),
        Sql::Timestamp(precision, zone) => timestamp_type(*precision, zone),
        Sql::TimestampNtz(precision) | Sql::Datetime(precision) => timestamp_type(*precision, &TimezoneInfo::None),
        Sql::Interval {
            fields: None,
            precision: None,
        } => Ok(DataType::Interval(IntervalUnit::MonthDayNano)),
        Sql::Interval { .. } => Err("INTERVAL takes neither fields nor precision as the type of a column".to_string()),
        Sql::Numeric(info) | Sql::Decimal(info) | Sql::Dec(info) => decimal_type(info),
        Sql::Array(
            ArrayElemTypeDef::AngleBracket(item)
            | ArrayElemTypeDef::SquareBracket(item, _)
            | ArrayElemTypeDef::Parenthesis(item),
        ) => Ok(DataType::List(Arc::new(Field::new_list_field(plan_type(item)?, true)))),
        Sql::Array(ArrayElemTypeDef::None) => Err("ARRAY needs the type of its items: ARRAY<STRING>".to_string()),
        Sql::Map(key, value) => Ok(map_type(plan_type(key)?, plan_type(value)?)),
        Sql::Struct(fields, _) => struct_type(fields),
        // DuckDB's name for what its own rule would call it.
        Sql::Custom(name, _) if name.to_string().eq_ignore_ascii_case("UINTEGER") => Ok(DataType::UInt32),
        Sql::Custom(name, precision) if name.to_string().eq_ignore_ascii_case("TIMESTAMP_LTZ") => {
            let digits = precision.first().and_then(|digits| digits.parse().ok());
            timestamp_type(digits, &TimezoneInfo::WithTimeZone)
        }
        other => Err(unknown_type(&other.to_string())),
    }
}

fn number_type(data_type: &ast::DataType) -> Option<DataType> {
    use ast::DataType as Sql;
    Some(match data_type {
        Sql::TinyInt(_) => DataType::Int8,
        Sql::SmallInt(_) | Sql::Int2(_) | Sql::Int16 => DataType::Int16,
        Sql::Int(_) | Sql::Integer(_) | Sql::Int4(_) | Sql::Int32 | Sql::MediumInt(_) => DataType::Int32,
        Sql::BigInt(_) | Sql::Int8(_) | Sql::Int64 => DataType::Int64,
        Sql::TinyIntUnsigned(_) | Sql::UTinyInt | Sql::UInt8 => DataType::UInt8,
        Sql::SmallIntUnsigned(_) | Sql::Int2Unsigned(_) | Sql::USmallInt | Sql::UInt16 => DataType::UInt16,
        Sql::IntUnsigned(_) | Sql::IntegerUnsigned(_) | Sql::Int4Unsigned(_) | Sql::UInt32 => DataType::UInt32,
        Sql::BigIntUnsigned(_) | Sql::Int8Unsigned(_) | Sql::UBigInt | Sql::UInt64 => DataType::UInt64,
        Sql::Float(ExactNumberInfo::Precision(digits)) if *digits > 24 => DataType::Float64,
        Sql::Float(_) | Sql::Real | Sql::Float4 | Sql::Float32 => DataType::Float32,
        Sql::Double(_) | Sql::DoublePrecision | Sql::Float8 | Sql::Float64 => DataType::Float64,
        _ => return None,
    })
}

/// The coarsest unit that holds so many digits behind the second.
fn unit(precision: Option<u64>) -> Result<TimeUnit, String> {
    match precision {
        Some(0) => Ok(TimeUnit::Second),
        Some(1..=3) => Ok(TimeUnit::Millisecond),
        Some(4..=6) => Ok(TimeUnit::Microsecond),
        None | Some(7..=9) => Ok(TimeUnit::Nanosecond),
        Some(digits) => Err(format!("times have at most 9 digits behind the second, not {digits}")),
    }
}

fn timestamp_type(precision: Option<u64>, zone: &TimezoneInfo) -> Result<DataType, String> {
    let zoned = matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
    Ok(DataType::Timestamp(
        unit(precision)?,
        zoned.then(|| Arc::from("+00:00")),
    ))
}

fn time_type(precision: Option<u64>, zone: &TimezoneInfo) -> Result<DataType, String> {
    if matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) {
        return Err("TIME has no time zone here: write TIME, or TIMESTAMP WITH TIME ZONE".to_string());
    }
    Ok(match unit(precision)? {
        unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
        unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond) => DataType::Time64(unit),
    })
}

/// DECIMAL without digits is DECIMAL(38, 10), as in DataFusion; beyond 38 digits it takes 256 bits.
fn decimal_type(info: &ExactNumberInfo) -> Result<DataType, String> {
    let (precision, scale) = match *info {
        ExactNumberInfo::None => (38, 10),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    let wrong = || {
        format!(
            "DECIMAL({precision}, {scale}): the digits must be from 1 to {DECIMAL256_MAX_PRECISION}, of which from 0 to all behind the point"
        )
    };
    let digits = u8::try_from(precision).map_err(|_| wrong())?;
    let behind = i8::try_from(scale).map_err(|_| wrong())?;
    if digits == 0 || digits > DECIMAL256_MAX_PRECISION || behind < 0 || scale.unsigned_abs() > precision {
        return Err(wrong());
    }
    let small = digits <= DECIMAL128_MAX_PRECISION;
    Ok(if small {
        DataType::Decimal128(digits, behind)
    } else {
        DataType::Decimal256(digits, behind)
    })
}

/// Field names and nullability as DataFusion's `map` function makes them.
fn map_type(key: DataType, value: DataType) -> DataType {
    let pair = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair), false)), false)
}

fn struct_type(fields: &[ast::StructField]) -> Result<DataType, String> {
    let mut planned: Vec<Field> = Vec::with_capacity(fields.len());
    for (at, field) in fields.iter().enumerate() {
        let name = match &field.field_name {
            Some(ident) if ident.quote_style.is_some() => ident.value.clone(),
            Some(ident) => ident.value.to_lowercase(),
            None => format!("c{at}"),
        };
        if planned.iter().any(|other| *other.name() == name) {
            return Err(format!("the struct has two fields `{name}`"));
        }
        planned.push(Field::new(name, plan_type(&field.field_type)?, true));
    }
    Ok(DataType::Struct(Fields::from(planned)))
}

pub(super) const TYPE_NAMES: &[&str] = &[
    "ARRAY",
    "BIGINT",
    "BINARY",
    "BOOLEAN",
    "BYTEA",
    "CHAR",
    "DATE",
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "INT",
    "INTEGER",
    "INTERVAL",
    "MAP",
    "NUMERIC",
    "REAL",
    "ROW",
    "SMALLINT",
    "STRING",
    "STRUCT",
    "TEXT",
    "TIME",
    "TIMESTAMP",
    "TINYINT",
    "UUID",
    "VARBINARY",
    "VARCHAR",
];

fn unknown_type(name: &str) -> String {
    let word: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    match nearest(&word, TYPE_NAMES.iter().copied()).first() {
        Some(best) if !best.eq_ignore_ascii_case(&word) => format!("there is no type `{name}`; did you mean `{best}`?"),
        _ => format!("there is no type `{name}` here"),
    }
}
