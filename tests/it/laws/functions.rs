//! User-defined functions, for the engine and the oracle alike.

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, ColumnarValue, ScalarUDF, Volatility, create_udaf, create_udf,
};
use std::sync::Arc;

/// `doubled(x)` and `sum_of_squares(x)`.
pub fn both() -> (Vec<ScalarUDF>, Vec<AggregateUDF>) {
    let doubled = |args: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(args)?;
        let numbers = arrays[0].as_primitive::<Int64Type>();
        Ok(ColumnarValue::from(
            Arc::new(numbers.unary::<_, Int64Type>(|n| n * 2)) as ArrayRef
        ))
    };
    let doubled = create_udf(
        "doubled",
        vec![DataType::Int64],
        DataType::Int64,
        Volatility::Immutable,
        Arc::new(doubled),
    );
    let squares = create_udaf(
        "sum_of_squares",
        vec![DataType::Int64],
        Arc::new(DataType::Int64),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::new(Squares::default()))),
        Arc::new(vec![DataType::Int64]),
    );
    (vec![doubled], vec![squares])
}

#[derive(Debug, Default)]
struct Squares(Option<i64>);

impl Squares {
    fn add(&mut self, numbers: impl Iterator<Item = i64>) {
        numbers.for_each(|n| self.0 = Some(self.0.unwrap_or(0) + n));
    }
}

impl Accumulator for Squares {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values[0].as_primitive::<Int64Type>().iter().flatten().map(|n| n * n));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states: &Int64Array = states[0].as_primitive();
        self.add(states.iter().flatten());
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(self.0))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Int64(self.0)])
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}
