//! Answers as multisets: exact types exactly, floats within a billionth of the sum of magnitudes.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use std::cmp::Ordering;

/// One value of an answer.
#[derive(Debug, Clone)]
enum Cell {
    Exact(String),
    Float(f64),
}

/// Rows; unless their order matters, sorted so that equal multisets lie side by side: by what is exact, then by floats.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    rows: Vec<Vec<Cell>>,
    types: Option<Vec<DataType>>,
}

impl Answer {
    pub fn of(batches: &[RecordBatch], ordered: bool) -> Answer {
        let mut answer = Answer::default();
        batches.iter().for_each(|batch| answer.add(batch));
        if !ordered {
            answer.rows.sort_by(|a, b| compare(a, b));
        }
        answer
    }

    fn add(&mut self, batch: &RecordBatch) {
        let types = batch.schema().fields().iter().map(|f| plain(f.data_type())).collect();
        self.types.get_or_insert(types);
        let columns: Vec<Vec<Cell>> = batch.columns().iter().map(|c| cells(c.as_ref())).collect();
        for row in 0..batch.num_rows() {
            self.rows.push(columns.iter().map(|c| c[row].clone()).collect());
        }
    }

    /// Where the answers differ, for people; `None` when they are equal.
    pub fn difference(&self, expected: &Answer, tolerance: f64) -> Option<String> {
        if let (Some(found), Some(wanted)) = (&self.types, &expected.types)
            && found != wanted
        {
            return Some(format!("types {found:?}, expected {wanted:?}"));
        }
        let same = self.rows.len() == expected.rows.len()
            && self
                .rows
                .iter()
                .zip(&expected.rows)
                .all(|(a, b)| alike(a, b, tolerance));
        if same {
            return None;
        }
        let missing = left_over(&expected.rows, &self.rows, tolerance);
        let surplus = left_over(&self.rows, &expected.rows, tolerance);
        let mut text = format!("{} rows, expected {}", self.rows.len(), expected.rows.len());
        for (what, rows) in [("missing", missing), ("surplus", surplus)] {
            for row in rows.iter().take(8) {
                text.push_str(&format!("\n  {what}: {}", show(row)));
            }
        }
        Some(text)
    }
}

/// Rows of `a` without a partner in `b`.
fn left_over(a: &[Vec<Cell>], b: &[Vec<Cell>], tolerance: f64) -> Vec<Vec<Cell>> {
    let mut free: Vec<&Vec<Cell>> = b.iter().collect();
    let mut left = Vec::new();
    for row in a {
        match free.iter().position(|other| alike(row, other, tolerance)) {
            Some(place) => drop(free.swap_remove(place)),
            None => left.push(row.clone()),
        }
    }
    left
}

/// Text is text, however it is laid out.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::List(field) => DataType::new_list(plain(field.data_type()), true),
        other => other.clone(),
    }
}

fn cells(column: &dyn Array) -> Vec<Cell> {
    if column.data_type().is_floating() {
        let floats = cast(column, &DataType::Float64).expect("a float is a float");
        let floats = floats.as_primitive::<Float64Type>();
        let cell = |f: Option<f64>| f.map_or(Cell::Exact("NULL".into()), Cell::Float);
        return floats.iter().map(cell).collect();
    }
    let options = FormatOptions::default().with_null("NULL");
    let shown = ArrayFormatter::try_new(column, &options).expect("every type can be shown");
    let cell = |row| match column.is_null(row) {
        true => Cell::Exact("NULL".into()),
        false => Cell::Exact(format!("'{}'", shown.value(row))),
    };
    (0..column.len()).map(cell).collect()
}

fn compare(a: &[Cell], b: &[Cell]) -> Ordering {
    let exact = |row: &[Cell]| -> Vec<String> {
        let of = |c: &Cell| match c {
            Cell::Exact(text) => text.clone(),
            Cell::Float(_) => "~".into(),
        };
        row.iter().map(of).collect()
    };
    let floats = |row: &[Cell]| -> Vec<f64> {
        let of = |c: &Cell| match c {
            Cell::Exact(_) => None,
            Cell::Float(f) => Some(*f),
        };
        row.iter().filter_map(of).collect()
    };
    exact(a).cmp(&exact(b)).then_with(|| {
        let (a, b) = (floats(a), floats(b));
        let each = a.iter().zip(&b).map(|(a, b)| a.total_cmp(b));
        each.fold(Ordering::Equal, Ordering::then)
    })
}

fn alike(a: &[Cell], b: &[Cell], tolerance: f64) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| match (a, b) {
            (Cell::Exact(a), Cell::Exact(b)) => a == b,
            (Cell::Float(a), Cell::Float(b)) => a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance,
            _ => false,
        })
}

fn show(row: &[Cell]) -> String {
    let cell = |c: &Cell| match c {
        Cell::Exact(text) => text.clone(),
        Cell::Float(f) => format!("{f:?}"),
    };
    row.iter().map(cell).collect::<Vec<_>>().join(" | ")
}
