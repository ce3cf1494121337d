//! Made-up rows: a seeded generator of tables with everything in them that an engine may stumble over.
//!
//! NULLs in keys, values and event times; duplicates; skew; negative zero, NaN and infinities; rows out of order and
//! late; event times before 1970; seconds to nanoseconds; splits without rows.

use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

/// A small generator of numbers (xorshift), so that a seed is all that a failure needs.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        // Neighbouring seeds must not give neighbouring sequences.
        Rng(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// One row. `ts` is in the unit of its table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub id: i64,
    pub k: Option<i64>,
    pub s: Option<String>,
    pub v: Option<i64>,
    pub f: Option<f64>,
    pub ts: Option<i64>,
}

/// A source and its rows, split by split, in their order.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: &'static str,
    pub unit: TimeUnit,
    pub delay_ms: i64,
    pub splits: Vec<Vec<Row>>,
    /// JSON cannot write them.
    pub odd_floats: bool,
}

/// How a table is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub rows: usize,
    pub splits: usize,
    pub unit: TimeUnit,
    pub odd_floats: bool,
    pub spread: Spread,
}

/// How long the rows of a table take in event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Less than a hundredth of a second.
    Micros,
    /// A minute or two.
    Minutes,
    /// Days, across a change of the clocks of Europe.
    Days,
    /// Months.
    Months,
}

impl Spread {
    /// A stretch of time where a minute or two were meant.
    fn stretched(self, n: i64) -> i64 {
        match self {
            Spread::Micros => n / 10_000,
            Spread::Minutes => n,
            Spread::Days => n * 10_000,
            Spread::Months => n * 200_000,
        }
    }

    /// Event times to start at, in seconds; one lies a little before 1970, and the data then run across it.
    fn starts(self) -> [i64; 3] {
        match self {
            Spread::Micros => [-1, 1_704_103_200, 0],
            Spread::Minutes => [-35, 1_704_103_200, 0],
            // 2024-03-29 and 2024-10-25.
            Spread::Days => [-150_000, 1_711_742_400, 1_729_872_000],
            Spread::Months => [-5_000_000, 1_703_000_000, 1_720_000_000],
        }
    }
}

impl Shape {
    /// Few rows, anything allowed.
    pub fn small(rng: &mut Rng, splits: usize) -> Shape {
        let units = [
            TimeUnit::Second,
            TimeUnit::Millisecond,
            TimeUnit::Microsecond,
            TimeUnit::Nanosecond,
        ];
        Shape {
            rows: if rng.one_in(12) { 0 } else { 20 + rng.below(50) as usize },
            splits,
            unit: rng.pick(&units),
            odd_floats: rng.one_in(2),
            spread: Spread::Minutes,
        }
    }
}

pub fn unit_ns(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// Makes up a table.
pub fn table(name: &'static str, rng: &mut Rng, shape: Shape) -> Table {
    let start_s = rng.pick(&shape.spread.starts());
    let delay_ms = match shape.spread {
        Spread::Micros => rng.pick(&[0, 1]),
        spread => spread.stretched(rng.pick(&[0, 1_500, 5_000])),
    };
    let mut splits = vec![Vec::new(); shape.splits];
    let mut clocks_ms: Vec<i64> = (0..shape.splits).map(|_| rng.below(8_000) as i64).collect();
    for id in 0..shape.rows {
        let split = rng.below(shape.splits as u64) as usize;
        clocks_ms[split] += match rng.below(30) {
            0 => 15_000,
            _ => rng.below(1_600) as i64,
        };
        let row = row(rng, id as i64, clocks_ms[split], start_s, shape);
        if rng.one_in(15) {
            splits[split].push(row.clone());
        }
        splits[split].push(row);
    }
    Table {
        name,
        unit: shape.unit,
        delay_ms,
        splits,
        odd_floats: shape.odd_floats,
    }
}

fn row(rng: &mut Rng, id: i64, clock_ms: i64, start_s: i64, shape: Shape) -> Row {
    let behind_ms = match rng.below(10) {
        0 => rng.below(25_000),
        1..=4 => rng.below(3_000),
        _ => 0,
    };
    let since_ns = (clock_ms - behind_ms as i64) * 1_000_000 + rng.below(1_000_000) as i64;
    let at_ns = start_s * 1_000_000_000 + shape.spread.stretched(since_ns);
    let k = if rng.one_in(2) { 1 } else { rng.below(5) as i64 };
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0];
    let f = match shape.odd_floats && rng.one_in(12) {
        true => rng.pick(&odd),
        false => rng.below(2_000_001) as f64 / 1_000.0 - 1_000.0,
    };
    let words = ["", "a", "ab", "zebra", "Ärger", "日本", "it's"];
    Row {
        id,
        k: (!rng.one_in(12)).then_some(k),
        s: (!rng.one_in(10)).then(|| rng.pick(&words).to_string()),
        v: (!rng.one_in(10)).then(|| rng.below(200) as i64 - 100),
        f: (!rng.one_in(10)).then_some(f),
        ts: (!rng.one_in(20)).then(|| at_ns.div_euclid(unit_ns(shape.unit))),
    }
}

