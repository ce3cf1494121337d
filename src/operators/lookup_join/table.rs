//! The side of a lookup join that does not change: its rows, and an index from the hash of the keys to row numbers.

use super::probe::Pairs;
use datafusion::arrow::array::{Array, ArrayAccessor, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{SortOptions, concat_batches};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::downcast_primitive_array;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::common::{DataFusionError, NullEquality, Result, internal_err, resources_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::joins::utils::JoinKeyComparator;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, PhysicalExpr, common};
use std::ops::Range;
use std::sync::Arc;

/// All rows of the table side, ready to be looked up. Immutable.
#[derive(Debug)]
pub struct Table {
    pub rows: RecordBatch,
    keys: Vec<ArrayRef>,
    index: Index,
    /// Whether some row has a NULL among its keys.
    pub has_null_key: bool,
    /// Gives the memory back to the pool when the last copy of the stage is gone.
    _memory: MemoryReservation,
}

/// Runs the table side of a join, which reads static tables only, and gives all its rows in order.
///
/// DataFusion's operators may want to spawn tasks and the caller may be a task itself, so the plan runs on a thread
/// and a runtime of its own; with one thread the order of rows is the same each time.
pub fn read(side: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<RecordBatch> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(async {
            let mut batches = Vec::new();
            for partition in 0..side.output_partitioning().partition_count() {
                batches.extend(common::collect(side.execute(partition, Arc::clone(&context))?).await?);
            }
            Ok::<_, DataFusionError>(concat_batches(&side.schema(), &batches)?)
        })
    };
    match std::thread::scope(|scope| scope.spawn(run).join()) {
        Ok(rows) => rows,
        Err(_) => internal_err!("reading a static table broke off"),
    }
}

impl Table {
    /// Indexes `rows` by the values of `keys`; rows that no key can equal are left out of the index.
    ///
    /// Errors: more than 2³² rows, or more bytes than the memory pool grants.
    pub fn new(
        rows: RecordBatch,
        keys: &[Arc<dyn PhysicalExpr>],
        null_equality: NullEquality,
        context: &TaskContext,
    ) -> Result<Table> {
        if u32::try_from(rows.num_rows()).is_err() {
            return resources_err!("a static table of {} rows is too large to join with", rows.num_rows());
        }
        let keys = values(keys, &rows)?;
        let memory = MemoryConsumer::new("static table").register(context.memory_pool());
        memory.try_grow(rows.get_array_memory_size() + Index::bytes(rows.num_rows()))?;
        let hashes = hashes(&keys, rows.num_rows())?;
        let nulls = nulls(&keys);
        let left_out = nulls
            .as_ref()
            .filter(|_| null_equality == NullEquality::NullEqualsNothing);
        Ok(Table {
            index: Index::new(&hashes, left_out),
            has_null_key: nulls.is_some_and(|nulls| nulls.null_count() > 0),
            rows,
            keys,
            _memory: memory,
        })
    }

    pub fn num_rows(&self) -> usize {
        self.rows.num_rows()
    }

    /// Adds the rows whose keys have this hash, in their order, as partners of stream row `row`.
    #[inline]
    pub fn candidates(&self, hash: u64, row: u32, pairs: &mut Pairs) {
        for entry in self.index.bucket(hash) {
            if self.index.hashes[entry] == hash {
                pairs.push(row, self.index.rows[entry]);
            }
        }
    }

    /// Of the candidates, keeps those whose keys are equal; two NULLs are (unequal ones never become candidates).
    pub fn retain_equal(&self, stream_keys: &[ArrayRef], pairs: &mut Pairs) -> Result<()> {
        for (stream, table) in stream_keys.iter().zip(&self.keys) {
            if pairs.is_empty() {
                break;
            }
            retain_equal(stream, table, pairs)?;
        }
        Ok(())
    }
}

/// The values of the key expressions for every row.
pub fn values(keys: &[Arc<dyn PhysicalExpr>], rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let value = |key: &Arc<dyn PhysicalExpr>| key.evaluate(rows)?.into_array(rows.num_rows());
    keys.iter().map(value).collect()
}

/// One hash per row; the same for the same values in every run.
pub fn hashes(keys: &[ArrayRef], rows: usize) -> Result<Vec<u64>> {
    let mut hashes = vec![0; rows];
    create_hashes(keys, &RandomState::with_seed(0), &mut hashes)?;
    Ok(hashes)
}

