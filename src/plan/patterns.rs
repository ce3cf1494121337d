//! Patterns that are computed, rewritten row by row as `sql::patterns` rewrites those that are written out.

use crate::sql::patterns::{LIKE_PATTERN, SIMILAR_PATTERN, regular, with_backslashes};
use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::cast::as_string_array;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use std::sync::Arc;

/// What rewrites a pattern, given the character that stands before what is read as it is.
type Rewrite = fn(&str, Option<char>) -> String;

/// The functions that `sql::patterns` calls.
pub fn functions() -> [ScalarUDF; 2] {
    [
        function(LIKE_PATTERN, with_backslashes),
        function(SIMILAR_PATTERN, regular),
    ]
}

fn function(name: &str, rewrite: Rewrite) -> ScalarUDF {
    let code = move |args: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(args)?;
        let rewritten = rewritten(&arrays, rewrite)?;
        Ok(ColumnarValue::Array(rewritten))
    };
    let types = vec![DataType::Utf8, DataType::Utf8];
    create_udf(name, types, DataType::Utf8, Volatility::Immutable, Arc::new(code))
}

fn rewritten(args: &[ArrayRef], rewrite: Rewrite) -> Result<ArrayRef> {
    let (patterns, signs) = (as_string_array(&args[0])?, as_string_array(&args[1])?);
    let pairs = patterns.iter().zip(signs);
    let rewritten = pairs.map(|(pattern, sign)| Some(rewrite(pattern?, sign?.chars().next())));
    Ok(Arc::new(rewritten.collect::<StringArray>()))
}
