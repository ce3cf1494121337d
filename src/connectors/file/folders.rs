//! Folders called `a=1`, as `partition_by` makes them: what their names say are columns of the files below them.
//!
//! Owns: which columns of a table are told by folders, and putting them between those of the files. Guarantees: a file
//! is asked only for what is its own; a file whose folders tell no values of their columns is one bad record. Does **not** guarantee: that folders which appear later tell more columns than
//! those that were there at the start. Start reading at [`Folders`].

use super::locate::path_of;
use super::partition::NULL_FOLDER;
use super::paths::files_now;
use super::source::file_of;
use crate::connectors::{Bell, Chunk, Next, Offset, Source, Split, SplitReader, Splits};
use crate::dstream::table::TableSpec;
use crate::error::{Error, Result};
use crate::formats::{BadRecord, OnError, type_name};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The columns of a table that are told by the names of folders.
#[derive(Clone)]
pub struct Folders {
    root: PathBuf,
    names: Vec<String>,
    /// Of the whole table.
    schema: SchemaRef,
    /// Columns of the table in which no NULL may stand.
    required: Vec<usize>,
    on_error: OnError,
}

impl Folders {
    /// `None`: the path has no such folders, or the table does not declare what they tell.
    ///
    /// Errors: the directory cannot be read; the option `on_error` has a value that it cannot have.
    pub fn of(spec: &TableSpec) -> Result<Option<Folders>> {
        let root = Path::new(path_of(spec)?);
        let schema = spec.physical_schema();
        let mut names: Vec<String> = Vec::new();
        if root.is_dir() {
            for file in files_now(path_of(spec)?)? {
                for (name, _) in pairs(root, &file.path) {
                    if schema.index_of(&name).is_ok() && !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
        let on_error = OnError::of(spec)?;
        Ok((!names.is_empty()).then(|| Folders {
            root: root.to_path_buf(),
            names,
            schema,
            required: spec.required(),
            on_error,
        }))
    }

    fn tells(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// The table as its files have it.
    pub fn of_files(&self, spec: &TableSpec) -> TableSpec {
        let stays = |at: &usize| {
            let column = &spec.columns[*at];
            column.computed.is_some() || !self.tells(&column.name)
        };
        let kept: Vec<usize> = (0..spec.columns.len()).filter(stays).collect();
        let key = spec.primary_key.iter();
        TableSpec {
            columns: kept.iter().map(|at| spec.columns[*at].clone()).collect(),
            primary_key: key.filter_map(|key| kept.iter().position(|at| at == key)).collect(),
            watermark: None,
            ..spec.clone()
        }
    }

    /// The values that the folders of a file tell, for some columns of the table; `None`: the file has the column.
    ///
    /// Errors: a name is no value of its column.
    fn values(&self, columns: &[usize], file: &Path) -> Told {
        let pairs = pairs(&self.root, file);
        let value = |at: &usize| {
            let field = self.schema.field(*at);
            if !self.tells(field.name()) {
                return Ok(None);
            }
            let found = pairs.iter().rev().find(|(name, _)| name == field.name());
            let text = found.and_then(|(_, value)| value.clone());
            if text.is_none() && self.required.contains(at) {
                return Err(format!("its folder tells no `{}`, which may not be NULL", field.name()));
            }
            typed(text, field).map(Some)
        };
        columns.iter().map(value).collect()
    }
}

/// What the folders of a file tell, or what is wrong with that.
type Told = std::result::Result<Vec<Option<ScalarValue>>, String>;

/// The columns of inferred files, and behind them those that the folders of one of them tell, as text.
pub fn inferred(spec: &TableSpec, file: &Path, of_file: &SchemaRef) -> Result<SchemaRef> {
    let told = pairs(Path::new(path_of(spec)?), file).into_iter();
    let new = told.filter(|(name, _)| of_file.index_of(name).is_err());
    let new = new.map(|(name, _)| Arc::new(Field::new(name, DataType::Utf8, true)));
    Ok(Arc::new(Schema::new(
        of_file.fields().iter().cloned().chain(new).collect::<Vec<_>>(),
    )))
}

/// The names and values of the folders between a directory and a file of it; `None`: NULL.
fn pairs(root: &Path, file: &Path) -> Vec<(String, Option<String>)> {
    let below = file.strip_prefix(root).ok().and_then(Path::parent);
    let folders = below.into_iter().flat_map(Path::components);
    let pair = |folder: std::path::Component| {
        let folder = folder.as_os_str().to_str()?;
        let (name, value) = folder.split_once('=')?;
        Some((unescaped(name), (value != NULL_FOLDER).then(|| unescaped(value))))
    };
    folders.filter_map(pair).collect()
}

/// `a/b` of `a%2Fb`.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let code = rest
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(code.unwrap_or(b'%'));
        rest = &rest[at + if code.is_some() { 3 } else { 1 }..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_string())
}

/// One value of a column.
fn typed(text: Option<String>, field: &Field) -> std::result::Result<ScalarValue, String> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let array = cast_with_options(&StringArray::from(vec![text.as_deref()]), field.data_type(), &options);
    let value = array.ok().and_then(|array| ScalarValue::try_from_array(&array, 0).ok());
    value.ok_or_else(|| {
        format!(
            "`{}`: \"{}\" of its folder is no {}",
            field.name(),
            text.unwrap_or_default(),
            type_name(field.data_type())
        )
    })
}

/// The files of a table, with what their folders tell.
pub struct FolderSource {
    pub folders: Folders,
    pub files: Arc<dyn Source>,
    /// The files by the numbers of their splits, or, in one ordered split, by their own; `None`: the name of a split is
    /// that of its file.
    pub known: Option<Vec<PathBuf>>,
}

impl FolderSource {
    /// Which columns of the files are read for some of the table.
    fn of_files(&self, columns: &[usize]) -> Vec<usize> {
        let of_files = self.files.schema();
        let place = |at: &usize| {
            let name = self.folders.schema.field(*at).name();
            if self.folders.tells(name) {
                None
            } else {
                of_files.index_of(name).ok()
            }
        };
        columns.iter().filter_map(place).collect()
    }

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
            files: self.files.open(split, &self.of_files(columns), bell)?,
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
        let batches = self.files.reread(split, from, to, rows, &self.of_files(columns))?;
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
            bytes: path.as_os_str().as_encoded_bytes().to_vec(),
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
