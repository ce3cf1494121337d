//! `+`, `-` and `*` of whole numbers and DECIMALs that tell when a result does not fit: DataFusion's wrap around, and
//! let a DECIMAL have more digits than its type.
//!
//! `plan::overflow` puts them in the place of DataFusion's. They have the names of what they replace.

use crate::error::wording::sql_types;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum};
use datafusion::arrow::compute::kernels::numeric::{add, mul, neg, sub};
use datafusion::arrow::datatypes::{
    DECIMAL32_MAX_PRECISION, DECIMAL64_MAX_PRECISION, DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType,
    Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Field, FieldRef,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;
use std::sync::Arc;

/// `+`, `-` (with one operand too) and `*`.
pub fn checked() -> [(Operator, Arc<ScalarUDF>); 3] {
    [Operator::Plus, Operator::Minus, Operator::Multiply].map(|operator| {
        let signature = Signature::variadic_any(Volatility::Immutable);
        (operator, Arc::new(ScalarUDF::from(Checked { operator, signature })))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operator: Operator,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operator {
            Operator::Plus => "__plus",
            Operator::Minus => "__minus",
            _ => "__times",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [only] => Ok(only.clone()),
            [left, right] => BinaryTypeCoercer::new(left, &self.operator, right).get_result_type(),
            _ => internal_err!("`{}` takes one or two numbers", self.operator),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(match &names[..] {
            [only] => format!("(- {only})"),
            names => names.join(&format!(" {} ", self.operator)),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[..] {
            [left, right] => apply(left, right, |left, right| self.computed(left, right)),
            [ColumnarValue::Array(only)] => Ok(ColumnarValue::Array(negated(only)?)),
            [ColumnarValue::Scalar(only)] => {
                let value = negated(&only.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&value, 0)?))
            }
            _ => internal_err!("`{}` takes one or two numbers", self.operator),
        }
    }
}

impl Checked {
    fn computed(&self, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
        self.fitting(left, right).map_err(|error| {
            let ((left, is_one), (right, is_too)) = (left.get(), right.get());
            let rows = if is_one { right.len() } else { left.len() };
            let place = |array: &dyn Array, is_one: bool, row: usize| array.slice(if is_one { 0 } else { row }, 1);
            let mut operands = (0..rows).map(|row| (place(left, is_one, row), place(right, is_too, row)));
            let failed = |(left, right): &(ArrayRef, ArrayRef)| self.fitting(left, right).is_err();
            match operands.find(failed) {
                Some((left, right)) => self.overflow(&left, &right).unwrap_or(error),
                None => error,
            }
        })
    }

    fn fitting(&self, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
        let result = match self.operator {
            Operator::Plus => add(left, right),
            Operator::Minus => sub(left, right),
            _ => mul(left, right),
        }?;
        has_room(&result)?;
        Ok(result)
    }

    fn overflow(&self, left: &dyn Array, right: &dyn Array) -> Result<ArrowError, ArrowError> {
        let (l, r) = (array_value_to_string(left, 0)?, array_value_to_string(right, 0)?);
        let written = format!("{l} {} {r}", self.operator);
        let types = [left.data_type().clone(), right.data_type().clone()];
        let to = self.return_type(&types);
        Ok(overflow(
            &written,
            &to.map_err(|e| ArrowError::ExternalError(e.into()))?,
        ))
    }
}

fn negated(only: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    neg(only).map_err(|error| {
        let mut values = (0..only.len()).map(|row| only.slice(row, 1));
        match values.find(|value| neg(value).is_err()) {
            Some(value) => array_value_to_string(&value, 0)
                .map(|value| overflow(&format!("-({value})"), only.data_type()))
                .unwrap_or(error),
            None => error,
        }
    })
}

fn overflow(written: &str, to: &DataType) -> ArrowError {
    let to = sql_types(&to.to_string());
    ArrowError::ComputeError(format!("overflow: {written} does not fit into {to}"))
}

/// Errors: a DECIMAL has more digits than its type can have. (One of fewer digits has one more than its operands.)
fn has_room(result: &ArrayRef) -> Result<(), ArrowError> {
    match result.data_type() {
        DataType::Decimal32(DECIMAL32_MAX_PRECISION, _) => result
            .as_primitive::<Decimal32Type>()
            .validate_decimal_precision(DECIMAL32_MAX_PRECISION),
        DataType::Decimal64(DECIMAL64_MAX_PRECISION, _) => result
            .as_primitive::<Decimal64Type>()
            .validate_decimal_precision(DECIMAL64_MAX_PRECISION),
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, _) => result
            .as_primitive::<Decimal128Type>()
            .validate_decimal_precision(DECIMAL128_MAX_PRECISION),
        DataType::Decimal256(DECIMAL256_MAX_PRECISION, _) => result
            .as_primitive::<Decimal256Type>()
            .validate_decimal_precision(DECIMAL256_MAX_PRECISION),
        _ => Ok(()),
    }
}
