//! Rows on stdout.
//!
//! Owns: the formats, and what happens when nobody reads any more. Guarantees: rows are out when their interval is.
//! Start reading at [`Printer`].

mod arrow;
mod cells;
mod encoded;
mod out;
mod parquet;
mod table;
mod vertical;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use out::Out;
use std::sync::Arc;
use waterwheel::error::{Error, Result};
use waterwheel::metrics::Stopwatch;
use waterwheel::{Query, Update};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns under each other, for people
    Table,
    /// A line per value, for wide rows
    Vertical,
    Csv,
    Tsv,
    /// One array, of bounded results
    Json,
    /// One object per line
    Ndjson,
    Markdown,
    /// An Arrow IPC stream, for other programs
    Arrow,
    /// One Parquet file, of one bounded result
    Parquet,
}

/// What the flags, or the shell, say about output.
#[derive(Debug, Clone)]
pub struct Style {
    pub format: Format,
    pub null: Option<String>,
    pub header: bool,
    pub rows_max: Option<usize>,
    pub with_interval: bool,
    /// Whether people look on.
    pub terminal: bool,
}

impl Style {
    /// NULL in the formats for people.
    fn null_text(&self) -> &str {
        self.null.as_deref().unwrap_or("NULL")
    }
}

/// One result that is being written.
enum Sheet {
    Table(table::Table),
    Vertical(vertical::Vertical),
    Encoded(encoded::Encoded),
    Arrow(Box<arrow::Arrow>),
    Parquet(Box<parquet::Parquet>),
}

/// Writes results, one after the other.
pub struct Printer {
    pub style: Style,
    /// Whether a footer tells the time.
    pub timing: bool,
    out: Out,
    sheet: Option<Sheet>,
    /// Results that have begun.
    begun: usize,
    rows: usize,
    watch: Stopwatch,
}

impl Printer {
    pub fn stdout(style: Style) -> Printer {
        Printer {
            timing: style.terminal,
            style,
            out: Out::stdout(),
            sheet: None,
            begun: 0,
            rows: 0,
            watch: Stopwatch::start(),
        }
    }

    /// Begins the result of a query.
    ///
    /// Errors: the format is not one for this query.
    pub fn begin(&mut self, query: &Query) -> Result<()> {
        if let Some(refused) = self.unfit(query) {
            return Err(Error::refused(refused));
        }
        match self.style.with_interval {
            true => self.open(with_interval(&query.schema())),
            false => self.open(query.schema()),
        }
    }

