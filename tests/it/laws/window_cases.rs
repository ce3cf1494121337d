//! Aggregates over TUMBLE, HOP and CUMULATE.

use super::data::Spread;
use super::oracle::{cumulate, cumulate_in, hop, hop_in, tumble, tumble_in};
use super::{Case, law};
use datafusion::arrow::datatypes::TimeUnit;

const TUMBLE: &str = "TUMBLE(t, ts, INTERVAL '10 seconds')";
const HOP: &str = "HOP(t, ts, INTERVAL '2 seconds', INTERVAL '10 seconds')";

/// The same aggregate of the same windows, once by name and once written out.
fn same(columns: &str, window: &str, by_hand: &str, rest: &str) -> Case {
    let query = |columns: &str, from: &str| format!("SELECT {columns} FROM {from} GROUP BY {rest}");
    // DataFusion's grouped min and max of floats depend on the order of the rows once there is a NaN; its sort does not.
    let total = columns
        .replace("min(f)", "first_value(f ORDER BY f ASC NULLS LAST)")
        .replace("max(f)", "first_value(f ORDER BY f DESC NULLS LAST)");
    Case::new(query(columns, window), query(&total, by_hand))
}

#[test]
fn tumble_without_keys() {
    let columns = "window_start, window_end, count(*), sum(v), min(v), max(v)";
    law(same(columns, TUMBLE, &tumble("t", 10, 0), "window_start, window_end"));
}

/// Of few rows, so that there are windows and intervals in which an aggregate has nothing to be of.
#[test]
fn means_of_nothing_without_keys() {
    let columns = "window_start, avg(v), avg(v) FILTER (WHERE k = 1 AND v > 5), avg(CAST(v AS DECIMAL(10, 2))) \
                   FILTER (WHERE v > 5), corr(v, id) FILTER (WHERE v > 2), covar_pop(v, id), stddev(v), regr_slope(v, id), \
                   bool_and(v > 3) FILTER (WHERE v > 5)";
    for (window, by_hand) in [(TUMBLE, tumble("t", 10, 0)), (HOP, hop("t", 2, 10, 0))] {
        law(same(columns, window, &by_hand, "window_start, window_end"));
    }
}

#[test]
fn tumble_by_one_key() {
    let columns = "window_start, k, count(*), count(v), sum(v), avg(v)";
    let rest = "window_start, window_end, k";
    law(same(columns, TUMBLE, &tumble("t", 10, 0), rest));
}

#[test]
fn tumble_by_two_keys_with_offset() {
    let window = "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '3' SECOND))";
    let columns = "window_end, s, k, count(*), min(s), max(id)";
    law(same(
        columns,
        window,
        &tumble("t", 10, 3),
        "window_start, window_end, k, s",
    ));
}

#[test]
fn tumble_of_floats() {
    let columns = "window_start, k, sum(f), min(f), max(f), avg(f), stddev(f), var_pop(f), count(f)";
    law(same(
        columns,
        TUMBLE,
        &tumble("t", 10, 0),
        "window_start, window_end, k",
    ));
}

#[test]
fn tumble_by_a_float_key() {
    let columns = "window_start, f, count(*), sum(v)";
    law(same(
        columns,
        TUMBLE,
        &tumble("t", 10, 0),
        "window_start, window_end, f",
    ));
}

#[test]
fn tumble_of_distinct_values() {
    let columns = "window_start, count(DISTINCT v), count(DISTINCT s), sum(DISTINCT v), count(DISTINCT k), count(*)";
    law(same(columns, TUMBLE, &tumble("t", 10, 0), "window_start, window_end"));
}

#[test]
fn tumble_with_filters() {
    let columns = "window_start, k, count(*) FILTER (WHERE v > 0), sum(v) FILTER (WHERE s IS NOT NULL), count(v)";
    law(same(
        columns,
        TUMBLE,
        &tumble("t", 10, 0),
        "window_start, window_end, k",
    ));
}

#[test]
fn tumble_with_ordered_aggregates() {
    let columns = "window_start, array_agg(id ORDER BY id DESC), string_agg(s, ',' ORDER BY s, id), \
                   first_value(v ORDER BY id, v), last_value(id ORDER BY id)";
    law(same(columns, TUMBLE, &tumble("t", 10, 0), "window_start, window_end"));
}

#[test]
fn tumble_with_kept_values() {
    let columns = "window_start, k, median(v), approx_distinct(id), bit_and(v), bool_or(v > 10)";
    law(same(
        columns,
        TUMBLE,
        &tumble("t", 10, 0),
        "window_start, window_end, k",
    ));
}

