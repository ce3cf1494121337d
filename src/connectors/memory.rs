//! The table without a connector: rows that INSERT statements put in, kept in memory.
//!
//! Owns: [`MemoryTable`], its rows, and the two ways to read it: what is there now, or that and all that will be.
//! Guarantees: each INSERT is a split of its own and keeps its order; rows once inserted can be read again; nobody takes
//! an INSERT that broke off for the end of a table that ends with its INSERTs.
//! Does **not** guarantee: a bound on memory; the rows stay until the table is dropped.
//! Depends on the seam in `connectors` and Arrow. Start reading at [`MemoryTable`].

#[cfg(test)]
mod tests;

use super::{Bell, Chunk, Next, Offset, Source, Split, SplitReader, Splits};
use crate::error::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An in-memory stream. Cheap to clone; all clones are the same table.
#[derive(Clone)]
pub struct MemoryTable {
    table: Arc<Table>,
}

struct Table {
    name: String,
    schema: SchemaRef,
    /// Those who read on are to see the whole of every INSERT, or fail.
    whole: bool,
    contents: Mutex<Contents>,
}

#[derive(Default)]
struct Contents {
    /// A split's id is its place here.
    inserts: Vec<Inserted>,
    /// No more INSERT can begin.
    sealed: bool,
    bells: BTreeMap<u64, Bell>,
    next_bell: u64,
}

impl Contents {
    /// Adds a bell and gives its number.
    fn hang(&mut self, bell: Bell) -> u64 {
        let number = self.next_bell;
        self.next_bell += 1;
        self.bells.insert(number, bell);
        number
    }
}

struct Inserted {
    name: String,
    /// Without empty ones. A batch's place is the block of its rows.
    batches: Vec<RecordBatch>,
    fate: Fate,
}

/// What has become of an INSERT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Running,
    Ended,
    /// It was stopped before its end.
    Stopped,
    Failed,
}

impl MemoryTable {
    /// `schema`: the physical columns. `whole`: it ends with its INSERTs, so those who read on fail with one that fails
    /// or is stopped.
    pub fn new(name: impl Into<String>, schema: SchemaRef, whole: bool) -> Self {
        MemoryTable {
            table: Arc::new(Table {
                name: name.into(),
                schema,
                whole,
                contents: Mutex::default(),
            }),
        }
    }

    /// Begins an INSERT. `name` is for people: `INSERT 1`.
    ///
    /// Errors: the table is sealed.
    pub fn insert(&self, name: impl Into<String>) -> Result<InsertHandle> {
        let mut contents = self.table.lock();
        if contents.sealed {
            let message = format!(
                "the table `{}` has ended: nothing more can be inserted",
                self.table.name
            );
            return Err(Error::refused(message));
        }
        let split = contents.inserts.len();
        contents.inserts.push(Inserted {
            name: name.into(),
            batches: Vec::new(),
            fate: Fate::Running,
        });
        ring(contents);
        Ok(InsertHandle {
            table: Arc::clone(&self.table),
            split,
        })
    }

    /// No more INSERTs: readers end when those that have begun have ended.
    pub fn seal(&self) {
        let mut contents = self.table.lock();
        contents.sealed = true;
        ring(contents);
    }

    /// What has been inserted so far; it ends there.
    pub fn snapshot_source(&self) -> Arc<dyn Source> {
        let contents = self.table.lock();
        let lengths = contents.inserts.iter().map(|i| i.batches.len()).collect();
        Arc::new(MemorySource {
            table: Arc::clone(&self.table),
            lengths: Some(lengths),
            watched: Mutex::default(),
        })
    }

    /// What has been inserted and what will be, until the table is sealed and every INSERT has ended.
    pub fn live_source(&self) -> Arc<dyn Source> {
        Arc::new(MemorySource {
            table: Arc::clone(&self.table),
            lengths: None,
            watched: Mutex::default(),
        })
    }
}

/// One running INSERT. Dropping it before its end stops it.
pub struct InsertHandle {
    table: Arc<Table>,
    split: usize,
}

impl InsertHandle {
    /// Adds rows, visible at once.
    ///
    /// Errors: they do not fit the table's columns (NULL where it is NOT NULL, say); nothing is added then.
    pub fn push(&self, batch: &RecordBatch) -> Result<()> {
        let table = &self.table;
        let batch = RecordBatch::try_new(Arc::clone(&table.schema), batch.columns().to_vec()).map_err(|e| {
            Error::data(format!(
                "rows inserted into `{}` do not fit its columns: {e}",
                table.name
            ))
        })?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut contents = table.lock();
        if let Some(inserted) = contents.inserts.get_mut(self.split) {
            inserted.batches.push(batch);
        }
        ring(contents);
        Ok(())
    }

    /// The INSERT is done.
    pub fn end(self) {
        self.close(Fate::Ended);
    }

    /// The INSERT has failed: more would have come.
    pub fn fail(self) {
        self.close(Fate::Failed);
    }

    fn close(&self, fate: Fate) {
        let mut contents = self.table.lock();
        let inserted = contents.inserts.get_mut(self.split);
        if let Some(inserted) = inserted.filter(|inserted| inserted.fate == Fate::Running) {
            inserted.fate = fate;
        }
        ring(contents);
    }
}

