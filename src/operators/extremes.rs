//! `min` and `max` of floats per group, by the total order of IEEE 754 (NaN is the largest, -0 lies below 0).
//!
//! DataFusion's grouped form lets a NaN be replaced by whatever comes after it, so its answer depends on the order of the
//! rows and on where they are cut. Without GROUP BY it has the total order; here groups get it too: floats become
//! integers of the same order, and those are compared.

use super::nested_extremes::{BestRows, Keeps, is_nested};
use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use datafusion::arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs,
};
use std::sync::Arc;

/// `min` and `max`, to be registered over DataFusion's.
pub fn extremes() -> [Arc<AggregateUDF>; 2] {
    [min_udaf(), max_udaf()].map(|inner| Arc::new(AggregateUDF::from(Extreme { inner })))
}

/// DataFusion's function, but for its grouped form over floats, and for structs and lists.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    inner: Arc<AggregateUDF>,
}

impl Extreme {
    fn keeps(&self) -> Keeps {
        match self.inner.name() {
            "max" => Keeps::Greatest,
            _ => Keeps::Least,
        }
    }
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type();
        if is_nested(data_type) {
            return Ok(Box::new(BestRows::of_one_group(self.keeps(), data_type)?));
        }
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<Arc<Field>>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        is_nested(args.return_field.data_type()) || self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let key = match args.return_field.data_type() {
            DataType::Float32 => DataType::Int32,
            DataType::Float64 => DataType::Int64,
            nested if is_nested(nested) => return Ok(Box::new(BestRows::new(self.keeps(), nested)?)),
            _ => return self.inner.create_groups_accumulator(args),
        };
        let return_field = Arc::new(Field::new(args.name, key, true));
        let inner = self
            .inner
            .create_groups_accumulator(AccumulatorArgs { return_field, ..args })?;
        Ok(Box::new(ByTotalOrder { inner }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_udf()
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(statistics)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }
}

/// Compares integers in place of floats.
struct ByTotalOrder {
    inner: Box<dyn GroupsAccumulator>,
}

impl GroupsAccumulator for ByTotalOrder {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        self.inner.update_batch(&keys(values), groups, filter, total_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.inner.evaluate(emit_to).map(float)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(self.inner.state(emit_to)?.into_iter().map(float).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total_groups: usize) -> Result<()> {
        self.inner.merge_batch(&keys(states), groups, total_groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let states = self.inner.convert_to_state(&keys(values), filter)?;
        Ok(states.into_iter().map(float).collect())
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

/// Bits of a float as an integer of the same order; negative numbers are the other way round. Its own inverse.
fn turned_64(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn turned_32(bits: i32) -> i32 {
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

fn keys(floats: &[ArrayRef]) -> Vec<ArrayRef> {
    let key = |array: &ArrayRef| -> ArrayRef {
        if let Some(floats) = array.as_primitive_opt::<Float64Type>() {
            let keys: PrimitiveArray<Int64Type> = floats.unary(|f| turned_64(f.to_bits() as i64));
            return Arc::new(keys);
        }
        if let Some(floats) = array.as_primitive_opt::<Float32Type>() {
            let keys: PrimitiveArray<Int32Type> = floats.unary(|f| turned_32(f.to_bits() as i32));
            return Arc::new(keys);
        }
        Arc::clone(array)
    };
    floats.iter().map(key).collect()
}

fn float(keys: ArrayRef) -> ArrayRef {
    if let Some(keys) = keys.as_primitive_opt::<Int64Type>() {
        let floats: PrimitiveArray<Float64Type> = keys.unary(|k| f64::from_bits(turned_64(k) as u64));
        return Arc::new(floats);
    }
    if let Some(keys) = keys.as_primitive_opt::<Int32Type>() {
        let floats: PrimitiveArray<Float32Type> = keys.unary(|k| f32::from_bits(turned_32(k) as u32));
        return Arc::new(floats);
    }
    keys
}
