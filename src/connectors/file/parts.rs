//! A directory of part files that appear whole.

use super::partition::Partitioning;
use super::sink::{Growing, Staged, Writing, already_there, unwritable};
use crate::connectors::Sink;
use crate::error::Result;
use datafusion::arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How the names of parts begin.
pub const PART: &str = "part-";

/// A directory of one file per interval that has rows, or of folders of such files.
pub struct PartSink {
    directory: PathBuf,
    writing: Writing,
    pub partitioning: Partitioning,
    /// Parts of an earlier run, to be removed when the first new one is published.
    replaced: Vec<PathBuf>,
    /// By interval.
    prepared: BTreeMap<u64, Vec<Staged>>,
}

impl PartSink {
    /// Errors: parts of an earlier run are there, and nobody said `overwrite`.
    pub fn open(directory: &Path, writing: Writing, partitioning: Partitioning, overwrite: bool) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|e| unwritable(directory, e))?;
        let replaced = replaced(directory, overwrite)?;
        Ok(PartSink {
            directory: directory.to_path_buf(),
            writing,
            partitioning,
            replaced,
            prepared: BTreeMap::new(),
        })
    }

    /// Begins a part of a folder, hidden beside its place.
    pub fn begin(&self, folder: &str, name: &str) -> Result<Growing> {
        let directory = self.directory.join(folder);
        fs::create_dir_all(&directory).map_err(|e| unwritable(&directory, e))?;
        self.writing
            .begin(&directory.join(format!("{PART}{name}.{}", self.writing.suffix())))
    }

    /// Writes the rows of one folder beside their place.
    fn stage(&self, interval: u64, folder: &str, batches: &[RecordBatch]) -> Result<Staged> {
        let mut file = self.begin(folder, &format!("{interval:012}"))?;
        batches.iter().try_for_each(|batch| file.write(batch))?;
        file.finish()
    }

    /// Removes what an earlier run left, once.
    pub fn remove_replaced(&mut self) -> Result<()> {
        for part in self.replaced.drain(..) {
            fs::remove_file(&part).map_err(|e| unwritable(&part, e))?;
        }
        Ok(())
    }
}

impl Sink for PartSink {
    fn prepare(&mut self, interval: u64, batches: &[RecordBatch]) -> Result<()> {
        if batches.iter().all(|b| b.num_rows() == 0) {
            return Ok(());
        }
        for (folder, batches) in self.partitioning.deal(batches)? {
            let staged = self.stage(interval, &folder, &batches)?;
            self.prepared.entry(interval).or_default().push(staged);
        }
        Ok(())
    }

    fn commit(&mut self, interval: u64) -> Result<()> {
        self.remove_replaced()?;
        let prepared = self.prepared.remove(&interval).unwrap_or_default();
        prepared.into_iter().try_for_each(Staged::publish)
    }

    fn abort(&mut self) -> Result<()> {
        self.prepared.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.remove_replaced()
    }
}

/// The parts that an earlier run left in a directory, which are to be replaced.
///
/// Errors: there are some, and nobody said `overwrite`.
pub fn replaced(directory: &Path, overwrite: bool) -> Result<Vec<PathBuf>> {
    let found = parts(directory).map_err(|e| unwritable(directory, e))?;
    match found.first().filter(|_| !overwrite) {
        Some(first) => Err(already_there(first)),
        None => Ok(found),
    }
}

/// The parts that an earlier run left in a directory and its folders, by name.
fn parts(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PART) {
            found.push(entry.path());
        } else if name.contains('=') && entry.file_type()?.is_dir() {
            found.extend(parts(&entry.path())?);
        }
    }
    found.sort();
    Ok(found)
}
