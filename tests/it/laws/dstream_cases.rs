//! D-Streams by methods: the answers of the SQL that says the same.

use super::oracle::{hop, tumble};
use super::{Case, functions, law};
use datafusion::functions_aggregate::expr_fn::{avg, count, max, sum};
use datafusion::logical_expr::{Expr, col, lit};
use std::time::Duration;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn columns(names: &[&str]) -> Vec<Expr> {
    names.iter().map(|name| col(*name)).collect()
}

#[test]
fn map_and_filter() {
    law(Case::of_stream(
        |engine| {
            let kept = engine
                .stream("t")?
                .filter(col("v").gt(lit(0)).or(col("s").eq(lit("ab"))))?;
            kept.map([col("id"), (col("v") * lit(2) + lit(1)).alias("w"), col("t.ts")])
        },
        "SELECT id, v * 2 + 1, ts FROM t WHERE v > 0 OR s = 'ab'",
    ));
}

#[test]
fn functions_over_batches() {
    law(Case::of_stream(
        |engine| {
            let kept = engine.stream("t")?.filter_batches("positive")?;
            kept.map_batches("spread", columns(&["id", "k"]))
        },
        "SELECT v * 2, v * v, id, k FROM t WHERE v > 0",
    ));
}

#[test]
fn functions_over_batches_below_windows() {
    law(Case::of_stream(
        |engine| {
            let spread = engine.stream("t")?.map_batches("spread", columns(&["k", "ts"]))?;
            let sums = [sum(col("twice")), max(col("square")), count(lit(1))];
            let reduced = spread.reduce_by_window(seconds(10), [col("k")], sums)?;
            reduced.filter(col("k").is_null().or(col("k").gt(lit(0))))
        },
        format!(
            "SELECT window_start, window_end, arrow_cast(arrow_cast(window_end, 'Int64') - 1, '@T@'), k, sum(v * 2), \
             max(v * v), count(*) FROM {} WHERE k IS NULL OR k > 0 GROUP BY window_start, window_end, k",
            tumble("t", 10, 0)
        ),
    ));
}

#[test]
fn sliding_windows() {
    law(Case::of_stream(
        |engine| {
            let aggregates = [
                count(lit(1)).alias("n"),
                sum(col("v")).alias("total"),
                avg(col("f")).alias("mean"),
            ];
            let reduced =
                engine
                    .stream("t")?
                    .reduce_by_window((seconds(10), seconds(2)), columns(&["k", "s"]), aggregates)?;
            reduced.map(columns(&["window_start", "window_end", "k", "s", "n", "total", "mean"]))
        },
        format!(
            "SELECT window_start, window_end, k, s, count(*), sum(v), avg(f) FROM {} \
             GROUP BY window_start, window_end, k, s",
            hop("t", 2, 10, 0)
        ),
    ));
}

#[test]
fn sliding_windows_with_an_inverse() {
    let of = |slide, size| hop("t", slide, size, 0);
    law(Case::of_stream(
        |engine| {
            let sums = [sum(col("v")), count(lit(1)), count(col("v"))];
            let stream = engine.stream("t")?;
            let reduced =
                stream.reduce_by_window_with_inverse((seconds(10), seconds(2)), columns(&["k", "s"]), sums)?;
            reduced.filter(col("window_time").is_not_null())
        },
        format!(
            "SELECT window_start, window_end, arrow_cast(arrow_cast(window_end, 'Int64') - 1, '@T@'), k, s, sum(v), \
             count(*), count(v) FROM {} GROUP BY window_start, window_end, k, s",
            of(2, 10)
        ),
    ));
    law(Case::of_stream(
        |engine| {
            let sums = [sum(col("v") * col("id")).alias("total"), count(col("f")).alias("n")];
            let stream = engine.stream("t")?.filter(col("k").is_not_null())?;
            let reduced = stream.reduce_by_window_with_inverse((seconds(7), seconds(3)), [], sums)?;
            reduced.map(columns(&["window_end", "total", "n"]))
        },
        format!(
            "SELECT window_end, sum(v * id), count(f) FROM {} WHERE k IS NOT NULL GROUP BY window_start, window_end",
            of(3, 7)
        ),
    ));
}

#[test]
fn sliding_windows_with_an_inverse_of_the_host() {
    law(Case::of_stream(
        |engine| {
            let squares = functions::both().1.remove(0);
            let aggregates = [
                count(lit(1)),
                squares.call(vec![col("v")]),
                sum(col("v")),
                squares.call(vec![col("id")]),
            ];
            let stream = engine.stream("t")?;
            let reduced =
                stream.reduce_by_window_with_inverse((seconds(9), seconds(2)), columns(&["k"]), aggregates)?;
            reduced.filter(col("window_time").is_not_null())
        },
        format!(
            "SELECT window_start, window_end, arrow_cast(arrow_cast(window_end, 'Int64') - 1, '@T@'), k, count(*), \
             sum_of_squares(v), sum(v), sum_of_squares(id) FROM {} GROUP BY window_start, window_end, k",
            hop("t", 2, 9, 0)
        ),
    ));
}