#[test]
fn tumble_with_functions_of_the_user() {
    let columns = "window_start, sum_of_squares(v), sum(doubled(v)), doubled(count(*))";
    law(same(columns, TUMBLE, &tumble("t", 10, 0), "window_start, window_end"));
}

#[test]
fn tumble_with_having() {
    let rest = "window_start, window_end, k HAVING count(*) > 1 AND k IS NOT NULL";
    law(same("window_start, k, count(*)", TUMBLE, &tumble("t", 10, 0), rest));
}

#[test]
fn tumble_under_expressions() {
    let columns = "k + 1, date_part('minute', window_start), sum(v) * 2 + count(*), \
                   CASE WHEN count(*) > 2 THEN 'many' ELSE 'few' END, window_end";
    law(same(
        columns,
        TUMBLE,
        &tumble("t", 10, 0),
        "window_start, window_end, k + 1",
    ));
}

#[test]
fn tumble_between_filters() {
    let query = |from: &str| {
        format!(
            "SELECT window_start, k, n FROM (SELECT window_start, k, count(*) AS n, sum(v) AS total FROM {from} \
             WHERE v IS NULL OR v > -50 GROUP BY window_start, window_end, k) WHERE n > 1 OR total > 20"
        )
    };
    law(Case::new(query(TUMBLE), query(&tumble("t", 10, 0))));
}

#[test]
fn tumble_over_a_filtered_subquery() {
    let below = "(SELECT ts, k, v * 2 AS w FROM t WHERE s IS NOT NULL)";
    let by_hand = tumble("(SELECT ts, wm, k, v * 2 AS w FROM t WHERE s IS NOT NULL)", 10, 0);
    let window = format!("TUMBLE({below}, ts, INTERVAL '10 seconds')");
    law(same(
        "window_start, k, sum(w), count(*)",
        &window,
        &by_hand,
        "window_start, window_end, k",
    ));
}

#[test]
fn tumble_of_a_day() {
    let window = "TUMBLE(t, ts, INTERVAL '1' DAY)";
    law(same(
        "window_start, k, count(*)",
        window,
        &tumble("t", 86_400, 0),
        "window_start, window_end, k",
    ));
}

#[test]
fn tumble_in_group_by() {
    let sql = "SELECT k, count(*), sum(v) FROM t GROUP BY tumble(INTERVAL '10 seconds'), k";
    let oracle = format!(
        "SELECT k, count(*), sum(v) FROM {} GROUP BY window_start, k",
        tumble("t", 10, 0)
    );
    law(Case::new(sql, oracle));
}

#[test]
fn distinct_per_window() {
    let query = |from: &str| format!("SELECT DISTINCT window_start, window_end, k FROM {from}");
    law(Case::new(query(TUMBLE), query(&tumble("t", 10, 0))));
}

#[test]
fn hop_without_keys() {
    let columns = "window_start, window_end, count(*), sum(v), avg(f)";
    law(same(columns, HOP, &hop("t", 2, 10, 0), "window_start, window_end"));
}

#[test]
fn hop_by_key() {
    let columns = "window_start, window_end, k, count(*), sum(v), min(f), max(s)";
    law(same(columns, HOP, &hop("t", 2, 10, 0), "window_start, window_end, k"));
}

#[test]
fn hop_with_a_size_that_is_no_multiple_of_the_slide() {
    let window =
        "HOP(DATA => t, TIMECOL => DESCRIPTOR(ts), SLIDE => INTERVAL '7' SECOND, SIZE => INTERVAL '10' SECOND)";
    let columns = "window_start, k, count(*), sum(v)";
    law(same(
        columns,
        window,
        &hop("t", 7, 10, 0),
        "window_start, window_end, k",
    ));
}

#[test]
fn hop_with_offset() {
    let window = "HOP(t, ts, INTERVAL '4 seconds', INTERVAL '12 seconds', INTERVAL '1 second')";
    let columns = "window_start, count(*), count(DISTINCT k), array_agg(id ORDER BY id)";
    law(same(columns, window, &hop("t", 4, 12, 1), "window_start, window_end"));
}

#[test]
fn hop_of_kept_values() {
    let columns = "window_end, k, median(v), count(DISTINCT s), stddev(f)";
    law(same(columns, HOP, &hop("t", 2, 10, 0), "window_start, window_end, k"));
}

