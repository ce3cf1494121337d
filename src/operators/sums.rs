//! `sum` of whole numbers, DECIMALs and durations that tells when it does not fit into its type, and `avg` of
//! durations.
//!
//! DataFusion's wraps around. Here the same code sums in a type of twice the width, which is also the partial state,
//! and what comes out is looked at. So an excess that later rows take back is none, however rows are cut and dealt.

use crate::error::wording::sql_types;
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, AsArray, BooleanArray, Decimal128Array, PrimitiveArray,
};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type,
    DecimalType, Field, Int64Type, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, HashMap, Result, ScalarValue};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature,
};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

/// `sum` and `avg`, to be registered over DataFusion's.
pub fn sums() -> [Arc<AggregateUDF>; 2] {
    [sum_udaf(), avg_udaf()].map(|inner| Arc::new(AggregateUDF::from(Sum { inner })))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    inner: Arc<AggregateUDF>,
}

/// How a result is made in wider types.
#[derive(Debug)]
struct Wide {
    argument: Arc<Field>,
    result: Arc<Field>,
}

impl Wide {
    fn args<'a>(&'a self, args: AccumulatorArgs<'a>) -> AccumulatorArgs<'a> {
        AccumulatorArgs {
            return_field: Arc::clone(&self.result),
            expr_fields: std::slice::from_ref(&self.argument),
            ..args
        }
    }
}

impl Sum {
    /// How the result of a type is made; `None`: as DataFusion does it.
    fn wide(&self, data_type: &DataType) -> Option<Wide> {
        let field = |data_type| Arc::new(Field::new(self.name(), data_type, true));
        let argument = wide(data_type)?;
        let result = match (self.name(), data_type) {
            ("sum", _) => argument.clone(),
            // The mean of a DECIMAL has four digits more.
            (_, DataType::Duration(_)) => DataType::Decimal128(DECIMAL128_MAX_PRECISION, 4),
            _ => return None,
        };
        Some(Wide {
            argument: field(argument),
            result: field(result),
        })
    }
}