#[test]
fn windows_one_after_the_other_with_an_inverse() {
    law(Case::of_stream(
        |engine| {
            let stream = engine.stream("t")?;
            let reduced = stream.reduce_by_window_with_inverse(seconds(10), [col("k")], [sum(col("v")).alias("v")])?;
            reduced.map(columns(&["window_start", "k", "v"]))
        },
        format!(
            "SELECT window_start, k, sum(v) FROM {} GROUP BY window_start, window_end, k",
            tumble("t", 10, 0)
        ),
    ));
}

#[test]
fn rows_of_windows() {
    law(Case::of_stream(
        |engine| {
            let windows = engine.stream("t")?.window((seconds(10), seconds(5)))?;
            windows.map(columns(&["window_end", "id", "v"]))
        },
        // Row by row, as in SQL: nothing is kept, so nothing comes too late.
        format!("SELECT window_end, id, v FROM {}", hop("t", 5, 10, 0))
            .replace("(wm IS NULL OR window_end > wm) AND @SHOWN@", "TRUE"),
    ));
}

#[test]
fn windows_of_windows() {
    law(Case::of_stream(
        |engine| {
            let tens = engine
                .stream("t")?
                .reduce_by_window(seconds(10), [col("k")], [count(lit(1)).alias("n")])?;
            let minutes = tens.reduce_by_window(seconds(60), [], [max(col("n")).alias("most")])?;
            minutes.map(columns(&["window_start", "most"]))
        },
        format!(
            "SELECT arrow_cast(date_bin(INTERVAL '60 seconds', window_start, TIMESTAMP '1970-01-01'), '@T@'), max(n) \
             FROM (SELECT window_start, window_end, k, count(*) AS n FROM {} GROUP BY window_start, window_end, k) \
             GROUP BY 1",
            tumble("t", 10, 0)
        ),
    )
    .at_end());
}

#[test]
fn joins_on_equal_windows() {
    law(Case::of_stream(
        |engine| {
            let windows = |name| engine.stream(name)?.window(seconds(10));
            let right = windows("u")?.map([
                col("window_start"),
                col("window_end"),
                col("k"),
                col("id").alias("other"),
            ])?;
            let joined = windows("t")?.join(right, &[("k", "k")])?;
            joined.map(columns(&["window_end", "k", "id", "other"]))
        },
        format!(
            "SELECT a.window_end, a.k, a.id, b.id FROM {} AS a JOIN {} AS b ON a.window_end = b.window_end AND a.k = b.k",
            tumble("t", 10, 0),
            tumble("u", 10, 0)
        ),
    )
    .over_two());
}

#[test]
fn joins_of_reduced_windows() {
    law(Case::of_stream(
        |engine| {
            let counts = engine
                .stream("t")?
                .reduce_by_window(seconds(10), [col("k")], [count(lit(1)).alias("n")])?;
            let top = counts.clone().reduce([], [max(col("n")).alias("top")])?;
            counts
                .join(top, &[("n", "top")])?
                .map(columns(&["window_start", "k", "n"]))
        },
        {
            let counts = format!(
                "(SELECT window_start, window_end, k, count(*) AS n FROM {} GROUP BY window_start, window_end, k)",
                tumble("t", 10, 0)
            );
            format!(
                "SELECT a.window_start, a.k, a.n FROM {counts} AS a JOIN (SELECT window_end, max(n) AS top FROM {counts} \
                 GROUP BY window_end) AS m ON a.window_end = m.window_end AND a.n = m.top"
            )
        },
    ));
}

#[test]
fn joins_with_a_static_table() {
    law(Case::of_stream(
        |engine| {
            let joined = engine.stream("t")?.join(engine.stream("dim")?, &[("k", "k")])?;
            joined.map(columns(&["id", "k", "label"]))
        },
        "SELECT t.id, t.k, d.label FROM t JOIN dim AS d ON t.k = d.k",
    ));
    law(Case::of_stream(
        |engine| {
            let joined = engine.stream("t")?.join(engine.stream("dim")?, &[("k", "k")])?;
            let reduced = joined.reduce_by_window(seconds(10), [col("label")], [count(lit(1))])?;
            reduced.filter(col("label").is_not_null())
        },
        format!(
            "SELECT window_start, window_end, arrow_cast(arrow_cast(window_end, 'Int64') - 1, '@T@'), label, count(*) \
             FROM {} AS w JOIN dim AS d ON w.k = d.k GROUP BY window_start, window_end, label",
            tumble("t", 10, 0)
        ),
    ));
}
