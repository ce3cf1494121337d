//! Rows under each other, for terminals and for Markdown, printed as they come.

use super::Style;
use super::cells::{Cells, width};
use super::out::Out;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use waterwheel::error::Result;
use waterwheel::formats::type_name;

/// A table whose widths come from its first rows, and grow when a wider value comes.
pub struct Table {
    markdown: bool,
    names: Vec<String>,
    types: Vec<String>,
    right: Vec<bool>,
    widths: Vec<usize>,
    begun: bool,
}

impl Table {
    pub fn new(markdown: bool, schema: &SchemaRef) -> Table {
        let fields = schema.fields();
        Table {
            markdown,
            names: fields.iter().map(|f| f.name().clone()).collect(),
            types: fields.iter().map(|f| type_name(f.data_type())).collect(),
            right: fields.iter().map(|f| f.data_type().is_numeric()).collect(),
            widths: vec![0; fields.len()],
            begun: false,
        }
    }

    /// Errors: a column that cannot be shown.
    pub fn rows(&mut self, style: &Style, batch: &RecordBatch, out: &mut Out) -> Result<()> {
        let null = style.null_text();
        let columns: Vec<Cells> = batch
            .columns()
            .iter()
            .map(|c: &ArrayRef| Cells::of(c, null))
            .collect::<Result<_>>()?;
        let rows: Vec<Vec<String>> = match columns.as_slice() {
            // A text of several lines that stands alone can be copied as it is.
            [only] if !self.markdown => (0..batch.num_rows()).flat_map(|row| only.lines(row)).collect(),
            _ => (0..batch.num_rows())
                .map(|row| columns.iter().map(|c| self.escaped(c.line(row))).collect())
                .collect(),
        };
        for row in &rows {
            self.widen(row);
        }
        if !self.begun {
            self.head(style, out);
        }
        for row in &rows {
            self.line(row, out);
        }
        Ok(())
    }

    /// The head of a table without rows.
    pub fn empty(&mut self, style: &Style, out: &mut Out) {
        if !self.begun {
            self.head(style, out);
        }
    }

    fn escaped(&self, cell: String) -> String {
        match self.markdown {
            true => cell.replace('|', "\\|"),
            false => cell,
        }
    }

    fn widen(&mut self, row: &[String]) {
        for (known, cell) in self.widths.iter_mut().zip(row) {
            *known = (*known).max(width(cell));
        }
    }

    /// Names, then types (a table) or the rule that makes it one (Markdown, which cannot do without names).
    fn head(&mut self, style: &Style, out: &mut Out) {
        self.begun = true;
        if !style.header && !self.markdown {
            return;
        }
        let (names, types) = (self.names.clone(), self.types.clone());
        self.widen(&names);
        if !self.markdown {
            self.widen(&types);
        }
        self.line(&names, out);
        if !self.markdown {
            self.line(&types, out);
        }
        let rule = self
            .widths
            .iter()
            .zip(&self.right)
            .map(|(width, right)| match (self.markdown, right) {
                (false, _) => "─".repeat(width + 2),
                (true, true) => format!("{}:", "-".repeat(width + 1)),
                (true, false) => "-".repeat(width + 2),
            });
        let rule: Vec<String> = rule.collect();
        match self.markdown {
            true => out.text(&format!("|{}|\n", rule.join("|"))),
            false => out.text(&format!("{}\n", rule.join("┼"))),
        }
    }

    fn line(&self, cells: &[String], out: &mut Out) {
        let mut line = String::new();
        let bar = if self.markdown { "|" } else { "│" };
        if self.markdown {
            line.push_str(bar);
        }
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                line.push_str(bar);
            }
            let blank = " ".repeat(self.widths[index].saturating_sub(width(cell)));
            line.push(' ');
            match self.right[index] {
                true => [blank.as_str(), cell].iter().for_each(|part| line.push_str(part)),
                false => [cell.as_str(), &blank].iter().for_each(|part| line.push_str(part)),
            }
            line.push(' ');
        }
        if self.markdown {
            line.push_str(bar);
        }
        out.text(line.trim_end());
        out.text("\n");
    }
}
