//! Rows of files, with the columns that their folders tell between their own.
//!
//! Guarantees: a file whose folders tell no values of their columns is one bad record. Start reading at [`FolderSource`].

use super::folders::{Folders, Told};
use super::source::file_of;
use crate::connectors::{Bell, Chunk, Next, Offset, Pruning, Source, Split, SplitReader, Splits};
use crate::error::{Error, Result};
use crate::formats::{BadRecord, OnError};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a table, with what their folders tell.
pub struct FolderSource {
    pub folders: Folders,
    pub files: Arc<dyn Source>,
    /// The files by the numbers of their splits, or, in one ordered split, by their own; `None`: the name of a split is
    /// that of its file.
    pub known: Option<Vec<PathBuf>>,
}

impl FolderSource {
    fn widening(&self, split: &Split, columns: &[usize]) -> Result<Widening> {
        Ok(Widening {
            schema: Arc::new(self.folders.schema.project(columns).map_err(broken)?),
            folders: self.folders.clone(),
            columns: columns.to_vec(),
            split: split.clone(),
            known: self.known.clone(),
            last: None,
        })
    }
}

impl Source for FolderSource {
    fn schema(&self) -> SchemaRef {
        self.folders.schema.clone()
    }

    fn bounded(&self) -> bool {
        self.files.bounded()
    }

    fn replayable(&self) -> bool {
        self.files.replayable()
    }

    fn pruned(&self, pruning: Pruning) -> Option<Arc<dyn Source>> {
        let files = self.files.pruned(pruning)?;
        Some(Arc::new(FolderSource {
            folders: self.folders.clone(),
            files,
            known: self.known.clone(),
        }))
    }

    fn splits(&self) -> Result<Splits> {
        self.files.splits()
    }

    fn is_ordered(&self) -> bool {
        self.files.is_ordered()
    }

    fn idle_timeout_ns(&self) -> Option<i64> {
        self.files.idle_timeout_ns()
    }

    fn watch(&self, bell: Bell) {
        self.files.watch(bell);
    }

    fn open(&self, split: &Split, columns: &[usize], bell: Bell) -> Result<Box<dyn SplitReader>> {
        Ok(Box::new(FolderReader {
            files: self.files.open(split, columns, bell)?,
            widening: self.widening(split, columns)?,
        }))
    }

    fn reread(
        &self,
        split: &Split,
        from: Offset,
        to: Offset,
        rows: usize,
        columns: &[usize],
    ) -> Result<Vec<RecordBatch>> {
        let mut widening = self.widening(split, columns)?;
        // A range is of one block, and so of one file.
        let batches = self.files.reread(split, from, to, rows, columns)?;
        widening.look(from)?;
        batches.into_iter().map(|batch| widening.widened(batch)).collect()
    }
}

struct FolderReader {
    files: Box<dyn SplitReader>,
    widening: Widening,
}

impl SplitReader for FolderReader {
    fn next(&mut self) -> Result<Next> {
        Ok(match self.files.next()? {
            Next::Chunk(mut chunk) => {
                let wrong = self.widening.look(chunk.from)?;
                chunk.bad.splice(0..0, wrong);
                Next::Chunk(Chunk {
                    batch: self.widening.widened(chunk.batch)?,
                    ..chunk
                })
            }
            other => other,
        })
    }

    fn committed(&mut self, to: Offset) {
        self.files.committed(to);
    }

    fn failed(&mut self, why: &Error) {
        self.files.failed(why);
    }
}

/// Puts what the folders of a file tell between the columns that it has.
struct Widening {
    folders: Folders,
    columns: Vec<usize>,
    schema: SchemaRef,
    split: Split,
    known: Option<Vec<PathBuf>>,
    /// The file that was looked at last, and what its folders tell.
    last: Option<(usize, Told)>,
}

impl Widening {
    /// Rows of the file that was looked at; none when its folders tell no values of their columns.
    fn widened(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let Some((_, Ok(told))) = &self.last else {
            return Ok(RecordBatch::new_empty(self.schema.clone()));
        };
        if told.iter().all(Option::is_none) {
            return Ok(batch);
        }
        let rows = batch.num_rows();
        let mut own = batch.columns().iter();
        let mut columns = Vec::with_capacity(self.columns.len());
        for value in told {
            let column = match value {
                Some(value) => value.to_array_of_size(rows).map_err(broken)?,
                None => own
                    .next()
                    .cloned()
                    .ok_or_else(|| Error::internal("a file lacks a column"))?,
            };
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(broken)
    }

    /// Looks at the folders of the file in which a place is, when it is another than before. Gives the file as a bad
    /// record if they tell no values of their columns.
    ///
    /// Errors: they do not, and that is the end.
    fn look(&mut self, place: Offset) -> Result<Option<BadRecord>> {
        let file = file_of(place);
        if self.last.as_ref().is_some_and(|(known, _)| *known == file) {
            return Ok(None);
        }
        let path = match &self.known {
            Some(files) => files.get(self.split.id as usize + file).map(PathBuf::as_path),
            None => Some(Path::new(&self.split.name)),
        };
        let path = path.ok_or_else(|| Error::internal(format!("{} has lost a file", self.split.name)))?;
        let told = self.folders.values(&self.columns, path);
        let wrong = told.as_ref().err().map(|message| BadRecord {
            split: path.display().to_string().into(),
            byte_offset: 0,
            line: 0,
            message: message.clone(),
            bytes: Vec::new(),
        });
        self.last = Some((file, told));
        match (wrong, self.folders.on_error) {
            (Some(wrong), OnError::Fail) => Err(Error::data(format!("{}: {}", wrong.split, wrong.message))),
            (wrong, _) => Ok(wrong),
        }
    }
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("the columns of folders do not fit").because(error)
}
