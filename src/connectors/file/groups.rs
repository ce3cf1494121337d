//! Parquet files as lanes: each row group is one, given in batches.

use super::bytes::{KnownFile, ParquetBytes};
use super::source::{Piece, Reading, place};
use crate::connectors::Offset;
use crate::connectors::prefetch::{Lane, Lanes};
use crate::error::{Error, Result};
use crate::formats::Fate;
use crate::formats::parquet::{GroupReader, ParquetPlan, read_footer};
use datafusion::arrow::array::RecordBatch;
use std::sync::Arc;

/// The row groups of some files, one file after the other.
pub struct GroupLanes {
    reading: Arc<Reading>,
    files: Vec<KnownFile>,
    /// The file that comes after the one that is open.
    next: usize,
    open: Option<OpenFile>,
}

/// A file and what becomes of its row groups.
pub struct OpenFile {
    bytes: ParquetBytes,
    plan: Arc<ParquetPlan>,
    fates: Vec<Fate>,
    /// The row group that comes next.
    group: usize,
}

impl GroupLanes {
    pub fn new(reading: Arc<Reading>, files: Vec<KnownFile>) -> Self {
        GroupLanes {
            reading,
            files,
            next: 0,
            open: None,
        }
    }
}

impl Lanes for GroupLanes {
    type Lane = GroupLane;

    fn open(&mut self) -> Result<Option<GroupLane>> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(file) = self.files.get(self.next) else {
                    return Ok(None);
                };
                let at = place(self.next, 0);
                self.next += 1;
                if self.reading.leaves_out(file) {
                    continue;
                }
                match open_file(&self.reading, file) {
                    Ok(open) => self.open = Some(open),
                    Err(error) => {
                        let piece = self.reading.passed_over(file, at, error)?;
                        return Ok(Some(GroupLane::Given(Box::new(piece))));
                    }
                }
                continue;
            };
            let group = open.group;
            open.group += 1;
            let lane = Group {
                file: self.next - 1,
                known: self.files[self.next - 1].clone(),
                reading: self.reading.clone(),
                group,
                bytes: open.bytes.clone(),
                plan: open.plan.clone(),
                left_out: match open.fates.get(group) {
                    Some(Fate::LeftOut(greatest)) => Some(*greatest),
                    _ => None,
                },
                reader: None,
                from: place(self.next - 1, group as u64),
                read: 0,
            };
            if open.group >= open.plan.groups() {
                self.open = None;
            }
            if group < lane.plan.groups() {
                return Ok(Some(GroupLane::Rows(Box::new(lane))));
            }
        }
    }
}

/// One row group.
pub enum GroupLane {
    Rows(Box<Group>),
    Given(Box<Piece>),
    Done,
}

impl Lane for GroupLane {
    type Item = Piece;

    fn step(&mut self) -> Result<Option<Piece>> {
        let wrong = match self {
            GroupLane::Rows(group) => match group.step() {
                Err(error) => group.reading.passed_over(&group.known, group.from, error)?,
                rows => return rows,
            },
            _ => match std::mem::replace(self, GroupLane::Done) {
                GroupLane::Given(piece) => *piece,
                _ => return Ok(None),
            },
        };
        *self = GroupLane::Done;
        Ok(Some(wrong))
    }
}

/// One that is read.
pub struct Group {
    file: usize,
    known: KnownFile,
    reading: Arc<Reading>,
    group: usize,
    bytes: ParquetBytes,
    plan: Arc<ParquetPlan>,
    /// It is not read; if its greatest event time is asked for, this is it.
    left_out: Option<Option<i64>>,
    reader: Option<GroupReader>,
    /// Of the next row that is given.
    from: Offset,
    /// Rows read from the file, bad ones included.
    read: usize,
}

impl Group {
    fn step(&mut self) -> Result<Option<Piece>> {
        if let Some(passed) = self.left_out {
            // What it held is told once, if there is something to tell.
            self.left_out = Some(None);
            return Ok(passed.map(|greatest| Piece {
                from: self.from,
                to: place(self.file, self.group as u64 + 1),
                decoded: self.plan.nothing(),
                passed: Some(greatest),
            }));
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(self.plan.open(self.bytes.clone(), self.group, 0)?),
        };
        let Some(decoded) = self.plan.next(reader)? else {
            return Ok(None);
        };
        self.read += decoded.batch.num_rows() + decoded.bad.len();
        let from = self.from;
        self.from.row += decoded.batch.num_rows() as u64;
        let ended = self.read >= self.plan.rows(self.group);
        let to = if ended {
            place(self.file, self.group as u64 + 1)
        } else {
            self.from
        };
        Ok(Some(Piece {
            from,
            to,
            decoded,
            passed: None,
        }))
    }
}

pub fn open_file(reading: &Reading, file: &KnownFile) -> Result<OpenFile> {
    let bytes = ParquetBytes::open(file).map_err(|e| Error::connector(format!("{}: {e}", file.name)).because(e))?;
    let footer = read_footer(&bytes, &file.name)?;
    let wanted = reading.wanted_of(file);
    let plan = ParquetPlan::new(footer, &wanted, reading.on_error, &file.name)?;
    let pruning = reading.pruning.as_ref().zip(reading.folders.constants(&file.path));
    Ok(OpenFile {
        fates: pruning.map_or(Vec::new(), |(pruning, constants)| {
            plan.fates(pruning, &wanted, &constants)
        }),
        bytes,
        plan: Arc::new(plan),
        group: 0,
    })
}

/// The rows from `from` (of the file `file`) on, at most `rows` of them.
///
/// Errors: as when the file was read first.
pub fn reread(reading: &Reading, file: &KnownFile, from: Offset, rows: usize) -> Result<Vec<RecordBatch>> {
    let OpenFile { bytes, plan, fates, .. } = open_file(reading, file)?;
    let mut batches = Vec::new();
    let mut left = rows;
    let first = usize::try_from(from.block).unwrap_or(usize::MAX);
    for group in first..plan.groups() {
        if matches!(fates.get(group), Some(Fate::LeftOut(_))) {
            continue;
        }
        let mut skip = if group == first {
            usize::try_from(from.row).unwrap_or(usize::MAX)
        } else {
            0
        };
        // Where rows were left out, the file's row numbers are not ours: read from the start and count.
        let selected = if plan.drops_rows() {
            0
        } else {
            skip.min(plan.rows(group))
        };
        skip -= selected;
        let mut reader = plan.open(bytes.clone(), group, selected)?;
        while left > 0 {
            let Some(decoded) = plan.next(&mut reader)? else {
                break;
            };
            let batch = decoded.batch;
            let passed = skip.min(batch.num_rows());
            skip -= passed;
            let taken = left.min(batch.num_rows() - passed);
            left -= taken;
            if taken > 0 {
                batches.push(batch.slice(passed, taken));
            }
            if let Some(error) = decoded.stop.filter(|_| left > 0) {
                return Err(error);
            }
        }
        if left == 0 {
            break;
        }
    }
    Ok(batches)
}
