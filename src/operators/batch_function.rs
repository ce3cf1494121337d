//! A function of the host over Arrow batches, known by its name: plans carry the name, the session has the code.
//!
//! (D-Streams call it `map`; a task gets a whole batch and not a row.) In a plan it is a scalar function that gives a
//! struct: one row out for each row in, so that it may stand wherever an expression may, and rows keep their place.

use datafusion::arrow::array::{Array, RecordBatch, RecordBatchOptions, StructArray};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The code of a function: the columns that it asked for to the columns that it promised, row by row.
pub type BatchCode = dyn Fn(&RecordBatch) -> Result<RecordBatch, ArrowError> + Send + Sync;

/// A named function from batches of one schema to batches of another.
pub struct BatchFunction {
    name: String,
    pub input: SchemaRef,
    pub output: SchemaRef,
    signature: Signature,
    code: Arc<BatchCode>,
}

impl BatchFunction {
    pub fn new(name: String, input: SchemaRef, output: SchemaRef, code: Arc<BatchCode>) -> Self {
        let types: Vec<DataType> = input.fields().iter().map(|f| f.data_type().clone()).collect();
        let signature = match types.is_empty() {
            true => Signature::nullary(Volatility::Immutable),
            false => Signature::exact(types, Volatility::Immutable),
        };
        BatchFunction {
            name,
            input,
            output,
            signature,
            code,
        }
    }

    /// The function that a session has under that name, if it is one over batches.
    pub fn of(function: &ScalarUDF) -> Option<&BatchFunction> {
        function.inner().downcast_ref::<BatchFunction>()
    }

    /// What it gave, if that is what it promised.
    fn checked(&self, given: RecordBatch, rows: usize) -> Result<RecordBatch> {
        if given.num_rows() != rows {
            return exec_err!(
                "`{}` gave {} rows for {rows}: it must give one for each",
                self.name,
                given.num_rows()
            );
        }
        let schema = given.schema();
        let types =
            |schema: &SchemaRef| -> Vec<DataType> { schema.fields().iter().map(|f| f.data_type().clone()).collect() };
        if types(&schema) != types(&self.output) {
            return exec_err!(
                "`{}` gave other columns than those that it was registered with",
                self.name
            );
        }
        let pairs = given.columns().iter().zip(self.output.fields());
        let mut with_nulls = pairs.filter(|(column, field)| !field.is_nullable() && column.null_count() > 0);
        if let Some((_, field)) = with_nulls.next() {
            return exec_err!(
                "`{}` gave a NULL in `{}`, which was registered without",
                self.name,
                field.name()
            );
        }
        Ok(given)
    }
}

impl ScalarUDFImpl for BatchFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(self.output.fields().clone()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        // Whether a column may be NULL is for the function to bear.
        let fields = self
            .input
            .fields()
            .iter()
            .map(|f| f.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let given = (self.code)(&batch).map_err(|e| match e {
            ArrowError::ExternalError(inner) => DataFusionError::Execution(format!("`{}`: {inner}", self.name)),
            other => DataFusionError::ArrowError(Box::new(other), None),
        })?;
        let given = self.checked(given, rows)?;
        let fields = self.output.fields().clone();
        let made = match fields.is_empty() {
            true => StructArray::new_empty_fields(rows, None),
            false => StructArray::try_new(fields, given.columns().to_vec(), None)?,
        };
        Ok(ColumnarValue::Array(Arc::new(made)))
    }
}

impl fmt::Debug for BatchFunction {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl PartialEq for BatchFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.code, &other.code)
    }
}

impl Eq for BatchFunction {}

impl Hash for BatchFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
