//! Operators over closed windows: ranking, joins on equal windows, further aggregation, order.

use super::oracle::{hop, tumble};
use super::{Case, law};

const TUMBLE: &str = "TUMBLE(t, ts, INTERVAL '10 seconds')";

fn counts(from: &str) -> String {
    format!(
        "(SELECT window_start, window_end, k, count(*) AS n, sum(v) AS total FROM {from} GROUP BY window_start, window_end, k)"
    )
}

#[test]
fn best_of_every_window() {
    let query = |from: &str, ties: &str| {
        format!(
            "SELECT window_start, k, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end \
             ORDER BY n DESC{ties}) AS place FROM {}) WHERE place = 1",
            counts(from)
        )
    };
    // Ties break by the remaining columns of the row, ascending, NULLs last.
    law(Case::new(
        query(TUMBLE, ""),
        query(&tumble("t", 10, 0), ", k ASC NULLS LAST, total ASC NULLS LAST"),
    ));
}

#[test]
fn best_rows_of_every_window() {
    let query = |from: &str, ties: &str| {
        format!(
            "SELECT window_start, id, v, place FROM (SELECT window_start, id, k, v, ROW_NUMBER() OVER \
             (PARTITION BY window_start, k ORDER BY v DESC{ties}) AS place FROM {from}) WHERE place <= 2"
        )
    };
    law(Case::new(query(TUMBLE, ", id"), query(&tumble("t", 10, 0), ", id")));
}

#[test]
fn ranks_of_hopping_windows() {
    let query = |from: &str| {
        format!(
            "SELECT window_start, window_end, k, rank() OVER (PARTITION BY window_end ORDER BY n) AS r, \
             sum(n) OVER (PARTITION BY window_start, window_end) AS all_of_it FROM {}",
            counts(from)
        )
    };
    let window = "HOP(t, ts, INTERVAL '5 seconds', INTERVAL '10 seconds')";
    law(Case::new(query(window), query(&hop("t", 5, 10, 0))));
}

#[test]
fn rows_with_the_highest_value_of_their_window() {
    let query = |from: &str| {
        format!(
            "SELECT b.window_start, b.id, b.v FROM {from} AS b JOIN (SELECT window_start, window_end, max(v) AS top \
             FROM {from} GROUP BY window_start, window_end) AS m ON b.window_start = m.window_start \
             AND b.window_end = m.window_end AND b.v = m.top"
        )
    };
    law(Case::new(query(TUMBLE), query(&tumble("t", 10, 0))));
}

#[test]
fn hot_items() {
    let query = |from: &str| {
        format!(
            "SELECT a.window_start, a.k, a.n FROM {} AS a JOIN (SELECT window_start, window_end, max(n) AS top FROM {} \
             GROUP BY window_start, window_end) AS m ON a.window_start = m.window_start \
             AND a.window_end = m.window_end AND a.n >= m.top",
            counts(from),
            counts(from)
        )
    };
    let window = "HOP(t, ts, INTERVAL '2 seconds', INTERVAL '10 seconds')";
    law(Case::new(query(window), query(&hop("t", 2, 10, 0))));
}

#[test]
fn join_of_two_sources_on_equal_windows() {
    let query = |left: &str, right: &str, kind: &str| {
        format!(
            "SELECT a.window_start, a.k, a.n, b.n FROM {} AS a {kind} JOIN {} AS b ON a.window_start = b.window_start \
             AND a.window_end = b.window_end AND a.k = b.k",
            counts(left),
            counts(right)
        )
    };
    let (t, u) = (tumble("t", 10, 0), tumble("u", 10, 0));
    let other = "TUMBLE(u, ts, INTERVAL '10 seconds')";
    for kind in ["", "LEFT"] {
        law(Case::new(query(TUMBLE, other, kind), query(&t, &u, kind)).over_two());
    }
}

#[test]
fn join_of_rows_of_two_sources_on_equal_windows() {
    let query = |left: &str, right: &str| {
        format!(
            "SELECT a.window_end, a.id, b.id FROM {left} AS a JOIN {right} AS b ON a.window_start = b.window_start \
             AND a.window_end = b.window_end AND a.k = b.k AND a.v < b.v"
        )
    };
    let other = "TUMBLE(u, ts, INTERVAL '10 seconds')";
    law(Case::new(query(TUMBLE, other), query(&tumble("t", 10, 0), &tumble("u", 10, 0))).over_two());
}

