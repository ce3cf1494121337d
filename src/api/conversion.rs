//! What INSERT converts without being asked: a value becomes one of its column's type where nothing is lost but digits behind
//! those that the column keeps. Every other conversion is written: a CAST says what is meant.

use crate::error::Diagnostic;
use crate::formats::type_name;
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::nested_struct::{requires_nested_struct_cast, validate_data_type_compatibility};

/// Why values of type `from` do not go into a column, if they do not.
pub(super) fn refused(column: &Field, from: &DataType) -> Option<Diagnostic> {
    let (name, to) = (column.name(), column.data_type());
    let (takes, given) = (type_name(to), type_name(from));
    if !castable(from, to) || is_wrapped(from, to) {
        let message = format!("column `{name}` is {takes}, which cannot be made of {given}");
        let mismatch = Diagnostic::error("type_mismatch", message);
        return Some(match to {
            DataType::Struct(_) => mismatch.help("name the fields: {'field': value, …}"),
            DataType::List(_) if !from.is_nested() => mismatch.help("write a list: [value, …]"),
            _ => mismatch,
        });
    }
    if goes_into(from, to) {
        return None;
    }
    let message = format!("column `{name}` is {takes}, and {given} does not become that by itself");
    let help = match from {
        _ if from.is_nested() && to.is_nested() => "make its values fit first: CAST(value AS …)".to_string(),
        DataType::List(_) => "write how it becomes text: array_to_string(list, ', ')".to_string(),
        _ if has_fraction(from) && to.is_integer() => {
            format!("write what becomes of the fraction: CAST(round(…) AS {takes})")
        }
        _ => format!("write the conversion: CAST(… AS {takes})"),
    };
    Some(Diagnostic::error("type_mismatch", message).help(help))
}

/// Whether values of one type can become values of another, some of them at least. Structs go by the names of their fields.
fn castable(from: &DataType, to: &DataType) -> bool {
    match requires_nested_struct_cast(from, to) {
        true => validate_data_type_compatibility("", from, to).is_ok(),
        false => from == to || *from == DataType::Null || can_cast_types(from, to),
    }
}

/// Arrow makes a list of anything: one with that in it.
fn is_wrapped(from: &DataType, to: &DataType) -> bool {
    matches!(to, DataType::List(_)) && !from.is_nested() && !from.is_null()
}

fn goes_into(from: &DataType, to: &DataType) -> bool {
    use DataType::{Boolean, Date32, FixedSizeList, LargeList, List, Map, Struct, Timestamp};
    match (from, to) {
        (List(from) | LargeList(from) | FixedSizeList(from, _), List(to)) => {
            goes_into(from.data_type(), to.data_type())
        }
        (Struct(from), Struct(to)) => to.iter().all(|to| {
            let from = from.iter().find(|from| from.name() == to.name());
            from.is_none_or(|from| goes_into(from.data_type(), to.data_type()))
        }),
        (Map(from, _), Map(to, _)) => match (from.data_type(), to.data_type()) {
            (Struct(from), Struct(to)) => {
                let mut pairs = from.iter().zip(to);
                pairs.all(|(from, to)| goes_into(from.data_type(), to.data_type()))
            }
            _ => true,
        },
        _ if from == to || from.is_null() => true,
        _ if from.is_nested() || to.is_nested() => false,
        _ if has_fraction(from) => !to.is_integer() && !to.is_temporal() && *to != Boolean,
        _ if from.is_integer() => !to.is_temporal() && *to != Boolean,
        (Boolean, _) => !to.is_numeric(),
        // Its time, or its day, would be lost.
        (Timestamp(..), _) => matches!(to, Timestamp(..)) || to.is_string(),
        (Date32, _) => matches!(to, Timestamp(..)) || to.is_string(),
        _ if from.is_temporal() => !to.is_numeric(),
        _ => true,
    }
}

fn has_fraction(number: &DataType) -> bool {
    match number {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale > 0,
        other => other.is_floating(),
    }
}