    /// Why the format is not one for a query here.
    fn unfit(&self, query: &Query) -> Option<&'static str> {
        let is_endless = !query.bounded() && self.style.rows_max.is_none();
        match self.style.format {
            Format::Json if is_endless => {
                Some("--format json is one array, and this query has no end: use ndjson, one object per line")
            }
            Format::Parquet if is_endless => Some(
                "--format parquet is a file that ends with its index, and this query has no end: use arrow, a stream",
            ),
            Format::Arrow if self.style.terminal => {
                Some("--format arrow is not for a terminal: send it to a file or a program, as in > rows.arrows")
            }
            Format::Parquet if self.style.terminal => {
                Some("--format parquet is not for a terminal: send it to a file, as in > rows.parquet")
            }
            _ => None,
        }
    }

    fn open(&mut self, schema: SchemaRef) -> Result<()> {
        if self.style.format == Format::Parquet && self.begun > 0 {
            return Err(Error::refused(
                "--format parquet is one file, and so one result: write the others with COPY … TO 'file.parquet'",
            ));
        }
        self.begun += 1;
        self.rows = 0;
        self.watch = Stopwatch::start();
        let sheet = match self.style.format {
            Format::Table => Sheet::Table(table::Table::new(false, &schema)),
            Format::Markdown => Sheet::Table(table::Table::new(true, &schema)),
            Format::Arrow => Sheet::Arrow(Box::new(arrow::Arrow::new(&schema, &mut self.out)?)),
            Format::Parquet => Sheet::Parquet(Box::new(parquet::Parquet::new(schema)?)),
            Format::Vertical => Sheet::Vertical(vertical::Vertical::default()),
            Format::Csv | Format::Tsv | Format::Json | Format::Ndjson => {
                Sheet::Encoded(encoded::Encoded::new(&self.style, schema, &mut self.out)?)
            }
        };
        self.sheet = Some(sheet);
        Ok(())
    }

    /// Writes the rows of an interval, and sees that they leave.
    ///
    /// Errors: a value that cannot be written in the format.
    pub fn update(&mut self, update: &Update) -> Result<()> {
        match self.style.with_interval {
            true => self.batch(&marked(update)?)?,
            false => self.batch(&update.batch)?,
        }
        self.flush();
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let left = self.style.rows_max.map_or(usize::MAX, |max| max - self.rows.min(max));
        let batch = batch.slice(0, batch.num_rows().min(left));
        self.rows += batch.num_rows();
        match &mut self.sheet {
            Some(Sheet::Table(table)) => table.rows(&self.style, &batch, &mut self.out),
            Some(Sheet::Vertical(vertical)) => vertical.rows(&self.style, &batch, &mut self.out),
            Some(Sheet::Encoded(encoded)) => encoded.rows(&batch, &mut self.out),
            Some(Sheet::Arrow(arrow)) => arrow.rows(&batch, &mut self.out),
            Some(Sheet::Parquet(parquet)) => parquet.rows(&batch, &mut self.out),
            None => Ok(()),
        }
    }

    /// Ends a result: what its format needs at the end, and for people how much it was.
    pub fn end(&mut self) {
        let footer = self.style.terminal && matches!(self.style.format, Format::Table | Format::Vertical);
        let rows = if self.rows == 1 {
            "1 row".to_string()
        } else {
            format!("{} rows", self.rows)
        };
        match self.sheet.take() {
            Some(Sheet::Encoded(encoded)) => encoded.end(&mut self.out),
            Some(Sheet::Arrow(arrow)) => arrow.end(&mut self.out),
            Some(Sheet::Parquet(parquet)) => parquet.end(&mut self.out),
            // No row has come: people still want to see the columns.
            Some(Sheet::Table(mut table)) if self.rows == 0 => table.empty(&self.style, &mut self.out),
            _ => {}
        }
        match footer {
            true if self.timing => {
                self.out.text(&format!("({rows}, {:.2} s)\n", self.watch.seconds()));
            }
            true => self.out.text(&format!("({rows})\n")),
            false => {}
        }
        self.flush();
    }

    /// Ends a result that was stopped: that no row has come yet says nothing.
    pub fn stop(&mut self) {
        match self.sheet {
            Some(Sheet::Table(_) | Sheet::Vertical(_)) if self.rows == 0 => self.sheet = None,
            _ => self.end(),
        }
    }

    /// A small answer: begun, written and ended.
    ///
    /// Errors: a value that cannot be written in the format.
    pub fn small(&mut self, batch: &RecordBatch) -> Result<()> {
        self.open(batch.schema())?;
        self.batch(batch)?;
        self.end();
        Ok(())
    }

    /// The first column as plain lines, whatever the format.
    pub fn lines(&mut self, batch: &RecordBatch) {
        if let Some(column) = batch.columns().first() {
            let shown = cells::Cells::of(column, "NULL");
            for row in 0..batch.num_rows() {
                let line = shown.as_ref().map(|c| c.raw(row)).unwrap_or_default();
                self.out.text(&line);
                self.out.text("\n");
            }
        }
    }

    /// Text for people.
    pub fn text(&mut self, text: &str) {
        self.out.text(text);
        self.flush();
    }

    pub fn flush(&mut self) {
        self.out.flush();
    }

    /// Whether as many rows as were asked for have been written.
    pub fn is_full(&self) -> bool {
        self.style.rows_max.is_some_and(|max| self.rows >= max)
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.out.is_closed()
    }

    /// Whether rows can be written no more, for whatever reason.
    pub fn is_gone(&self) -> bool {
        self.out.is_gone()
    }

    /// Why rows could not be written, other than that nobody reads.
    pub fn failure(&mut self) -> Option<Error> {
        self.out.failure()
    }
}

/// The columns with the number of the interval before them.
fn with_interval(schema: &SchemaRef) -> SchemaRef {
    let mut fields = vec![Arc::new(Field::new("interval", DataType::Int64, false))];
    fields.extend(schema.fields().iter().cloned());
    Arc::new(Schema::new(fields))
}

fn marked(update: &Update) -> Result<RecordBatch> {
    let rows = update.batch.num_rows();
    let interval = i64::try_from(update.interval).unwrap_or(i64::MAX);
    let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_value(interval, rows))];
    columns.extend(update.batch.columns().iter().cloned());
    let marked = RecordBatch::try_new(with_interval(&update.batch.schema()), columns);
    marked.map_err(|e| Error::internal("the interval could not be shown").because(e))
}