#[test]
fn aggregate_of_an_aggregate() {
    let query = |from: &str| {
        format!(
            "SELECT window_start, window_end, max(n), sum(total), count(*) FROM {} GROUP BY window_start, window_end",
            counts(from)
        )
    };
    law(Case::new(query(TUMBLE), query(&tumble("t", 10, 0))));
}

#[test]
fn ordered_by_window() {
    let query = |from: &str| {
        format!(
            "SELECT window_end, window_start, k, count(*) AS n FROM {from} GROUP BY window_start, window_end, k \
             ORDER BY window_end, window_start, n DESC, k"
        )
    };
    law(Case::new(query(TUMBLE), query(&tumble("t", 10, 0))).ordered());
}

#[test]
fn ordered_by_hopping_window() {
    let query = |from: &str| {
        format!(
            "SELECT window_end, k, sum(v) AS total FROM {from} GROUP BY window_start, window_end, k \
             ORDER BY window_end, k NULLS FIRST"
        )
    };
    let window = "HOP(t, ts, INTERVAL '5 seconds', INTERVAL '10 seconds')";
    law(Case::new(query(window), query(&hop("t", 5, 10, 0))).ordered());
}

#[test]
fn ordered_by_a_window_that_is_not_shown() {
    let query = |from: &str| {
        format!("SELECT k, sum(v) FROM {from} GROUP BY window_start, window_end, k ORDER BY window_end, k NULLS FIRST")
    };
    law(Case::new(query(TUMBLE), query(&tumble("t", 10, 0))).ordered());
    let first =
        |from: &str| format!("SELECT DISTINCT ON (window_end) window_end, id FROM {from} ORDER BY window_end, id DESC");
    law(Case::new(first(TUMBLE), first(&tumble("t", 10, 0))).ordered());
}

#[test]
fn union_all_of_windows_of_several_sizes() {
    let query = |one: &str, other: &str| {
        format!(
            "SELECT window_end, k, n FROM {} UNION ALL SELECT window_end, k, n + 1 FROM {}",
            counts(one),
            counts(other)
        )
    };
    let window = "HOP(t, ts, INTERVAL '5 seconds', INTERVAL '20 seconds')";
    law(Case::new(
        query(TUMBLE, window),
        query(&tumble("t", 10, 0), &hop("t", 5, 20, 0)),
    ));
}

#[test]
fn union_all_of_windows() {
    let query = |left: &str, right: &str| {
        format!(
            "SELECT window_start, window_end, k, n FROM {} UNION ALL SELECT window_start, window_end, k, n FROM {}",
            counts(left),
            counts(right)
        )
    };
    let other = "TUMBLE(u, ts, INTERVAL '10 seconds')";
    law(
        Case::new(query(TUMBLE, other), query(&tumble("t", 10, 0), &tumble("u", 10, 0)))
            .over_two()
            .at_end(),
    );
}

#[test]
fn union_all_of_windows_rows_and_what_does_not_change() {
    let query = |windows: &str, rows: &str| {
        format!(
            "SELECT window_end, k, n FROM {} UNION ALL SELECT ts, k, v FROM t WHERE v > 5 \
             UNION ALL SELECT window_end, k, v FROM {rows} UNION ALL SELECT TIMESTAMP '2020-01-01', k, 0 FROM dim",
            counts(windows)
        )
    };
    let window = tumble("t", 10, 0);
    law(Case::new(query(TUMBLE, TUMBLE), query(&window, &window)).at_end());
}

#[test]
fn keys_with_few_rows_in_a_window() {
    let query = |from: &str| {
        format!(
            "SELECT a.window_start, a.k FROM {} AS a WHERE NOT EXISTS (SELECT 1 FROM dim WHERE dim.k = a.k) AND a.n < 3",
            counts(from)
        )
    };
    law(Case::new(query(TUMBLE), query(&tumble("t", 10, 0))));
}
