//! Parts that hold the rows of several intervals, until they are full.
//!
//! Owns: the limits of a part. Guarantees: each committed row is in one part; a part is seen when it is whole.
//! Does **not** guarantee: that rows are seen when they commit: those of an open part are not, before it is full or the
//! query ends. A part is looked at when an interval commits; there is one when the time of its last rows is up.

use super::parts::PartSink;
use super::sink::Growing;
use crate::config::{parse_duration_ns, parse_size};
use crate::connectors::Sink;
use crate::dstream::table::TableSpec;
use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use std::collections::BTreeMap;

/// How many parts are open at once, as each is an open file: of more the oldest is closed, full or not.
const OPEN_PARTS_MAX: usize = 100;

/// After so many rows at most the size of a part is looked at.
const ROWS_BETWEEN_LOOKS: u64 = 1_024;

/// When a part is full.
pub struct Limits {
    rows: usize,
    bytes: u64,
    /// Since it was begun, on the recorded clock.
    ns: i64,
}

impl Limits {
    /// `None`: nothing is asked for.
    ///
    /// Errors: a limit that no part could keep.
    pub fn of(spec: &TableSpec) -> Result<Option<Limits>> {
        let text = |name: &str| spec.options.get(name);
        let count = |name: &str| match text(name).map(|text| parse_size(text)) {
            None => Ok(usize::MAX),
            Some(Some(count)) if count > 0 => Ok(count),
            Some(_) => Err(Error::refused(format!("{name} is a number from 1"))),
        };
        if ["max_rows_per_file", "max_file_bytes", "roll_interval"]
            .iter()
            .all(|name| text(name).is_none())
        {
            return Ok(None);
        }
        let ns = text("roll_interval").map_or(Some(i64::MAX), |text| parse_duration_ns(text));
        Ok(Some(Limits {
            rows: count("max_rows_per_file")?,
            bytes: count("max_file_bytes")? as u64,
            ns: ns
                .filter(|ns| *ns > 0)
                .ok_or_else(|| Error::refused("roll_interval is a duration, such as '10 minutes'"))?,
        }))
    }
}

/// Writes parts until they are full.
pub struct RollingSink {
    parts: PartSink,
    limits: Limits,
    /// Rows that have been prepared, by interval and folder.
    prepared: BTreeMap<u64, BTreeMap<String, Vec<RecordBatch>>>,
    /// By folder.
    open: BTreeMap<String, OpenPart>,
    /// How many parts of each folder the interval that is committed has begun.
    begun: BTreeMap<String, usize>,
    clock_ns: i64,
}

struct OpenPart {
    file: Growing,
    rows: usize,
    since_ns: i64,
}

impl OpenPart {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        self.file.write(batch)
    }

    /// How many rows it takes up to a size, if they are as long as those before; a part begins with few.
    fn rows_up_to(&self, bytes: u64) -> usize {
        let rows = match (self.rows as u64, self.file.bytes()) {
            (0, _) => 16,
            (_, 0) => ROWS_BETWEEN_LOOKS,
            (rows, written) => bytes.saturating_sub(written).saturating_mul(rows) / written,
        };
        rows.clamp(1, ROWS_BETWEEN_LOOKS) as usize
    }

    fn publish(self) -> Result<()> {
        self.file.finish()?.publish()
    }
}

impl RollingSink {
    pub fn new(parts: PartSink, limits: Limits) -> Self {
        RollingSink {
            parts,
            limits,
            prepared: BTreeMap::new(),
            open: BTreeMap::new(),
            begun: BTreeMap::new(),
            clock_ns: i64::MIN,
        }
    }

    /// Closes the parts that are old enough.
    fn close_old(&mut self) -> Result<()> {
        let is_old = |part: &OpenPart| self.clock_ns.saturating_sub(part.since_ns) >= self.limits.ns;
        let old: Vec<String> = self
            .open
            .iter()
            .filter(|(_, part)| is_old(part))
            .map(|(f, _)| f.clone())
            .collect();
        old.iter().try_for_each(|folder| self.close(folder))
    }

    fn close(&mut self, folder: &str) -> Result<()> {
        self.open.remove(folder).map_or(Ok(()), OpenPart::publish)
    }

    /// Appends rows to the parts of a folder, as many as it takes.
    fn append(&mut self, interval: u64, folder: &str, batch: &RecordBatch) -> Result<()> {
        let mut at = 0;
        while at < batch.num_rows() {
            if !self.open.contains_key(folder) {
                self.begin(interval, folder)?;
            }
            let Some(part) = self.open.get_mut(folder) else {
                return Err(Error::internal("a part that was begun is not there"));
            };
            let mut rows = (batch.num_rows() - at).min(self.limits.rows - part.rows);
            if self.limits.bytes < usize::MAX as u64 {
                rows = rows.min(part.rows_up_to(self.limits.bytes));
            }
            part.write(&batch.slice(at, rows))?;
            at += rows;
            if part.rows >= self.limits.rows || part.file.bytes() >= self.limits.bytes {
                self.close(folder)?;
            }
        }
        Ok(())
    }

    /// A part is called after the interval of its first row, and counted among those of that interval: names are in the
    /// order of rows.
    fn begin(&mut self, interval: u64, folder: &str) -> Result<()> {
        if self.open.len() >= OPEN_PARTS_MAX
            && let Some(oldest) = self.open.iter().min_by_key(|(_, part)| part.since_ns)
        {
            let oldest = oldest.0.clone();
            self.close(&oldest)?;
        }
        let begun = self.begun.entry(folder.to_string()).or_default();
        let name = format!("{interval:012}-{begun:06}");
        *begun += 1;
        let file = self.parts.begin(folder, &name)?;
        let part = OpenPart {
            file,
            rows: 0,
            since_ns: self.clock_ns,
        };
        self.open.insert(folder.to_string(), part);
        Ok(())
    }

    /// One that cannot be closed takes no other with it.
    fn close_all(&mut self) -> Result<()> {
        let open = std::mem::take(&mut self.open).into_values();
        let closed: Vec<_> = open.map(OpenPart::publish).collect();
        closed.into_iter().collect()
    }
}

impl Sink for RollingSink {
    fn clock(&mut self, clock_ns: i64) {
        self.clock_ns = clock_ns;
    }

    fn keeps_back_ns(&self) -> Option<i64> {
        Some(self.limits.ns).filter(|ns| *ns < i64::MAX)
    }

    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()> {
        if batches.iter().any(|batch| batch.num_rows() > 0) {
            self.prepared.insert(interval, self.parts.partitioning.deal(batches)?);
        }
        Ok(())
    }

    fn commit(&mut self, interval: u64) -> Result<()> {
        self.parts.remove_replaced()?;
        self.close_old()?;
        self.begun.clear();
        for (folder, batches) in self.prepared.remove(&interval).unwrap_or_default() {
            for batch in &batches {
                self.append(interval, &folder, batch)?;
            }
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<()> {
        self.prepared.clear();
        // What has been committed is to be seen, however the query ended.
        self.close_all()
    }

    fn finish(&mut self) -> Result<()> {
        self.parts.remove_replaced()?;
        self.close_all()
    }
}
