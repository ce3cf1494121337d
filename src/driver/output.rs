//! Outputs of a program: rows of an interval go to each, in order, are prepared and then committed.

use crate::dstream::graph::{Graph, Output};
use crate::error::{Error, Result};
use crate::operators::Batch;
use crate::operators::fragment::failed;
use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use std::sync::Arc;

/// Where the rows of one query go.
pub trait Delivery: Send {
    /// Takes the rows of an interval (none when there are none); nothing becomes visible yet.
    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()>;

    /// The recorded clock of the interval that is committed next.
    fn clock(&mut self, _clock_ns: i64) {}

    /// Makes them visible. False when the reader wants no more.
    fn commit(&mut self, interval: u64) -> Result<bool>;

    /// The query has given everything.
    fn finish(&mut self) -> Result<()>;

    /// The query has been stopped: by its user (`None`) or by an error.
    fn stop(&mut self, why: Option<&Error>);
}

/// Who takes the rows of one query, and (`LATE ROWS INTO`) those that came too late for it.
pub struct Receiver {
    pub rows: Box<dyn Delivery>,
    pub late: Option<Box<dyn Delivery>>,
}

/// All outputs of a program.
#[derive(Default)]
pub struct Outputs {
    all: Vec<Delivered>,
}

struct Delivered {
    to: Box<dyn Delivery>,
    late: Option<Box<dyn Delivery>>,
    /// Late rows of the interval that runs.
    came_late: Vec<RecordBatch>,
    /// Rows that OFFSET still leaves out, and that LIMIT still lets through.
    skip: usize,
    left: Option<usize>,
    done: bool,
}

impl Outputs {
    /// In the order of [`Graph::outputs`].
    pub fn new(outputs: &[Output], receivers: Vec<Receiver>) -> Self {
        let one = |(output, to): (&Output, Receiver)| Delivered {
            to: to.rows,
            late: to.late,
            came_late: Vec::new(),
            skip: output.skip,
            left: output.fetch,
            done: false,
        };
        Outputs {
            all: outputs.iter().zip(receivers).map(one).collect(),
        }
    }

    /// Hands each output its rows of the interval (`batches`, per output); gives how many there were.
    pub fn prepare(&mut self, interval: u64, graph: &Graph, batches: &[Vec<Arc<Batch>>]) -> Result<usize> {
        let mut rows = 0;
        for ((output, delivered), batches) in graph.outputs.iter().zip(&mut self.all).zip(batches) {
            if delivered.done {
                continue;
            }
            let batches = batches
                .iter()
                .flat_map(|b| b.record_batches())
                .filter(|b| b.num_rows() > 0)
                .collect();
            let batches = limited(in_order(batches, output)?, &mut delivered.skip, &mut delivered.left);
            rows += batches.iter().map(RecordBatch::num_rows).sum::<usize>();
            delivered.to.prepare(interval, &batches)?;
        }
        Ok(rows)
    }

    /// Rows of the interval that came too late for an output.
    pub fn came_late(&mut self, output: usize, rows: Vec<RecordBatch>) {
        if let Some(delivered) = self.all.get_mut(output)
            && delivered.late.is_some()
        {
            delivered.came_late.extend(rows);
        }
    }

    /// Hands late rows over; nothing becomes visible yet.
    pub fn prepare_late(&mut self, interval: u64) -> Result<()> {
        for delivered in self.all.iter_mut().filter(|d| !d.done) {
            let rows = std::mem::take(&mut delivered.came_late);
            if let Some(late) = &mut delivered.late {
                late.prepare(interval, &rows)?;
            }
        }
        Ok(())
    }

    /// Commits the interval everywhere. False when no output wants more.
    pub fn commit(&mut self, interval: u64, clock_ns: i64) -> Result<bool> {
        let mut wanted = false;
        for delivered in self.all.iter_mut().filter(|d| !d.done) {
            delivered.to.clock(clock_ns);
            let more = delivered.to.commit(interval)?;
            if let Some(late) = &mut delivered.late {
                late.clock(clock_ns);
                // Whoever wants no late rows may want the others still.
                late.commit(interval)?;
            }
            if !more {
                delivered.stop(None);
            } else if delivered.left == Some(0) {
                delivered.finish()?;
            }
            wanted |= !delivered.done;
        }
        Ok(wanted)
    }

    pub fn finish(&mut self) -> Result<()> {
        for delivered in self.all.iter_mut().filter(|d| !d.done) {
            delivered.finish()?;
        }
        Ok(())
    }

    pub fn stop(&mut self, why: Option<&Error>) {
        for delivered in self.all.iter_mut().filter(|d| !d.done) {
            delivered.stop(why);
        }
    }

    /// Stops one output; true when none is left.
    pub fn stop_one(&mut self, index: usize) -> bool {
        if let Some(delivered) = self.all.get_mut(index)
            && !delivered.done
        {
            delivered.stop(None);
        }
        self.all.iter().all(|d| d.done)
    }
}

impl Delivered {
    fn finish(&mut self) -> Result<()> {
        self.done = true;
        self.to.finish()?;
        self.late.as_mut().map_or(Ok(()), |late| late.finish())
    }

    fn stop(&mut self, why: Option<&Error>) {
        self.done = true;
        self.to.stop(why);
        if let Some(late) = &mut self.late {
            late.stop(why);
        }
    }
}

/// Windows come from several partitions: in the order of their ends, and within one in the order of partitions.
fn in_order(batches: Vec<RecordBatch>, output: &Output) -> Result<Vec<RecordBatch>> {
    let (Some(column), Some(first)) = (output.order_by, batches.first()) else {
        return renamed(batches, output);
    };
    let all = concat_batches(&first.schema(), &batches).map_err(|e| failed(e.into()))?;
    let places = UInt32Array::from_iter_values(0..all.num_rows() as u32);
    let keys = [
        SortColumn {
            values: Arc::clone(all.column(column)),
            options: None,
        },
        SortColumn {
            values: Arc::new(places),
            options: None,
        },
    ];
    let order = lexsort_to_indices(&keys, None).map_err(|e| failed(e.into()))?;
    let sorted = take_record_batch(&all, &order).map_err(|e| failed(e.into()))?;
    renamed(vec![sorted], output)
}

fn renamed(batches: Vec<RecordBatch>, output: &Output) -> Result<Vec<RecordBatch>> {
    let columns: Vec<usize> = (0..output.schema.fields().len()).collect();
    let rename = |b: RecordBatch| crate::operators::input::renamed(&b, &columns, &output.schema).map_err(failed);
    batches.into_iter().map(rename).collect()
}

fn limited(batches: Vec<RecordBatch>, skip: &mut usize, left: &mut Option<usize>) -> Vec<RecordBatch> {
    let mut kept = Vec::new();
    for batch in batches {
        let skipped = batch.num_rows().min(*skip);
        *skip -= skipped;
        let mut count = batch.num_rows() - skipped;
        if let Some(left) = left {
            count = count.min(*left);
            *left -= count;
        }
        if count > 0 {
            kept.push(batch.slice(skipped, count));
        }
    }
    kept
}
