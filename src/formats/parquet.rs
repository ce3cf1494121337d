//! Parquet row groups to batches.

use super::decode::{Decoded, Wanted};
use super::typed::{Fit, plain_fields, table_columns};
use super::words::unreadable;
use super::{Constants, Fate, OnError, Pruning};
use crate::error::{Error, Result};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
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
    let broken = |e: ParquetError| Error::connector(unreadable(source, "Parquet")).because(e);
    let options = ArrowReaderOptions::new();
    let footer = ArrowReaderMetadata::load(input, options.clone()).map_err(broken)?;
    let plain = Arc::new(Schema::new(plain_fields(footer.schema().fields())));
    Ok(ArrowReaderMetadata::try_new(footer.metadata().clone(), options.with_schema(plain)).unwrap_or(footer))
}

/// The columns of a file as those of a table.
pub fn columns(footer: &ArrowReaderMetadata) -> SchemaRef {
    table_columns(footer.schema().fields())
}

/// How the wanted columns are taken from one file.
#[derive(Debug, Clone)]
pub struct ParquetPlan {
    footer: ArrowReaderMetadata,
    mask: ProjectionMask,
    /// For each wanted column its place among the columns that the reader gives (which stand in the file's order).
    places: Vec<usize>,
    fit: Fit,
}

impl ParquetPlan {
    /// Errors: a declared column is not in the file.
    pub fn new(footer: ArrowReaderMetadata, wanted: &Wanted, on_error: OnError, source: &str) -> Result<Self> {
        let fit = Fit::new(footer.schema(), wanted, on_error, source)?;
        let mut sorted = fit.roots().to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        Ok(ParquetPlan {
            mask: ProjectionMask::roots(footer.parquet_schema(), sorted.iter().copied()),
            places: fit
                .roots()
                .iter()
                .filter_map(|r| sorted.iter().position(|s| s == r))
                .collect(),
            fit,
            footer,
        })
    }

    /// What becomes of the row groups; the same whatever columns are wanted.
    pub fn fates(&self, pruning: &Pruning, wanted: &Wanted, constants: &Constants) -> Vec<Fate> {
        pruning.fates(&self.footer, &wanted.schema, &wanted.never_null(), constants)
    }

    /// No rows.
    pub fn nothing(&self) -> Decoded {
        self.fit.nothing()
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
        self.fit.drops_rows()
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
        let columns: Vec<ArrayRef> = self.places.iter().map(|&at| batch.column(at).clone()).collect();
        let group = opened.group;
        let place = |row| format!("row {} of row group {group}", first + row);
        self.fit.rows(&columns, batch.num_rows(), &place).map(Some)
    }

    fn unreadable(&self, group: usize) -> Error {
        Error::connector(format!("{}: row group {group} cannot be read", self.fit.source()))
    }
}

/// A row group that is being read.
pub struct GroupReader {
    reader: ParquetRecordBatchReader,
    group: usize,
    /// Of the next row, in the group.
    row: usize,
}