/// The type in which sums of a type are made; `None`: their own.
fn wide(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Int64 | DataType::UInt64 | DataType::Duration(_) => {
            Some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0))
        }
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => {
            Some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, *scale))
        }
        // Sums of fewer digits have room for 10¹⁰ rows.
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale) => {
            Some(DataType::Decimal256(DECIMAL256_MAX_PRECISION, *scale))
        }
        _ => None,
    }
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let narrow = args.return_type().clone();
        let Some(wide) = self.wide(&narrow) else {
            return self.inner.accumulator(args);
        };
        let inner = self.inner.accumulator(wide.args(args))?;
        Ok(Box::new(Widened { inner, wide, narrow }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<Arc<Field>>> {
        let Some(wide) = self.wide(args.return_type()) else {
            return self.inner.state_fields(args);
        };
        self.inner.state_fields(StateFieldsArgs {
            input_fields: std::slice::from_ref(&wide.argument),
            return_field: Arc::clone(&wide.result),
            ..args
        })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let narrow = args.return_type().clone();
        let Some(wide) = self.wide(&narrow) else {
            return self.inner.create_groups_accumulator(args);
        };
        let inner = self.inner.create_groups_accumulator(wide.args(args))?;
        Ok(Box::new(Widened { inner, wide, narrow }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let narrow = args.return_type().clone();
        let Some(wide) = self.wide(&narrow) else {
            return self.inner.create_sliding_accumulator(args);
        };
        let in_type = wide.argument.data_type();
        let inner: Box<dyn Accumulator> = match (self.name(), args.is_distinct, in_type) {
            ("sum", true, DataType::Decimal128(..)) => Box::new(Distinct::<Decimal128Type>::new(in_type)),
            ("sum", true, _) => Box::new(Distinct::<Decimal256Type>::new(in_type)),
            _ => self.inner.create_sliding_accumulator(wide.args(args))?,
        };
        Ok(Box::new(Widened { inner, wide, narrow }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_udf()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }
}

/// Sums in the wide type and gives the narrow one.
#[derive(Debug)]
struct Widened<A> {
    inner: A,
    wide: Wide,
    narrow: DataType,
}

impl<A> Widened<A> {
    fn widened(&self, values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let widen = |values: &ArrayRef| widened(values, self.wide.argument.data_type());
        values.iter().map(widen).collect()
    }
}

impl Accumulator for Widened<Box<dyn Accumulator>> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = self.widened(values)?;
        self.inner.update_batch(&values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match (self.inner.evaluate()?, &self.narrow) {
            (ScalarValue::Decimal128(Some(sum), ..), DataType::Int64) => {
                Ok(ScalarValue::Int64(Some(fitted(sum, &self.narrow)?)))
            }
            (sum, narrow) => ScalarValue::try_from_array(&narrowed(&sum.to_array()?, narrow)?, 0),
        }
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = self.widened(values)?;
        self.inner.retract_batch(&values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

impl GroupsAccumulator for Widened<Box<dyn GroupsAccumulator>> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        let values = self.widened(values)?;
        self.inner.update_batch(&values, groups, filter, total_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        narrowed(&self.inner.evaluate(emit_to)?, &self.narrow)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total_groups: usize) -> Result<()> {
        self.inner.merge_batch(states, groups, total_groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&self.widened(values)?, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

fn widened(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let whole: Decimal128Array = match values.data_type() {
        DataType::Int64 => values.as_primitive::<Int64Type>().unary(i128::from),
        DataType::UInt64 => values.as_primitive::<UInt64Type>().unary(i128::from),
        DataType::Duration(_) => return widened(&cast(values, &DataType::Int64)?, to),
        _ => return Ok(cast(values, to)?),
    };
    Ok(Arc::new(whole.with_data_type(to.clone())))
}

fn narrowed(sums: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let strictly = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let fitting = |to: &DataType| cast_with_options(sums, to, &strictly);
    Ok(match to {
        DataType::Int64 => Arc::new(whole::<Int64Type>(sums, to)?),
        DataType::UInt64 => Arc::new(whole::<UInt64Type>(sums, to)?),
        DataType::Duration(_) => cast(&fitting(&DataType::Int64).map_err(|_| overflow("", to))?, to)?,
        _ => fitting(to).map_err(|_| overflow("", to))?,
    })
}

fn whole<T>(sums: &ArrayRef, to: &DataType) -> Result<PrimitiveArray<T>, ArrowError>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i128>,
{
    sums.as_primitive::<Decimal128Type>().try_unary(|sum| fitted(sum, to))
}

fn fitted<N: TryFrom<i128>>(sum: i128, to: &DataType) -> Result<N, ArrowError> {
    N::try_from(sum).map_err(|_| overflow(&format!("{sum} "), to))
}

fn overflow(sum: &str, to: &DataType) -> ArrowError {
    let to = sql_types(&to.to_string());
    ArrowError::ComputeError(format!("overflow: the sum {sum}does not fit into {to}"))
}

/// The sum of the different values in a frame that slides, in a wide type.
#[derive(Debug)]
struct Distinct<T: ArrowPrimitiveType> {
    /// How often each value is in the frame.
    counts: HashMap<T::Native, u64>,
    sum: T::Native,
    data_type: DataType,
}

impl<T> Distinct<T>
where
    T: ArrowPrimitiveType,
    T::Native: Hash + Eq,
{
    fn new(data_type: &DataType) -> Distinct<T> {
        Distinct {
            counts: HashMap::default(),
            sum: T::Native::ZERO,
            data_type: data_type.clone(),
        }
    }
}

impl<T> Accumulator for Distinct<T>
where
    T: DecimalType + Debug,
    T::Native: Hash + Eq,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<T>().iter().flatten() {
            let count = self.counts.entry(value).or_insert(0);
            if *count == 0 {
                self.sum = self.sum.add_wrapping(value);
            }
            *count += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<T>().iter().flatten() {
            let Some(count) = self.counts.get_mut(&value) else {
                continue;
            };
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&value);
                self.sum = self.sum.sub_wrapping(value);
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = (!self.counts.is_empty()).then_some(self.sum);
        ScalarValue::new_primitive::<T>(sum, &self.data_type)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.counts.capacity() * size_of::<(T::Native, u64)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(only_in_frames())
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        Err(only_in_frames())
    }
}

fn only_in_frames() -> DataFusionError {
    DataFusionError::Internal("the sum of a frame has no partial state".to_string())
}
