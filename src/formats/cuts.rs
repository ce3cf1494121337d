//! Casts that lose nothing of a number: the library cuts fractions off where whole numbers belong, and makes what is too
//! large for a FLOAT infinite.

use super::whole::is_whole_type;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, make_array};
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::error::ArrowError;

/// Errors: a value does not fit, or not as a whole.
pub fn cast_whole(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == to {
        return Ok(column.clone());
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let typed = cast_with_options(column, to, &options)?;
    match is_cut(column, to)? {
        true => Err(ArrowError::CastError("a number is cut".into())),
        false => Ok(typed),
    }
}

/// Whether a cast that gave no error lets something of a number go.
fn is_cut(column: &ArrayRef, to: &DataType) -> Result<bool, ArrowError> {
    let own = column.data_type();
    let any = |wrong: fn(f64) -> bool| -> Result<bool, ArrowError> {
        let numbers = cast(column, &DataType::Float64)?;
        let mut numbers = numbers.as_primitive::<Float64Type>().iter().flatten();
        Ok(numbers.any(wrong))
    };
    match to {
        _ if own == to => Ok(false),
        DataType::Float32 if !own.is_nested() => any(|number| number.is_finite() && (number as f32).is_infinite()),
        _ if own.is_floating() && is_whole_type(to) => any(|number| number.fract() != 0.0),
        _ if own.is_decimal() && to.is_integer() => {
            let again = cast(&cast(column, to)?, own)?;
            Ok(distinct(&again, column)?.true_count() > 0)
        }
        DataType::Struct(fields) => {
            let Some(from) = column.as_struct_opt() else {
                return Ok(false);
            };
            // By name where the names are known, else by place, as the cast does it.
            let mut pairs = fields.iter().enumerate().filter_map(|(at, field)| {
                let own = from.column_by_name(field.name()).or_else(|| from.columns().get(at));
                own.map(|own| (own, field.data_type()))
            });
            pairs.try_fold(false, |cut, (own, to)| Ok(cut || is_cut(own, to)?))
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _)
            if own.is_nested() =>
        {
            let data = column.to_data();
            let values = data.child_data().first().cloned().map(make_array);
            values.map_or(Ok(false), |values| is_cut(&values, item.data_type()))
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Decimal128Array, Float64Array, ListArray, StringArray};
    use datafusion::arrow::datatypes::{Field, Int32Type};
    use std::sync::Arc;

    #[test]
    fn what_would_be_cut_does_not_fit() {
        let doubles = |value: f64| Arc::new(Float64Array::from(vec![Some(1.0), None, Some(value)])) as ArrayRef;
        let decimals = |value: i128| {
            let all = Decimal128Array::from(vec![100, value]);
            Arc::new(all.with_precision_and_scale(10, 2).unwrap()) as ArrayRef
        };
        let texts = |value: &str| Arc::new(StringArray::from(vec!["1", value])) as ArrayRef;
        let list_of = |to: DataType| DataType::List(Arc::new(Field::new_list_field(to, true)));
        let lists = |value: f64| {
            let ones = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), None, Some([Some(2)])]);
            let ones: ArrayRef = Arc::new(ones);
            let mut halves = cast(&ones, &list_of(DataType::Float64)).unwrap().to_data();
            halves = halves
                .into_builder()
                .child_data(vec![Float64Array::from(vec![1.0, value]).into()])
                .build()
                .unwrap();
            make_array(halves)
        };
        for (column, to, fits) in [
            (doubles(2.0), DataType::Int32, true),
            (doubles(-0.0), DataType::Int32, true),
            (doubles(1.7), DataType::Int32, false),
            (doubles(f64::NAN), DataType::Int32, false),
            (doubles(1.7), DataType::Float32, true),
            (doubles(f64::INFINITY), DataType::Float32, true),
            (doubles(1e300), DataType::Float32, false),
            (texts("1e300"), DataType::Float32, false),
            (decimals(200), DataType::Int64, true),
            (decimals(150), DataType::Int64, false),
            (lists(2.0), list_of(DataType::Int64), true),
            (lists(2.5), list_of(DataType::Int64), false),
        ] {
            assert_eq!(cast_whole(&column, &to).is_ok(), fits, "{column:?} as {to}");
        }
    }
}
