//! Parquet row groups to batches.

use super::decode::{BadRecord, Decoded, Wanted, batch_of};
use super::{OnError, type_name};
use crate::error::{Error, Result, nearest};
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{
    CastOptions, cast_with_options, filter_record_batch, is_not_null, kernels::boolean::and,
};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::reader::ChunkReader;
use std::sync::Arc;

/// Rows of a batch: the largest size at which the columns of a wide table still fit the caches.
const BATCH_ROWS: usize = 8192;

/// The footer of a file, with text columns as plain text whatever encoding their writer preferred.
///
/// Errors: the file cannot be read, or is no Parquet file.
pub fn read_footer<T: ChunkReader>(input: &T, source: &str) -> Result<ArrowReaderMetadata> {
    let broken = |e: ParquetError| Error::connector(format!("{source} is not a readable Parquet file")).because(e);
    let options = ArrowReaderOptions::new();
    let footer = ArrowReaderMetadata::load(input, options.clone()).map_err(broken)?;
    let plain = Arc::new(Schema::new(plain_fields(footer.schema().fields())));
    Ok(ArrowReaderMetadata::try_new(footer.metadata().clone(), options.with_schema(plain)).unwrap_or(footer))
}

/// The columns of a file as those of a table.
pub fn columns(footer: &ArrowReaderMetadata) -> SchemaRef {
    let nullable = |f: &Arc<Field>| f.as_ref().clone().with_nullable(true).with_metadata(Default::default());
    Arc::new(Schema::new(
        plain_fields(footer.schema().fields())
            .iter()
            .map(nullable)
            .collect::<Vec<_>>(),
    ))
}

fn plain_fields(fields: &Fields) -> Fields {
    let plain = |f: &Arc<Field>| f.as_ref().clone().with_data_type(plain_type(f.data_type()));
    fields.iter().map(plain).collect()
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::List(item) => DataType::List(Arc::new(
            item.as_ref().clone().with_data_type(plain_type(item.data_type())),
        )),
        DataType::Struct(fields) => DataType::Struct(plain_fields(fields)),
        other => other.clone(),
    }
}

/// How the wanted columns are taken from one file.
#[derive(Debug, Clone)]
pub struct ParquetPlan {
    footer: ArrowReaderMetadata,
    mask: ProjectionMask,
    /// For each wanted column its place among the columns that the reader gives (which stand in the file's order).
    places: Vec<usize>,
    schema: SchemaRef,
    required: Vec<usize>,
    on_error: OnError,
    source: String,
}

impl ParquetPlan {
    /// Errors: a declared column is not in the file.
    pub fn new(footer: ArrowReaderMetadata, wanted: &Wanted, on_error: OnError, source: &str) -> Result<Self> {
        let file = footer.schema().clone();
        let place = |field: &Arc<Field>| match file.index_of(field.name()) {
            Ok(place) => Ok(place),
            Err(_) => Err(missing(field.name(), &file, source)),
        };
        let all = wanted.schema.fields().iter().map(place).collect::<Result<Vec<_>>>()?;
        let roots: Vec<usize> = wanted.columns.iter().map(|&i| all[i]).collect();
        let mut sorted = roots.clone();
        sorted.sort_unstable();
        sorted.dedup();
        Ok(ParquetPlan {
            mask: ProjectionMask::roots(footer.parquet_schema(), sorted.iter().copied()),
            places: roots
                .iter()
                .filter_map(|r| sorted.iter().position(|s| s == r))
                .collect(),
            schema: wanted.projected(),
            required: wanted.required(),
            on_error,
            source: source.to_string(),
            footer,
        })
    }

    /// How many row groups the file has.
    pub fn groups(&self) -> usize {
        self.footer.metadata().num_row_groups()
    }

    /// How many rows a row group has.
    pub fn rows(&self, group: usize) -> usize {
        usize::try_from(self.footer.metadata().row_group(group).num_rows()).unwrap_or(0)
    }

    /// Whether rows may be left out, so that places in the output are not places in the file.
    pub fn drops_rows(&self) -> bool {
        !self.required.is_empty() && self.on_error != OnError::Fail
    }

