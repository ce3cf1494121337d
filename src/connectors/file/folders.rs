//! Folders called `a=1`, as `partition_by` makes them: what their names say are columns of the files below them.
//!
//! Owns: which columns of a table the folders of a file tell. Guarantees: each file is asked for what its own folders do
//! not tell, and for nothing else, whatever the folders of others tell.
//! Start reading at [`Folders`].

use super::locate::path_of;
use super::partition::NULL_FOLDER;
use super::paths::is_glob;
use crate::dstream::table::TableSpec;
use crate::error::Result;
use crate::formats::{Constants, OnError, Wanted, type_name};
use datafusion::arrow::array::StringArray;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the names of folders tell columns of a table.
#[derive(Debug, Clone)]
pub struct Folders {
    root: PathBuf,
    /// Of the whole table.
    pub schema: SchemaRef,
    /// Columns of the table in which no NULL may stand.
    required: Vec<usize>,
    pub on_error: OnError,
}

impl Folders {
    /// Errors: the option `on_error` has a value that it cannot have.
    pub fn of(spec: &TableSpec) -> Result<Folders> {
        Ok(Folders {
            root: root(path_of(spec)?),
            schema: spec.physical_schema(),
            required: spec.required(),
            on_error: OnError::of(spec)?,
        })
    }

    /// Whether the folders of a file tell a column of the table.
    pub fn tell_of(&self, file: &Path) -> bool {
        let mut pairs = pairs(&self.root, file).into_iter();
        pairs.any(|(name, _)| self.schema.index_of(&name).is_ok())
    }

    /// What is wanted of a file itself: all that its folders do not tell.
    pub fn own(&self, wanted: &Wanted, file: &Path) -> Wanted {
        if !self.tell_of(file) {
            return wanted.clone();
        }
        let pairs = pairs(&self.root, file);
        let is_told = |at: &usize| pairs.iter().any(|(name, _)| name == wanted.schema.field(*at).name());
        let kept: Vec<usize> = (0..wanted.schema.fields().len()).filter(|at| !is_told(at)).collect();
        let places = |all: &[usize]| all.iter().filter_map(|at| kept.iter().position(|k| k == at)).collect();
        let fields = kept.iter().map(|at| wanted.schema.fields()[*at].clone());
        Wanted {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            columns: places(&wanted.columns),
            key: places(&wanted.key),
            text: wanted.text,
        }
    }

    /// The values that the folders of a file tell, for some columns of the table; `None`: the file has the column.
    ///
    /// Errors: a name is no value of its column.
    pub fn values(&self, columns: &[usize], file: &Path) -> Told {
        let pairs = pairs(&self.root, file);
        let value = |at: &usize| {
            let field = self.schema.field(*at);
            let Some((_, text)) = pairs.iter().rev().find(|(name, _)| name == field.name()) else {
                return Ok(None);
            };
            if text.is_none() && self.required.contains(at) {
                return Err(format!("its folder tells no `{}`, which may not be NULL", field.name()));
            }
            typed(text.clone(), field).map(Some)
        };
        columns.iter().map(value).collect()
    }

    /// The columns of the table that the folders of a file tell, with their values; `None`: a name is no value.
    pub fn constants(&self, file: &Path) -> Option<Constants> {
        if !self.tell_of(file) {
            return Some(Constants::new());
        }
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let values = self.values(&all, file).ok()?.into_iter();
        let told = values.zip(self.schema.fields());
        Some(
            told.filter_map(|(value, field)| Some((field.name().clone(), value?)))
                .collect(),
        )
    }
}

/// The part of a path below which folders tell columns: that before the first folder with a wildcard.
fn root(path: &str) -> PathBuf {
    let parts = Path::new(path).components();
    let fixed = |part: &std::path::Component| !is_glob(&part.as_os_str().to_string_lossy());
    match is_glob(path) && !Path::new(path).exists() {
        true => parts.take_while(fixed).collect(),
        false => parts.collect(),
    }
}

/// What the folders of a file tell, or what is wrong with that.
pub type Told = std::result::Result<Vec<Option<ScalarValue>>, String>;

/// The columns of inferred files, and behind them those that the folders of one of them tell, as text.
pub fn inferred(spec: &TableSpec, file: &Path, of_file: &SchemaRef) -> Result<SchemaRef> {
    let told = pairs(&root(path_of(spec)?), file).into_iter();
    let new = told.filter(|(name, _)| of_file.index_of(name).is_err());
    let new = new.map(|(name, _)| Arc::new(Field::new(name, DataType::Utf8, true)));
    Ok(Arc::new(Schema::new(
        of_file.fields().iter().cloned().chain(new).collect::<Vec<_>>(),
    )))
}

/// The names and values of the folders between a directory and a file of it; `None`: NULL.
fn pairs(root: &Path, file: &Path) -> Vec<(String, Option<String>)> {
    // What a glob finds lacks the `./` with which it may begin.
    let bare = |path: &Path| path.strip_prefix(".").unwrap_or(path).to_path_buf();
    let file = bare(file);
    let below = file.strip_prefix(bare(root)).ok().and_then(Path::parent);
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
