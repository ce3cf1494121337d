//! User-defined functions, for the engine and the oracle alike.

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::kernels::cmp::gt;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, ColumnarValue, ScalarUDF, Volatility, create_udaf, create_udf,
};
use std::sync::Arc;
use waterwheel::Engine;

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
        Arc::new(vec![DataType::Int64, DataType::Int64]),
    );
    (vec![doubled], vec![squares])
}

/// Functions over batches: `spread` gives `twice` and `square` of `v`; `positive` whether `v` is more than zero.
pub fn batches(engine: &Engine) -> waterwheel::error::Result<()> {
    let columns = |names: &[(&str, DataType)]| -> SchemaRef {
        let fields = names.iter().map(|(name, t)| Field::new(*name, t.clone(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    };
    let number = |name| (name, DataType::Int64);
    let (v, spread) = (columns(&[number("v")]), columns(&[number("twice"), number("square")]));
    let schema = Arc::clone(&spread);
    engine.register_batches("spread", Arc::clone(&v), spread, move |batch| {
        let v = batch.column(0).as_primitive::<Int64Type>();
        let made: [Int64Array; 2] = [v.unary(|n| n * 2), v.unary(|n| n * n)];
        RecordBatch::try_new(Arc::clone(&schema), made.map(|c| Arc::new(c) as ArrayRef).to_vec())
    })?;
    let positive = columns(&[("yes", DataType::Boolean)]);
    let schema = Arc::clone(&positive);
    engine.register_batches("positive", v, positive, move |batch| {
        let yes = gt(batch.column(0), &Int64Array::new_scalar(0))?;
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(yes)])
    })
}

/// What takes states of `sum_of_squares` away again.
pub fn inverse_of_squares(engine: &Engine) -> waterwheel::error::Result<()> {
    engine.register_inverse("sum_of_squares", |states| {
        let negative = |column: &ArrayRef| -> ArrayRef {
            let numbers = column.as_primitive::<Int64Type>();
            Arc::new(numbers.unary::<_, Int64Type>(|n| -n))
        };
        RecordBatch::try_new(states.schema(), states.columns().iter().map(negative).collect())
    })
}

/// How many numbers there were, and the sum of their squares.
#[derive(Debug, Default)]
struct Squares {
    numbers: i64,
    sum: i64,
}

impl Accumulator for Squares {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for n in values[0].as_primitive::<Int64Type>().iter().flatten() {
            self.numbers += 1;
            self.sum += n * n;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [numbers, sum] = [0, 1].map(|at| states[at].as_primitive::<Int64Type>());
        self.numbers += numbers.iter().flatten().sum::<i64>();
        self.sum += sum.iter().flatten().sum::<i64>();
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64((self.numbers > 0).then_some(self.sum)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok([self.numbers, self.sum].map(|n| ScalarValue::Int64(Some(n))).to_vec())
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}
