//! The last line of a run: what was done, and how fast.

use waterwheel::Query;
use waterwheel::metrics::{LateRows, Stopwatch, Summary};

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
        sum.jump_ns = sum.jump_ns.max(one.jump_ns);
    }
    sum
}

/// The lines for people and programs: late rows in words, then the numbers.
pub fn lines(queries: &[Query], watch: Stopwatch) -> String {
    let sum = total(queries);
    let mut text = String::new();
    for query in queries {
        let rows = query.late_counts().iter().map(|of| of.late).sum();
        if rows > 0 {
            text.push_str(&late(query.name(), rows, queries.len() > 1));
        }
    }
    let wall_s = watch.seconds();
    let rows_per_s = sum.rows_in as f64 / wall_s.max(1e-9);
    text.push_str(&format!(
        "done: intervals={} rows_in={} rows_out={} late={} late_partial={} bad={} null_time={} wall_s={wall_s:.2} \
         rows_per_s={rows_per_s:.0}\n",
        sum.intervals, sum.rows_in, sum.rows_out, sum.late, sum.late_partial, sum.bad, sum.null_time
    ));
    let by_source = worst(queries.iter().flat_map(Query::late_counts));
    // No delay is meant to take in what a wrong time has made late.
    if sum.jump_ns == 0 {
        by_source.iter().for_each(|of| text.push_str(&advice(of)));
    }
    by_source.iter().for_each(|of| text.push_str(&order(of)));
    text.push_str(&jump(&sum));
    text
}

/// A line about the rows that a query has left out.
fn late(query: &str, rows: u64, is_named: bool) -> String {
    let were = if rows == 1 { "row was" } else { "rows were" };
    let of = if is_named {
        format!(" of `{query}`")
    } else {
        String::new()
    };
    format!(
        "late: {rows} {were} left out{of}, as all their windows had closed; a larger delay in WATERMARK FOR … keeps \
         windows open longer; SELECT * FROM late_rows('{query}') shows them\n"
    )
}

/// Per source, that of the query for which most of its rows were late, with the delay that is enough for all.
fn worst(all: impl Iterator<Item = LateRows>) -> Vec<LateRows> {
    let mut by_source: Vec<LateRows> = Vec::new();
    for of in all {
        match by_source.iter_mut().find(|known| known.source == of.source) {
            None => by_source.push(of),
            Some(known) => {
                let delay_ns = known.delay_ns.max(of.delay_ns);
                if known.late < of.late {
                    *known = of;
                }
                known.delay_ns = delay_ns;
            }
        }
    }
    by_source
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

/// A line that says which delay would have taken in the late rows of a source, when they are many.
fn advice(of: &LateRows) -> String {
    if of.late < LATE_ROWS_MIN || of.late * 100 <= of.of_rows * LATE_PER_CENT_MIN {
        return String::new();
    }
    let per_cent = (of.late * 100).div_ceil(of.of_rows.max(1));
    format!(
        "warning: {per_cent} % of the rows of `{}` were late; WATERMARK FOR … - {} would have taken them in\n",
        of.source,
        round_up(of.delay_ns)
    )
}

/// A line about files whose names are not in the order of their rows.
fn order(of: &LateRows) -> String {
    match of.in_order {
        false => String::new(),
        true => format!(
            "warning: rows of `{}`, whose files are read in the order of their names, were late; with splits = 'file' \
             each file is judged by its own rows\n",
            of.source
        ),
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
        let of = |late, of_rows| LateRows {
            source: "clicks".to_string(),
            late,
            of_rows,
            delay_ns: 25_000_000_000,
            ..LateRows::default()
        };
        assert_eq!(advice(&of(99, 100)), "");
        assert_eq!(advice(&of(100, 10_000)), "");
        assert_eq!(
            advice(&of(120, 1_000)),
            "warning: 12 % of the rows of `clicks` were late; WATERMARK FOR … - INTERVAL '30' SECOND would have taken \
             them in\n"
        );
    }

    #[test]
    fn a_source_is_told_of_once() {
        let of = |query: &str, source: &str, late, delay_ns| LateRows {
            query: query.to_string(),
            source: source.to_string(),
            late,
            delay_ns,
            ..LateRows::default()
        };
        let all = [of("a", "x", 2, 9), of("b", "x", 5, 1), of("b", "y", 1, 1)];
        let found = worst(all.into_iter());
        assert_eq!(found, [of("b", "x", 5, 9), of("b", "y", 1, 1)]);
    }
}
