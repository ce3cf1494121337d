//! `partition_by`: rows dealt out to folders by the values of some columns.

use crate::dstream::table::{is_text_list, text_list};
use crate::error::{Error, Result, nearest};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{concat_batches, take_record_batch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{Row, RowConverter, SortField};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Arc;

/// What Hive, Spark and DuckDB call the folder of rows whose value is NULL.
pub const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// The columns that make the folders, and those that stay in the files.
pub struct Partitioning {
    names: Vec<String>,
    by: Vec<usize>,
    kept: Vec<usize>,
    pub schema: SchemaRef,
}

impl Partitioning {
    /// `columns` as in `'a, b'` or `['a', 'b']`; absent: no folders.
    ///
    /// Errors: a column is not there, or has no name; no column is left for the files.
    pub fn new(columns: Option<&str>, schema: &SchemaRef) -> Result<Self> {
        let known: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let listed = match columns {
            None => Vec::new(),
            Some(list) if is_text_list(list) => text_list(list),
            Some(text) => text.split(',').map(|name| name.trim().to_string()).collect(),
        };
        let mut by = Vec::new();
        for name in listed.iter().map(String::as_str) {
            if name.is_empty() {
                return Err(Error::refused(
                    "partition_by: a name is missing: it takes the names of columns, as in 'year, city'",
                ));
            }
            let Some(place) = known.iter().position(|k| *k == name) else {
                let mut message = format!(
                    "partition_by: column `{name}` is not in the rows, which have: {}",
                    known.join(", ")
                );
                if let Some(best) = nearest(name, known.iter().copied()).first() {
                    message.push_str(&format!("; did you mean `{best}`?"));
                }
                return Err(Error::refused(message));
            };
            if by.contains(&place) {
                return Err(Error::refused(format!("partition_by names `{name}` twice")));
            }
            by.push(place);
        }
        let kept: Vec<usize> = (0..known.len()).filter(|i| !by.contains(i)).collect();
        if kept.is_empty() {
            return Err(Error::refused(
                "partition_by names every column: none is left for the files",
            ));
        }
        Ok(Partitioning {
            names: by.iter().map(|&i| known[i].to_string()).collect(),
            schema: Arc::new(schema.project(&kept).map_err(broken)?),
            by,
            kept,
        })
    }

    /// The rows of each folder, in order, without the columns that the folder's name tells.
    ///
    /// Errors: a value has no form as text.
    pub fn deal(&self, batches: &[RecordBatch]) -> Result<BTreeMap<String, Vec<RecordBatch>>> {
        let mut folders: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
        for batch in batches.iter().filter(|b| b.num_rows() > 0) {
            if self.by.is_empty() {
                folders.entry(String::new()).or_default().push(batch.clone());
                continue;
            }
            let files = batch.project(&self.kept).map_err(broken)?;
            for (folder, rows) in self.rows_by_folder(batch)? {
                let taken = take_record_batch(&files, &UInt32Array::from(rows)).map_err(broken)?;
                folders.entry(folder).or_default().push(taken);
            }
        }
        let whole = |batches: Vec<RecordBatch>| concat_batches(&self.schema, &batches).map_err(broken);
        folders
            .into_iter()
            .map(|(folder, batches)| Ok((folder, vec![whole(batches)?])))
            .collect()
    }

    /// The places of each folder's rows, in order. A name is written once for each combination of values.
    fn rows_by_folder(&self, batch: &RecordBatch) -> Result<BTreeMap<String, Vec<u32>>> {
        let options = FormatOptions::default();
        let columns: Vec<ArrayRef> = self.by.iter().map(|&i| Arc::clone(batch.column(i))).collect();
        let shown = columns.iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options));
        let shown = shown.collect::<std::result::Result<Vec<_>, _>>().map_err(broken)?;
        let types = columns.iter().map(|c| SortField::new(c.data_type().clone()));
        let values = RowConverter::new(types.collect())
            .and_then(|rows| rows.convert_columns(&columns))
            .map_err(broken)?;
        let mut rows_of: HashMap<Row, Vec<u32>> = HashMap::new();
        for (at, value) in values.iter().enumerate() {
            rows_of.entry(value).or_default().push(at as u32);
        }
        // Values that differ may look the same, as do an empty text and NULL.
        let mut folders: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for rows in rows_of.into_values() {
            let name = self.folder(&columns, &shown, rows[0] as usize);
            folders.entry(name).or_default().extend(rows);
        }
        folders.values_mut().for_each(|rows| rows.sort_unstable());
        Ok(folders)
    }

    fn folder(&self, columns: &[ArrayRef], shown: &[ArrayFormatter], row: usize) -> String {
        let (mut folder, mut value) = (String::new(), String::new());
        for (at, name) in self.names.iter().enumerate() {
            if at > 0 {
                folder.push('/');
            }
            escape(name, &mut folder);
            folder.push('=');
            value.clear();
            if !columns[at].is_null(row) {
                // Writing to a text does not fail; the value itself was checked when the formatter was made.
                let _ = write!(value, "{}", shown[at].value(row));
            }
            match value.is_empty() {
                // As Hive does it: a folder cannot have an empty name.
                true => folder.push_str(NULL_FOLDER),
                false => escape(&value, &mut folder),
            }
        }
        folder
    }
}

/// Letters that mean something in paths, as `%2F`.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        if c.is_ascii_control() || "\"#%'*/:=?\\{}[]^<>|".contains(c) {
            // Writing to a text does not fail.
            let _ = write!(out, "%{:02X}", u32::from(c));
        } else {
            out.push(c);
        }
    }
}

fn broken(error: datafusion::arrow::error::ArrowError) -> Error {
    Error::internal("partition_by: the rows could not be dealt out").because(error)
}