/// NULL where any key is.
pub fn nulls(keys: &[ArrayRef]) -> Option<NullBuffer> {
    keys.iter().fold(None, |all, key| {
        NullBuffer::union(all.as_ref(), key.logical_nulls().as_ref())
    })
}

fn retain_equal(stream: &ArrayRef, table: &ArrayRef, pairs: &mut Pairs) -> Result<()> {
    let (s, t) = (stream.as_ref(), table.as_ref());
    if s.data_type() != t.data_type() || s.data_type().is_floating() {
        return retain_compared(stream, table, pairs);
    }
    downcast_primitive_array!(
        (s, t) => retain_values(s, t, pairs),
        (DataType::Utf8, DataType::Utf8) => retain_values(s.as_string::<i32>(), t.as_string::<i32>(), pairs),
        (DataType::LargeUtf8, DataType::LargeUtf8) => retain_values(s.as_string::<i64>(), t.as_string::<i64>(), pairs),
        (DataType::Utf8View, DataType::Utf8View) => retain_values(s.as_string_view(), t.as_string_view(), pairs),
        (DataType::Binary, DataType::Binary) => retain_values(s.as_binary::<i32>(), t.as_binary::<i32>(), pairs),
        (DataType::Boolean, DataType::Boolean) => retain_values(s.as_boolean(), t.as_boolean(), pairs),
        _ => return retain_compared(stream, table, pairs),
    );
    Ok(())
}

fn retain_values<A: ArrayAccessor>(stream: A, table: A, pairs: &mut Pairs)
where
    A::Item: PartialEq,
{
    if stream.null_count() == 0 && table.null_count() == 0 {
        return pairs.retain(|s, t| stream.value(s) == table.value(t));
    }
    pairs.retain(|s, t| match (stream.is_null(s), table.is_null(t)) {
        (false, false) => stream.value(s) == table.value(t),
        (s_null, t_null) => s_null && t_null,
    });
}

/// Floats (whose zeros are equal, and whose NaNs) and nested types, as DataFusion's joins compare them.
fn retain_compared(stream: &ArrayRef, table: &ArrayRef, pairs: &mut Pairs) -> Result<()> {
    let compared = JoinKeyComparator::new(
        std::slice::from_ref(stream),
        std::slice::from_ref(table),
        &[SortOptions::default()],
        NullEquality::NullEqualsNull,
    )?;
    pairs.retain(|s, t| compared.is_equal(s, t));
    Ok(())
}

/// Row numbers by hash, without a chain or an allocation per key: bucket `b` holds the entries
/// `starts[b]..starts[b + 1]`, in the order of the rows.
#[derive(Debug)]
struct Index {
    starts: Vec<u32>,
    hashes: Vec<u64>,
    rows: Vec<u32>,
}

impl Index {
    fn new(hashes: &[u64], left_out: Option<&NullBuffer>) -> Index {
        let buckets = Index::buckets(hashes.len());
        let bucket = |hash: u64| hash as usize & (buckets - 1);
        let used = || (0..hashes.len()).filter(|row| left_out.is_none_or(|nulls| nulls.is_valid(*row)));
        // Counted one bucket further on, then summed: the start of each bucket.
        let mut starts = vec![0u32; buckets + 1];
        used().for_each(|row| starts[bucket(hashes[row]) + 1] += 1);
        (0..buckets).for_each(|b| starts[b + 1] += starts[b]);
        let entries = starts[buckets] as usize;
        let mut index = Index {
            hashes: vec![0; entries],
            rows: vec![0; entries],
            starts: starts.clone(),
        };
        for row in used() {
            let free = &mut starts[bucket(hashes[row])];
            index.hashes[*free as usize] = hashes[row];
            index.rows[*free as usize] = row as u32;
            *free += 1;
        }
        index
    }

    #[inline]
    fn bucket(&self, hash: u64) -> Range<usize> {
        let bucket = hash as usize & (self.starts.len() - 2);
        self.starts[bucket] as usize..self.starts[bucket + 1] as usize
    }

    fn buckets(rows: usize) -> usize {
        rows.next_power_of_two()
    }

    fn bytes(rows: usize) -> usize {
        Index::buckets(rows) * size_of::<u32>() + rows * (size_of::<u64>() + size_of::<u32>())
    }
}
