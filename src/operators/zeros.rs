//! `__one_zero(x)`: a float with 0.0 in the place of -0.0, which is the same number (docs/sql.md), and lists of floats
//! likewise.
//!
//! `plan::zeros` puts it where DataFusion would tell the two apart. It has the name of what it stands around.

use crate::dstream::nodes::ZERO_FUNCTION;
use datafusion::arrow::array::{ArrayRef, AsArray, ListArray};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::utils::{normalize_float_zero, normalize_float_zero_scalar};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// What is registered in every session.
pub fn one_zero() -> ScalarUDF {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::from(OneZero { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OneZero {
    signature: Signature,
}

impl ScalarUDFImpl for OneZero {
    fn name(&self) -> &str {
        ZERO_FUNCTION
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(", "))
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [only] => Ok(only.clone()),
            _ => internal_err!("`{ZERO_FUNCTION}` takes one value"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [only] => Ok(Arc::clone(only)),
            _ => internal_err!("`{ZERO_FUNCTION}` takes one value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[..] {
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(with_one_zero(values))),
            [ColumnarValue::Scalar(list @ ScalarValue::List(_))] => {
                let list = with_one_zero(&list.to_array()?);
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&list, 0)?))
            }
            [ColumnarValue::Scalar(value)] => Ok(ColumnarValue::Scalar(normalize_float_zero_scalar(value.clone()))),
            _ => internal_err!("`{ZERO_FUNCTION}` takes one value"),
        }
    }
}

fn with_one_zero(values: &ArrayRef) -> ArrayRef {
    let Some(lists) = values.as_list_opt::<i32>() else {
        return normalize_float_zero(values);
    };
    let (field, offsets, items, nulls) = lists.clone().into_parts();
    Arc::new(ListArray::new(field, offsets, with_one_zero(&items), nulls))
}
