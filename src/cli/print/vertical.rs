//! A line per value, for rows that are wider than a terminal.

use super::Style;
use super::cells::{Cells, width};
use super::out::Out;
use datafusion::arrow::array::RecordBatch;
use waterwheel::error::Result;

/// Counts the rows of one result.
#[derive(Default)]
pub struct Vertical {
    row: u64,
}

impl Vertical {
    /// Errors: a column that cannot be shown.
    pub fn rows(&mut self, style: &Style, batch: &RecordBatch, out: &mut Out) -> Result<()> {
        let schema = batch.schema();
        let columns: Vec<Cells> = batch
            .columns()
            .iter()
            .map(|c| Cells::of(c, style.null_text()))
            .collect::<Result<_>>()?;
        let widest = schema.fields().iter().map(|f| width(f.name())).max().unwrap_or(0);
        for row in 0..batch.num_rows() {
            self.row += 1;
            if style.header {
                out.text(&format!("─── row {} ───\n", self.row));
            }
            for (field, cells) in schema.fields().iter().zip(&columns) {
                let blank = " ".repeat(widest - width(field.name()));
                out.text(&format!("{blank}{} │ {}\n", field.name(), cells.line(row)));
            }
        }
        Ok(())
    }
}