#[test]
fn cumulate_by_key() {
    let window = "CUMULATE(t, ts, INTERVAL '5 seconds', INTERVAL '20 seconds')";
    let columns = "window_start, window_end, k, count(*), sum(v), max(f)";
    law(same(
        columns,
        window,
        &cumulate("t", 5, 20, 0),
        "window_start, window_end, k",
    ));
}

#[test]
fn cumulate_with_offset() {
    let window = "CUMULATE(t, ts, INTERVAL '10 seconds', INTERVAL '30 seconds', INTERVAL '4 seconds')";
    let columns = "window_start, window_end, count(*), count(DISTINCT v)";
    law(same(
        columns,
        window,
        &cumulate("t", 10, 30, 4),
        "window_start, window_end",
    ));
}

/// Windows of so many panes that they are made of merged ones.
#[test]
fn hop_of_many_panes_without_keys() {
    let window = "HOP(t, ts, INTERVAL '1 second', INTERVAL '30 seconds')";
    let columns = "window_start, window_end, count(*), count(v), sum(v), max(v), min(f), max(f), avg(f)";
    law(same(columns, window, &hop("t", 1, 30, 0), "window_start, window_end"));
}

#[test]
fn hop_of_many_panes_by_key() {
    let window = "HOP(t, ts, INTERVAL '1 second', INTERVAL '30 seconds', INTERVAL '-7 seconds')";
    let columns = "window_end, k, count(*), sum(v), min(f), max(s), stddev(f), count(DISTINCT s), median(v)";
    law(same(
        columns,
        window,
        &hop("t", 1, 30, -7),
        "window_start, window_end, k",
    ));
}

#[test]
fn hop_of_many_panes_and_an_odd_size() {
    // Panes of 1 s, and windows of 37 of them, 3 s apart.
    let window = "HOP(t, ts, INTERVAL '3 seconds', INTERVAL '37 seconds', INTERVAL '1 second')";
    for (columns, rest) in [
        (
            "window_end, count(*), sum_of_squares(v), count(DISTINCT v)",
            "window_start, window_end",
        ),
        (
            "window_start, k, s, count(*), max(id)",
            "window_start, window_end, k, s",
        ),
    ] {
        law(same(columns, window, &hop("t", 3, 37, 1), rest).small_only());
    }
}

#[test]
fn cumulate_of_many_panes() {
    let window = "CUMULATE(t, ts, INTERVAL '1 second', INTERVAL '45 seconds', INTERVAL '10 seconds')";
    for (columns, rest) in [
        (
            "window_start, window_end, count(*), sum(v), max(f), approx_distinct(id)",
            "window_start, window_end",
        ),
        (
            "window_start, window_end, k, count(*), min(s), var_pop(f)",
            "window_start, window_end, k",
        ),
    ] {
        law(same(columns, window, &cumulate("t", 1, 45, 10), rest).small_only());
    }
}

#[test]
fn hop_of_many_panes_over_closed_windows() {
    let inner = "SELECT window_time AS at, k, count(*) AS n, sum(v) AS total FROM TUMBLE(t, ts, INTERVAL '5 seconds') \
                 GROUP BY window_start, window_end, window_time, k";
    let sql = format!(
        "SELECT window_start, window_end, k, count(*), sum(n), max(total) \
         FROM HOP(({inner}), at, INTERVAL '5 seconds', INTERVAL '100 seconds') GROUP BY window_start, window_end, k"
    );
    let by_hand = format!(
        "(SELECT window_start AS ts, arrow_cast(NULL, '@T@') AS wm, k, count(*) AS n, sum(v) AS total \
         FROM {} GROUP BY window_start, window_end, k)",
        tumble("t", 5, 0)
    );
    let outer = hop(&by_hand, 5, 100, 0);
    let oracle = format!(
        "SELECT window_start, window_end, k, count(*), sum(n), max(total) FROM {outer} GROUP BY window_start, window_end, k"
    );
    law(Case::new(sql, oracle).small_only());
}

/// Windows shorter than a millisecond, before 1970 and after.
#[test]
fn windows_of_microseconds() {
    let hop_size = "HOP(t, ts, INTERVAL '70 microseconds', INTERVAL '250 microseconds', INTERVAL '-30 microseconds')";
    let steps = "CUMULATE(t, ts, INTERVAL '50 microseconds', INTERVAL '1 millisecond')";
    let columns = "window_start, window_end, k, count(*), sum(v)";
    let rest = "window_start, window_end, k";
    for (window, by_hand) in [
        (
            "TUMBLE(t, ts, INTERVAL '300 microseconds', INTERVAL '7 microseconds')",
            tumble_in("microseconds", "t", 300, 7),
        ),
        (hop_size, hop_in("microseconds", "t", 70, 250, -30)),
        (steps, cumulate_in("microseconds", "t", 50, 1_000, 0)),
    ] {
        for unit in [TimeUnit::Microsecond, TimeUnit::Nanosecond] {
            let case = same(columns, window, &by_hand, rest).spread(Spread::Micros);
            law(case.unit(unit).small_only());
        }
    }
}

