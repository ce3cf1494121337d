//! Late rows and bad records: counted, and the newest of them kept to be read.

use super::intake::Intake;
use crate::connectors::{BadRecord, Offset};
use crate::dstream::graph::{Graph, NodeId, Op, PanesNode};
use crate::dstream::record::SliceRecord;
use crate::dstream::system::{dead_letter_fields, late_fields};
use crate::dstream::table::unit_ns;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::operators::fragment::failed;
use crate::operators::{LateRow, Report};
use crate::storage::Entry;
use datafusion::arrow::array::{
    Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array, make_array,
};
use datafusion::arrow::compute::{concat_batches, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Schema};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// The newest late rows per query, and the newest bad records per source.
#[derive(Debug)]
pub struct LateLog {
    kept_rows: usize,
    late: Mutex<BTreeMap<usize, Kept>>,
    bad: Mutex<BTreeMap<String, VecDeque<BadRecord>>>,
}

#[derive(Debug, Default)]
struct Kept {
    batches: VecDeque<RecordBatch>,
    rows: usize,
}

impl LateLog {
    pub fn new(kept_rows: usize) -> Self {
        LateLog {
            kept_rows,
            late: Mutex::default(),
            bad: Mutex::default(),
        }
    }

    /// Counts what a task of the interval noticed, and keeps its late rows with all columns of the source. Gives them too,
    /// all of them, in the order of reading.
    pub fn count(
        &self,
        panes: &PanesNode,
        report: &Report,
        entry: &Entry,
        source: usize,
        intake: &Intake,
        metrics: &Metrics,
    ) -> Result<Vec<RecordBatch>> {
        metrics.late(report.late.len() as u64, report.late_partial, report.null_time);
        if let Some(delay) = report.late.iter().map(|row| row.behind_ns).max() {
            metrics.late_by(delay.saturating_add(intake.delay_ns()));
        }
        if intake.source().is_ordered() {
            metrics.late_in_order(report.late.len() as u64);
        }
        let mut late = Vec::new();
        let mut by_slice: BTreeMap<usize, Vec<&LateRow>> = BTreeMap::new();
        for row in &report.late {
            by_slice.entry(row.slice).or_default().push(row);
        }
        for (slice, rows) in by_slice {
            let Some(record) = entry.record.sources.get(source).and_then(|s| s.slices.get(slice)) else {
                continue;
            };
            let kept = entry.kept.get(source).and_then(|k| k.as_ref()?.get(slice)).cloned();
            let batch = match kept {
                Some(batch) => batch,
                None => whole_rows(intake, record)?,
            };
            let batch = intake.whole_without_future(batch, entry.record.clock_ns)?;
            let rows = late_batch(&batch, &rows, panes)?;
            self.keep(panes, rows.clone());
            late.push(rows);
        }
        Ok(late)
    }

    fn keep(&self, panes: &PanesNode, batch: RecordBatch) {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = late.entry(panes.output).or_default();
        kept.rows += batch.num_rows();
        kept.batches.push_back(batch);
        while kept.rows > self.kept_rows {
            let Some(first) = kept.batches.pop_front() else { break };
            let excess = kept.rows - self.kept_rows;
            kept.rows -= first.num_rows();
            if first.num_rows() > excess {
                kept.rows += first.num_rows() - excess;
                kept.batches.push_front(first.slice(excess, first.num_rows() - excess));
            }
        }
    }

    /// The kept late rows of an output, oldest first.
    pub fn late_rows(&self, output: usize) -> Vec<RecordBatch> {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.get(&output)
            .map(|kept| kept.batches.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Keeps bad records of a source.
    pub fn keep_bad(&self, graph: &Graph, node: NodeId, records: Vec<BadRecord>) {
        let Some(Op::Source(source)) = graph.nodes.get(node).map(|n| &n.op) else {
            return;
        };
        if records.is_empty() {
            return;
        }
        let mut bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = bad.entry(source.table.name.clone()).or_default();
        kept.extend(records);
        let excess = kept.len().saturating_sub(self.kept_rows);
        kept.drain(..excess);
    }

    /// The kept bad records of a source: source, split, byte_offset, line, bytes, message.
    pub fn dead_letters(&self, source: &str) -> Result<RecordBatch> {
        let bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
        let records: Vec<&BadRecord> = bad.get(source).into_iter().flatten().collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(records.iter().map(|_| source))),
            Arc::new(StringArray::from_iter_values(records.iter().map(|r| &r.split))),
            Arc::new(UInt64Array::from_iter_values(records.iter().map(|r| r.byte_offset))),
            Arc::new(UInt64Array::from_iter_values(records.iter().map(|r| r.line))),
            Arc::new(BinaryArray::from_iter_values(records.iter().map(|r| &r.bytes))),
            Arc::new(StringArray::from_iter_values(records.iter().map(|r| &r.message))),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(dead_letter_fields())), columns).map_err(|e| failed(e.into()))
    }
}

/// A slice's rows with every column of the source: the query may have read only a few of them.
fn whole_rows(intake: &Intake, record: &SliceRecord) -> Result<RecordBatch> {
    let schema = intake.source().schema();
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    let split = intake.split(record.split).ok_or_else(|| super::missing("a split"))?;
    let from = Offset {
        block: record.from.block,
        row: record.from.row,
    };
    let to = Offset {
        block: record.to.block,
        row: record.to.row,
    };
    let batches = intake.source().reread(split, from, to, record.rows, &all)?;
    concat_batches(&schema, &batches).map_err(|e| failed(e.into()))
}

fn late_batch(batch: &RecordBatch, rows: &[&LateRow], panes: &PanesNode) -> Result<RecordBatch> {
    let unit = panes.window.unit;
    let indices = UInt32Array::from_iter_values(rows.iter().map(|r| r.row as u32));
    let taken = take_record_batch(batch, &indices).map_err(|e| failed(e.into()))?;
    let times = |values: Vec<i64>| -> Result<ArrayRef> {
        let data = Int64Array::from(values)
            .into_data()
            .into_builder()
            .data_type(DataType::Timestamp(unit, None));
        Ok(make_array(data.build().map_err(|e| failed(e.into()))?))
    };
    let mut columns = taken.columns().to_vec();
    columns.push(times(rows.iter().map(|r| r.window_start).collect())?);
    columns.push(times(rows.iter().map(|r| r.window_end).collect())?);
    columns.push(times(
        rows.iter().map(|r| r.watermark_ns.div_euclid(unit_ns(unit))).collect(),
    )?);
    let mut fields: Vec<_> = batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.extend(late_fields(unit));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| failed(e.into()))
}
