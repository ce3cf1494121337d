//! The last line of a run: what was done, and how fast.

use waterwheel::Query;
use waterwheel::metrics::{Stopwatch, Summary};

/// Sums over the programs of a script. Queries that started together are one program and count once.
fn total(queries: &[Query]) -> Summary {
    let mut sum = Summary::default();
    for (index, query) in queries.iter().enumerate() {
        if queries[..index].iter().any(|before| before.same_program(query)) {
            continue;
        }
        let one = query.summary();
        sum.intervals += one.intervals;
        sum.rows_in += one.rows_in;
        sum.rows_out += one.rows_out;
        sum.late += one.late;
        sum.late_partial += one.late_partial;
        sum.bad += one.bad;
        sum.null_time += one.null_time;
    }
    sum
}

/// The lines for people and programs: late rows in words, then the numbers.
pub fn lines(queries: &[Query], watch: Stopwatch) -> String {
    let sum = total(queries);
    let mut text = String::new();
    if sum.late > 0 {
        let rows = if sum.late == 1 { "row was" } else { "rows were" };
        let late = queries.iter().find(|q| !q.late_rows().is_empty());
        let shown = late.map_or(String::new(), |q| {
            format!("; SELECT * FROM late_rows('{}') shows them", q.name())
        });
        text.push_str(&format!(
            "late: {} {rows} left out, as all their windows had closed; \
             a larger delay in WATERMARK FOR … keeps windows open longer{shown}\n",
            sum.late
        ));
    }
    let wall_s = watch.seconds();
    let rows_per_s = sum.rows_in as f64 / wall_s.max(1e-9);
    text.push_str(&format!(
        "done: intervals={} rows_in={} rows_out={} late={} late_partial={} bad={} null_time={} wall_s={wall_s:.2} \
         rows_per_s={rows_per_s:.0}\n",
        sum.intervals, sum.rows_in, sum.rows_out, sum.late, sum.late_partial, sum.bad, sum.null_time
    ));
    text
}
