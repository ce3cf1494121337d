//! Late rows and bad records: counted, and the newest of them kept to be read.

use super::declared::Declared;
use super::intake::Intake;
use crate::connectors::{BadRecord, Offset};
use crate::dstream::graph::{Graph, NodeId, Op, PanesNode};
use crate::dstream::record::SliceRecord;
use crate::dstream::system::{dead_letter_fields, late_fields};
use crate::dstream::table::unit_ns;
use crate::error::Result;
use crate::metrics::{LateRows, Metrics};
use crate::operators::fragment::failed;
use crate::operators::{LateRow, Report, SourceRow};
use crate::storage::Entry;
use datafusion::arrow::array::{
    Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array, make_array,
    new_null_array,
};
use datafusion::arrow::compute::{concat_batches, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet, VecDeque};
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

    /// Keeps the late rows that a task of the interval noticed, with all columns of the table. Gives them too, all of
    /// them, in the order of reading.
    pub fn collect(
        &self,
        panes: &PanesNode,
        report: &Report,
        entry: &Entry,
        source: usize,
        intake: &Intake,
        declared: &mut Declared,
    ) -> Result<Vec<RecordBatch>> {
        let mut late = Vec::new();
        let mut by_slice: BTreeMap<usize, Vec<&LateRow>> = BTreeMap::new();
        for row in &report.late {
            by_slice.entry(row.source.slice).or_default().push(row);
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
            let indices = UInt32Array::from_iter_values(rows.iter().map(|r| r.source.row as u32));
            let taken = take_record_batch(&batch, &indices).map_err(|e| failed(e.into()))?;
            let taken = declared.rows(source, entry.record.clock_ns, taken)?;
            let rows = late_batch(&taken, &rows, panes)?;
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

/// Counts what a task of a query noticed about the rows of one of its sources.
pub fn count(metrics: &Metrics, graph: &Graph, panes: &PanesNode, report: &Report, source: usize, intake: &Intake) {
    let late = report.late.len() as u64;
    metrics.late(late, report.late_partial.len() as u64, report.null_time.len() as u64);
    let behind_ns = report.late.iter().map(|row| row.behind_ns).max();
    let (Some(behind_ns), Some(Op::Source(node))) = (behind_ns, graph.nodes.get(panes.source).map(|n| &n.op)) else {
        return;
    };
    let rows = LateRows {
        query: graph
            .outputs
            .get(panes.output)
            .map(|output| output.name.clone())
            .unwrap_or_default(),
        source: node.table.name.clone(),
        late,
        of_rows: 0,
        delay_ns: behind_ns.saturating_add(intake.delay_ns()).max(0) as u64,
        in_order: intake.source().is_ordered(),
    };
    metrics.late_of(panes.output, source, rows);
}

/// The rows of an interval that one query could notice twice, as it windows their source twice: per query, source and
/// matter.
#[derive(Default)]
pub struct Noticed(HashSet<(usize, NodeId, Matter, SourceRow)>);

/// What can be noticed about a row.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Matter {
    Late,
    PartlyLate,
    NullTime,
}

impl Noticed {
    /// What a task noticed, without the rows of which another node of its query has noticed the same before.
    pub fn new_of<'a>(&mut self, graph: &Graph, panes: &PanesNode, report: &'a Report) -> Cow<'a, Report> {
        let alike = |op: &Op| matches!(op, Op::Panes(p) if (p.output, p.source) == (panes.output, panes.source));
        let nothing = report.late.is_empty() && report.late_partial.is_empty() && report.null_time.is_empty();
        if nothing || graph.nodes.iter().filter(|node| alike(&node.op)).count() < 2 {
            return Cow::Borrowed(report);
        }
        let mut is_new = |matter, row: SourceRow| self.0.insert((panes.output, panes.source, matter, row));
        let mut late = report.late.clone();
        late.retain(|row| is_new(Matter::Late, row.source));
        let mut late_partial = report.late_partial.clone();
        late_partial.retain(|row| is_new(Matter::PartlyLate, *row));
        let mut null_time = report.null_time.clone();
        null_time.retain(|row| is_new(Matter::NullTime, *row));
        Cow::Owned(Report {
            late,
            late_partial,
            null_time,
        })
    }
}

/// A slice's rows with every column of the source: the query may have read only a few of them. Where a column that it
/// has not read makes records bad, other rows would come: then the columns that were not read are NULL.
fn whole_rows(intake: &Intake, record: &SliceRecord) -> Result<RecordBatch> {
    let schema = intake.source().schema();
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    let used = intake.columns();
    let whole = read_again(intake, record, &all);
    if used == all {
        return whole;
    }
    let read = read_again(intake, record, used)?;
    if let Ok(whole) = whole
        && whole.num_rows() == read.num_rows()
        && used
            .iter()
            .zip(read.columns())
            .all(|(at, column)| whole.column(*at) == column)
    {
        return Ok(whole);
    }
    let fields = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    let column = |(at, field): (usize, &Arc<Field>)| match used.iter().position(|u| *u == at) {
        Some(place) => Arc::clone(read.column(place)),
        None => new_null_array(field.data_type(), read.num_rows()),
    };
    let columns = schema.fields().iter().enumerate().map(column).collect();
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns).map_err(|e| failed(e.into()))
}

/// The rows of a slice with these columns.
fn read_again(intake: &Intake, record: &SliceRecord, columns: &[usize]) -> Result<RecordBatch> {
    let schema = intake.source().schema();
    let split = intake.split(record.split).ok_or_else(|| super::missing("a split"))?;
    let from = Offset {
        block: record.from.block,
        row: record.from.row,
    };
    let to = Offset {
        block: record.to.block,
        row: record.to.row,
    };
    let batches = intake.source().reread(split, from, to, record.rows, columns)?;
    let schema = schema.project(columns).map_err(|e| failed(e.into()))?;
    concat_batches(&Arc::new(schema), &batches).map_err(|e| failed(e.into()))
}

/// Late rows with the windows that they missed, and their watermarks.
fn late_batch(batch: &RecordBatch, rows: &[&LateRow], panes: &PanesNode) -> Result<RecordBatch> {
    let unit = panes.window.unit;
    let times = |values: Vec<i64>| -> Result<ArrayRef> {
        let data = Int64Array::from(values)
            .into_data()
            .into_builder()
            .data_type(DataType::Timestamp(unit, None));
        Ok(make_array(data.build().map_err(|e| failed(e.into()))?))
    };
    let mut columns = batch.columns().to_vec();
    columns.push(times(rows.iter().map(|r| r.window_start).collect())?);
    columns.push(times(rows.iter().map(|r| r.window_end).collect())?);
    columns.push(times(
        rows.iter().map(|r| r.watermark_ns.div_euclid(unit_ns(unit))).collect(),
    )?);
    let mut fields: Vec<_> = batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.extend(late_fields(unit));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| failed(e.into()))
}