    /// Opens a row group at its row `skip`.
    ///
    /// Errors: the file cannot be read.
    pub fn open<T: ChunkReader + 'static>(&self, input: T, group: usize, skip: usize) -> Result<GroupReader> {
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, self.footer.clone())
            .with_row_groups(vec![group])
            .with_projection(self.mask.clone())
            .with_batch_size(BATCH_ROWS);
        if skip > 0 {
            let rest = self.rows(group).saturating_sub(skip);
            let selection = vec![RowSelector::skip(skip), RowSelector::select(rest)];
            builder = builder.with_row_selection(RowSelection::from(selection));
        }
        Ok(GroupReader {
            reader: builder.build().map_err(|e| self.unreadable(group).because(e))?,
            row: skip,
            group,
        })
    }

    /// The next rows of an opened row group; `None` at its end.
    ///
    /// Errors: the file is broken, or a value does not fit the declared type.
    pub fn next(&self, opened: &mut GroupReader) -> Result<Option<Decoded>> {
        let Some(batch) = opened.reader.next() else {
            return Ok(None);
        };
        let batch = batch.map_err(|e| self.unreadable(opened.group).because(e))?;
        let first = opened.row;
        opened.row += batch.num_rows();
        let typed = self
            .places
            .iter()
            .zip(self.schema.fields())
            .map(|(&at, to)| self.cast(batch.column(at), to));
        let columns = typed.collect::<Result<Vec<_>>>()?;
        self.check_nulls(columns, batch.num_rows(), opened.group, first)
            .map(Some)
    }

    fn cast(&self, column: &ArrayRef, to: &Field) -> Result<ArrayRef> {
        if column.data_type() == to.data_type() {
            return Ok(column.clone());
        }
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(column, to.data_type(), &options).map_err(|e| {
            let (from, wanted) = (type_name(column.data_type()), type_name(to.data_type()));
            let message = format!(
                "{}: column `{}`: a {from} of the file is no {wanted}",
                self.source,
                to.name()
            );
            Error::data(message).because(e)
        })
    }

    /// A batch of the rows whose required columns are not NULL.
    fn check_nulls(&self, columns: Vec<ArrayRef>, rows: usize, group: usize, first: usize) -> Result<Decoded> {
        let broken = |e| Error::internal(format!("{}: a batch could not be made", self.source)).because(e);
        let guilty: Vec<usize> = self
            .required
            .iter()
            .copied()
            .filter(|&i| columns[i].null_count() > 0)
            .collect();
        let whole = |columns, rows| batch_of(&self.schema, columns, rows).map_err(broken);
        if guilty.is_empty() {
            return Ok(Decoded {
                batch: whole(columns, rows)?,
                bad: Vec::new(),
                stop: None,
            });
        }
        let mut keep = BooleanArray::from(vec![true; rows]);
        for &i in &guilty {
            keep = and(&keep, &is_not_null(&columns[i]).map_err(broken)?).map_err(broken)?;
        }
        let bad = (0..rows).filter(|&row| !keep.value(row)).map(|row| {
            let column = guilty
                .iter()
                .find(|&&i| columns[i].is_null(row))
                .map_or("", |&i| self.schema.field(i).name());
            BadRecord {
                byte_offset: 0,
                line: 0,
                message: format!(
                    "row {} of row group {group}: column `{column}` may not be NULL",
                    first + row
                ),
                bytes: Vec::new(),
            }
        });
        let mut bad: Vec<BadRecord> = bad.collect();
        if self.on_error == OnError::Fail {
            let before = keep.iter().position(|k| k != Some(true)).unwrap_or(rows);
            let stop = bad
                .drain(..)
                .next()
                .map(|b| Error::data(format!("{}: {}", self.source, b.message)));
            let columns = columns.iter().map(|c| c.slice(0, before)).collect();
            let batch = whole(columns, before)?;
            return Ok(Decoded { batch, bad, stop });
        }
        let nullable = |f: &Arc<Field>| f.as_ref().clone().with_nullable(true);
        let loose = Schema::new(self.schema.fields().iter().map(nullable).collect::<Vec<_>>());
        let batch = RecordBatch::try_new(Arc::new(loose), columns).map_err(broken)?;
        let kept = filter_record_batch(&batch, &keep).map_err(broken)?;
        let rows = kept.num_rows();
        Ok(Decoded {
            batch: whole(kept.columns().to_vec(), rows)?,
            bad,
            stop: None,
        })
    }

    fn unreadable(&self, group: usize) -> Error {
        Error::connector(format!("{}: row group {group} cannot be read", self.source))
    }
}

/// A row group that is being read.
pub struct GroupReader {
    reader: ParquetRecordBatchReader,
    group: usize,
    /// Of the next row, in the group.
    row: usize,
}

fn missing(name: &str, file: &Schema, source: &str) -> Error {
    let names: Vec<&str> = file.fields().iter().map(|f| f.name().as_str()).collect();
    let mut message = format!(
        "{source}: column `{name}` is not in the file, which has: {}",
        names.join(", ")
    );
    if let Some(best) = nearest(name, names.iter().copied()).first() {
        message.push_str(&format!("; did you mean `{best}`?"));
    }
    Error::connector(message)
}
