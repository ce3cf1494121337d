//! Tables that do not change: their rows, read once when the program starts.

use crate::dstream::nodes::StaticNode;
use datafusion::arrow::array::RecordBatch;
use datafusion::common::{Result, plan_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::physical_plan::ExecutionPlan;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Per table name, all its rows with all its declared columns.
#[derive(Debug, Default)]
pub struct StaticTables(pub BTreeMap<String, Vec<RecordBatch>>);

impl StaticTables {
    /// A scan of the columns that the node asks for.
    pub fn scan(&self, node: &StaticNode) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(batches) = self.0.get(&node.table.name) else {
            return plan_err!("the rows of {} have not been read", node.table.name);
        };
        let schema = Arc::new(node.schema.as_arrow().clone());
        let renamed = batches.iter().map(|b| super::input::renamed(b, &node.columns, &schema));
        let partition = renamed.collect::<Result<Vec<_>>>()?;
        let scan = MemorySourceConfig::try_new_exec(&[partition], schema, None)?;
        Ok(scan)
    }
}