#[test]
fn windows_of_nanoseconds() {
    let columns = "window_start, window_end, count(*), max(id)";
    let rest = "window_start, window_end";
    let window = "HOP(t, ts, INTERVAL '3001 nanoseconds', INTERVAL '100001 nanoseconds', INTERVAL '1 nanosecond')";
    let by_hand = hop_in("nanoseconds", "t", 3_001, 100_001, 1);
    let case = same(columns, window, &by_hand, rest).spread(Spread::Micros);
    law(case.unit(TimeUnit::Nanosecond).small_only());
}

/// Longer than all the data, and than the time since 1970.
#[test]
fn very_long_windows() {
    let columns = "window_start, window_end, k, count(*), sum(v)";
    let rest = "window_start, window_end, k";
    let century = 36_525 * 86_400;
    let window = "TUMBLE(t, ts, INTERVAL '36525 days', INTERVAL '-10 days')";
    law(same(columns, window, &tumble("t", century, -864_000), rest));
    let window = "HOP(t, ts, INTERVAL '20000 hours', INTERVAL '100000 hours')";
    law(same(columns, window, &hop("t", 72_000_000, 360_000_000, 0), rest).spread(Spread::Months));
}

/// Sources with delays of their own; every row is judged by its own split.
#[test]
fn union_all_below_a_window() {
    let sql = "SELECT window_start, k, count(*), sum(v) FROM TUMBLE(\
               (SELECT k, v, ts FROM t WHERE v > 0 UNION ALL SELECT k, v, ts FROM u), ts, INTERVAL '10 seconds') \
               GROUP BY window_start, window_end, k";
    let both = "(SELECT k, v, ts, wm FROM t WHERE v > 0 UNION ALL SELECT k, v, ts, wm FROM u)";
    let oracle = format!(
        "SELECT window_start, k, count(*), sum(v) FROM {} GROUP BY window_start, window_end, k",
        tumble(both, 10, 0)
    );
    law(Case::new(sql, oracle).over_two());
}

#[test]
fn static_table_below_a_window() {
    let query = |from: &str| {
        format!(
            "SELECT window_start, d.label, count(*), sum(w.v) FROM {from} AS w JOIN dim AS d ON w.k = d.k \
             GROUP BY window_start, window_end, d.label"
        )
    };
    law(Case::new(query(TUMBLE), query(&tumble("t", 10, 0))));
}

#[test]
fn static_table_above_a_window() {
    let query = |from: &str| {
        format!(
            "SELECT w.window_start, w.k, w.n, d.label FROM (SELECT window_start, window_end, k, count(*) AS n FROM {from} \
             GROUP BY window_start, window_end, k) AS w LEFT JOIN dim AS d ON w.k = d.k"
        )
    };
    law(Case::new(query(TUMBLE), query(&tumble("t", 10, 0))));
}

#[test]
fn windows_over_lists_as_rows() {
    // Lists of 0, 1 and 2 elements, and NULL: 0 … v % 3.
    let elements = "(VALUES (0), (1)) AS n(x) WHERE x < v % 3";
    let by_hand = format!("(SELECT t.*, n.x FROM t CROSS JOIN {elements})");
    let padded = "(VALUES (0), (1), (NULL)) AS n(x) WHERE x < v % 3 OR (x IS NULL AND coalesce(v % 3, 0) <= 0)";
    let by_hand_left = format!("(SELECT t.*, n.x FROM t CROSS JOIN {padded})");
    let columns = "window_start, k, count(*), sum(x), max(id)";
    let rest = "window_start, window_end, k";
    for (join, by_hand) in [
        ("CROSS JOIN UNNEST(range(0, t.v % 3)) AS n(x)", by_hand),
        ("LEFT JOIN UNNEST(range(0, t.v % 3)) AS n(x) ON TRUE", by_hand_left),
    ] {
        let window = format!("TUMBLE((SELECT t.*, n.x FROM t {join}), ts, INTERVAL '10 seconds')");
        law(same(columns, &window, &tumble(&by_hand, 10, 0), rest));
    }
}
