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
        sum.late_in_order += one.late_in_order;
        sum.late_delay_ns = sum.late_delay_ns.max(one.late_delay_ns);
        sum.jump_ns = sum.jump_ns.max(one.jump_ns);
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
    text.push_str(&advice(&sum));
    text.push_str(order(&sum));
    text.push_str(&jump(&sum));
    text
}

/// A line about an event time that has closed every window up to some day in the future.
fn jump(sum: &Summary) -> String {
    if sum.jump_ns == 0 {
        return String::new();
    }
    let days = sum.jump_ns / 86_400_000_000_000;
    format!(
        "warning: an event time lies {days} days ahead of the clock, and rows before it may be late now; \
         max_future_skew = '1 hour' in WITH (…) makes such rows bad records\n"
    )
}

/// From so many late rows on, and so many in a hundred, a larger delay is advised.
const LATE_ROWS_MIN: u64 = 100;
const LATE_PER_CENT_MIN: u64 = 1;

/// A line that says which delay would have taken in the late rows, when they are many.
fn advice(sum: &Summary) -> String {
    if sum.late < LATE_ROWS_MIN || sum.late * 100 <= sum.rows_in * LATE_PER_CENT_MIN {
        return String::new();
    }
    let per_cent = (sum.late * 100).div_ceil(sum.rows_in.max(1));
    format!(
        "warning: {per_cent} % of the rows were late; WATERMARK FOR … - {} would have taken them in\n",
        round_up(sum.late_delay_ns)
    )
}

/// A line about files whose names are not in the order of their rows.
fn order(sum: &Summary) -> &'static str {
    match sum.late_in_order {
        0 => "",
        _ => {
            "warning: rows of files that are read in the order of their names were late; with splits = 'file' each file \
             is judged by its own rows\n"
        }
    }
}

/// The next duration that people would write.
fn round_up(ns: u64) -> String {
    const ROUND: [u64; 10] = [1, 2, 5, 10, 15, 20, 30, 100, 200, 500];
    let units = [
        (1_000_000, 500, "MILLISECOND"),
        (1_000_000_000, 30, "SECOND"),
        (60_000_000_000, 30, "MINUTE"),
        (3_600_000_000_000, 20, "HOUR"),
    ];
    for (unit, most, name) in units {
        let fits = |n: &&u64| **n <= most && **n * unit >= ns;
        if let Some(n) = ROUND.iter().find(fits) {
            return format!("INTERVAL '{n}' {name}");
        }
    }
    format!("INTERVAL '{}' DAY", ns.div_ceil(86_400_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_rounded_up() {
        let cases = [
            (1, "INTERVAL '1' MILLISECOND"),
            (500_000_000, "INTERVAL '500' MILLISECOND"),
            (500_000_001, "INTERVAL '1' SECOND"),
            (14_000_000_000, "INTERVAL '15' SECOND"),
            (31_000_000_000, "INTERVAL '1' MINUTE"),
            (1_801_000_000_000, "INTERVAL '1' HOUR"),
            (80_000_000_000_000, "INTERVAL '1' DAY"),
        ];
        for (ns, text) in cases {
            assert_eq!(round_up(ns), text);
        }
    }

    #[test]
    fn a_jump_is_told_in_days() {
        assert_eq!(jump(&Summary::default()), "");
        let jumped = Summary {
            jump_ns: 3 * 86_400_000_000_000 + 5,
            ..Summary::default()
        };
        assert!(jump(&jumped).starts_with("warning: an event time lies 3 days ahead of the clock"));
    }

    #[test]
    fn few_late_rows_need_no_advice() {
        let sum = |late, rows_in| Summary {
            late,
            rows_in,
            late_delay_ns: 25_000_000_000,
            ..Summary::default()
        };
        assert_eq!(advice(&sum(99, 100)), "");
        assert_eq!(advice(&sum(100, 10_000)), "");
        assert_eq!(
            advice(&sum(120, 1_000)),
            "warning: 12 % of the rows were late; WATERMARK FOR … - INTERVAL '30' SECOND would have taken them in\n"
        );
    }
}