impl Table {
    /// The declared columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("k", DataType::Int64, true),
            Field::new("s", DataType::Utf8, true),
            Field::new("v", DataType::Int64, true),
            Field::new("f", DataType::Float64, true),
            Field::new("ts", DataType::Timestamp(self.unit, None), true),
        ]))
    }

    /// CREATE SOURCE with the given options in WITH.
    pub fn create(&self, with: &str) -> String {
        let precision = match self.unit {
            TimeUnit::Second => "(0)",
            TimeUnit::Millisecond => "(3)",
            TimeUnit::Microsecond => "(6)",
            TimeUnit::Nanosecond => "",
        };
        format!(
            "CREATE SOURCE {} (id BIGINT, k BIGINT, s VARCHAR, v BIGINT, f DOUBLE, ts TIMESTAMP{precision}, \
             WATERMARK FOR ts AS ts - INTERVAL '{} milliseconds') WITH ({with})",
            self.name, self.delay_ms
        )
    }

    /// The split's watermark after rows, or `None` before the first event time: the greatest event time less the delay,
    /// in the unit of the column, rounded down.
    pub fn watermark(&self, rows: &[Row]) -> Option<i64> {
        let greatest = rows.iter().filter_map(|r| r.ts).max()?;
        let unit = unit_ns(self.unit) as i128;
        let at = greatest as i128 * unit - self.delay_ms as i128 * 1_000_000;
        Some(at.div_euclid(unit) as i64)
    }

    pub fn rows(&self) -> usize {
        self.splits.iter().map(Vec::len).sum()
    }

    /// The same table, of each split the first `n` rows only.
    pub fn prefix(&self, n: usize) -> Table {
        let mut table = self.clone();
        table.splits.iter_mut().for_each(|rows| rows.truncate(n));
        table
    }

    /// A sum of magnitudes, for the accuracy of floats.
    pub fn magnitude(&self) -> f64 {
        let all = self.splits.iter().flatten().filter_map(|r| r.f);
        all.filter(|f| f.is_finite()).map(f64::abs).sum()
    }

    /// Rows as a batch of the declared columns.
    pub fn batch(&self, rows: &[Row]) -> RecordBatch {
        let columns = self.columns(rows);
        RecordBatch::try_new(self.schema(), columns).expect("columns of one length")
    }

    fn columns(&self, rows: &[Row]) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.id))),
            Arc::new(rows.iter().map(|r| r.k).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| r.s.clone()).collect::<StringArray>()),
            Arc::new(rows.iter().map(|r| r.v).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| r.f).collect::<Float64Array>()),
            times(self.unit, rows.iter().map(|r| r.ts)),
        ]
    }

    /// All rows, and beside each the watermark of its split before it (`wm`): what an oracle judges lateness by.
    pub fn judged(&self) -> RecordBatch {
        let mut columns = Vec::new();
        let mut watermarks = Vec::new();
        for rows in &self.splits {
            columns.push(self.batch(rows));
            watermarks.extend((0..rows.len()).map(|n| self.watermark(&rows[..n])));
        }
        let all = datafusion::arrow::compute::concat_batches(&self.schema(), &columns).expect("one schema");
        let mut fields: Vec<Field> = self.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.push(Field::new("wm", DataType::Timestamp(self.unit, None), true));
        let mut columns = all.columns().to_vec();
        columns.push(times(self.unit, watermarks.into_iter()));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of one length")
    }
}

fn times(unit: TimeUnit, values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    match unit {
        TimeUnit::Second => Arc::new(values.collect::<TimestampSecondArray>()),
        TimeUnit::Millisecond => Arc::new(values.collect::<TimestampMillisecondArray>()),
        TimeUnit::Microsecond => Arc::new(values.collect::<TimestampMicrosecondArray>()),
        TimeUnit::Nanosecond => Arc::new(values.collect::<TimestampNanosecondArray>()),
    }
}