impl Drop for InsertHandle {
    fn drop(&mut self) {
        self.close(Fate::Stopped);
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Contents are changed by whole batches: what a panic leaves behind is whole.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn batch(&self, split: u32, block: u64) -> Option<RecordBatch> {
        let contents = self.lock();
        let batches = &contents.inserts.get(split as usize)?.batches;
        batches.get(block as usize).cloned()
    }

    fn project(&self, batch: &RecordBatch, columns: &[usize]) -> Result<RecordBatch> {
        let missing = || format!("`{}`: a column was asked for that the table does not have", self.name);
        batch
            .project(columns)
            .map_err(|e| Error::internal(missing()).because(e))
    }
}

/// Rings every reader, with the lock released: a bell may call back.
fn ring(contents: MutexGuard<'_, Contents>) {
    let bells: Vec<Bell> = contents.bells.values().cloned().collect();
    drop(contents);
    bells.iter().for_each(Bell::ring);
}

/// The table as a source. A block is a batch as it was inserted.
struct MemorySource {
    table: Arc<Table>,
    /// How many batches of each split a snapshot holds; `None`: all, now and later.
    lengths: Option<Vec<usize>>,
    /// The number of the bell for new splits, once there is one.
    watched: Mutex<Option<u64>>,
}

impl Source for MemorySource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    /// A live source is bounded once nothing can come any more.
    fn bounded(&self) -> bool {
        let contents = self.table.lock();
        self.lengths.is_some() || (contents.sealed && contents.inserts.iter().all(|i| i.fate != Fate::Running))
    }

    fn replayable(&self) -> bool {
        true
    }

    fn splits(&self) -> Result<Splits> {
        let contents = self.table.lock();
        let shown = self.lengths.as_ref().map_or(contents.inserts.len(), Vec::len);
        let split = |(id, inserted): (usize, &Inserted)| Split {
            id: id as u32,
            name: inserted.name.clone(),
        };
        Ok(Splits {
            known: contents.inserts.iter().take(shown).enumerate().map(split).collect(),
            more: self.lengths.is_none() && !contents.sealed,
        })
    }

    fn watch(&self, bell: Bell) {
        let number = self.table.lock().hang(bell);
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = Some(number);
    }

    fn open(&self, split: &Split, columns: &[usize], bell: Bell) -> Result<Box<dyn SplitReader>> {
        let number = self.table.lock().hang(bell);
        Ok(Box::new(MemoryReader {
            table: Arc::clone(&self.table),
            split: split.id,
            columns: columns.to_vec(),
            length: self
                .lengths
                .as_ref()
                .map(|l| l.get(split.id as usize).copied().unwrap_or(0)),
            block: 0,
            bell: number,
        }))
    }

    fn reread(
        &self,
        split: &Split,
        from: Offset,
        _to: Offset,
        rows: usize,
        columns: &[usize],
    ) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        let mut left = rows;
        let mut skip = from.row as usize;
        let mut block = from.block;
        while left > 0 {
            let Some(batch) = self.table.batch(split.id, block) else {
                let message = format!(
                    "`{}`: a recorded range is {left} rows longer than the table",
                    self.table.name
                );
                return Err(Error::internal(message));
            };
            let skipped = skip.min(batch.num_rows());
            let taken = left.min(batch.num_rows() - skipped);
            if taken > 0 {
                batches.push(self.table.project(&batch.slice(skipped, taken), columns)?);
            }
            left -= taken;
            skip = 0;
            block += 1;
        }
        Ok(batches)
    }
}

impl Drop for MemorySource {
    fn drop(&mut self) {
        let watched = self.watched.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = watched {
            self.table.lock().bells.remove(number);
        }
    }
}

/// Reads one INSERT, batch by batch.
struct MemoryReader {
    table: Arc<Table>,
    split: u32,
    columns: Vec<usize>,
    /// Where a snapshot ends, in batches.
    length: Option<usize>,
    block: u64,
    bell: u64,
}

impl MemoryReader {
    fn broken_off(&self, how: &str) -> Error {
        let table = &self.table.name;
        Error::connector(format!("what fills `{table}` {how}, so not all rows of it are there"))
    }
}

impl SplitReader for MemoryReader {
    fn next(&mut self) -> Result<Next> {
        if self.length.is_some_and(|length| self.block >= length as u64) {
            return Ok(Next::Ended);
        }
        let contents = self.table.lock();
        let Some(inserted) = contents.inserts.get(self.split as usize) else {
            return Ok(Next::Ended);
        };
        let Some(batch) = inserted.batches.get(self.block as usize).cloned() else {
            let whole = self.table.whole && self.length.is_none();
            return match inserted.fate {
                Fate::Running => Ok(Next::Pending),
                Fate::Failed if whole => Err(self.broken_off("has failed")),
                Fate::Stopped if whole => Err(self.broken_off("was stopped before its end")),
                Fate::Ended | Fate::Failed | Fate::Stopped => Ok(Next::Ended),
            };
        };
        drop(contents);
        let place = |block| Offset { block, row: 0 };
        let chunk = Chunk {
            from: place(self.block),
            to: place(self.block + 1),
            batch: self.table.project(&batch, &self.columns)?,
            bad: Vec::new(),
            watermark_ns: None,
            passed: None,
            text: None,
        };
        self.block += 1;
        Ok(Next::Chunk(chunk))
    }
}

impl Drop for MemoryReader {
    fn drop(&mut self) {
        self.table.lock().bells.remove(&self.bell);
    }
}
