//! Values as people read them.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};
use waterwheel::error::{Error, Result};

/// One column as text.
pub struct Cells<'a> {
    column: &'a ArrayRef,
    null: &'a str,
    formatter: ArrayFormatter<'a>,
}

impl<'a> Cells<'a> {
    /// Errors: the type cannot be shown.
    pub fn of(column: &'a ArrayRef, null: &'a str) -> Result<Self> {
        let options = FormatOptions::default()
            .with_null(null)
            .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"))
            .with_duration_format(DurationFormat::Pretty);
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options)
            .map_err(|e| Error::refused("a column has a type that cannot be shown").because(e))?;
        Ok(Cells {
            column,
            null,
            formatter,
        })
    }

    /// The value of a row, on one line: control characters are written as escapes.
    pub fn line(&self, row: usize) -> String {
        shown(&self.raw(row))
    }

    /// The value of a row, line by line, as rows of one column.
    pub fn lines(&self, row: usize) -> Vec<Vec<String>> {
        let text = self.raw(row);
        let lines = text.split('\n').map(|line| vec![shown(line)]);
        lines.collect()
    }

    /// The value of a row as it is.
    pub fn raw(&self, row: usize) -> String {
        match self.column.is_null(row) {
            true => self.null.to_string(),
            false => self.formatter.value(row).to_string(),
        }
    }
}

fn shown(text: &str) -> String {
    match text.chars().any(char::is_control) {
        true => text.chars().map(visible).collect(),
        false => text.to_string(),
    }
}

fn visible(c: char) -> String {
    match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    }
}

/// How many columns of a terminal a text takes: marks that combine take none, wide letters two.
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let wide = |c: char| {
        matches!(c as u32,
            0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
            | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
    };
    let joined = |c: char| matches!(c as u32, 0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f | 0x20d0..=0x20ff);
    let cells = text.chars().map(|c| match c {
        c if joined(c) => 0,
        c if wide(c) => 2,
        _ => 1,
    });
    cells.sum()
}
