//! SESSION windows, and windows over windows.

use super::oracle::{hop, session, tumble};
use super::{Case, law};

const BY_KEY: &str = "SESSION(t PARTITION BY k, ts, INTERVAL '3 seconds')";

#[test]
fn session_by_one_key() {
    let columns = "window_start, window_end, k, count(*), count(v), sum(v), min(v), max(s), sum(f), avg(f)";
    let rest = "GROUP BY window_start, window_end, k";
    law(Case::new(
        format!("SELECT {columns} FROM {BY_KEY} {rest}"),
        format!("SELECT {columns} FROM {} {rest}", session("t", 3, "k")),
    ));
}

#[test]
fn session_without_keys() {
    let columns = "window_start, window_end, count(*), sum(v), min(id)";
    let rest = "GROUP BY window_start, window_end";
    law(Case::new(
        format!("SELECT {columns} FROM SESSION(t, ts, INTERVAL '2 seconds') {rest}"),
        format!("SELECT {columns} FROM {} {rest}", session("t", 2, "")),
    ));
}

#[test]
fn session_by_two_keys_of_distinct_values() {
    let columns = "window_start, window_end, s, k, count(DISTINCT v), count(*) FILTER (WHERE v > 0)";
    let rest = "GROUP BY window_start, window_end, s, k";
    let from = "TABLE(SESSION(TABLE t PARTITION BY (k, s), DESCRIPTOR(ts), INTERVAL '10' SECOND))";
    law(Case::new(
        format!("SELECT {columns} FROM {from} {rest}"),
        format!("SELECT {columns} FROM {} {rest}", session("t", 10, "k, s")),
    ));
}

#[test]
fn session_in_group_by_leaves_rows_out_first() {
    let sql = "SELECT window_start, window_end, k % 2 AS odd, count(*) FROM t WHERE v > -50 \
               GROUP BY session(INTERVAL '3 seconds'), odd";
    let kept = "(SELECT *, k % 2 AS odd FROM t WHERE v > -50)";
    let oracle = format!(
        "SELECT window_start, window_end, odd, count(*) FROM {} GROUP BY window_start, window_end, odd",
        session(kept, 3, "odd")
    );
    law(Case::new(sql, oracle));
}

#[test]
fn rows_with_their_session() {
    let columns = "id, k, v, window_start, window_end";
    law(Case::new(
        format!("SELECT {columns} FROM {BY_KEY} WHERE v > 0"),
        format!("SELECT {columns} FROM {} WHERE v > 0", session("t", 3, "k")),
    ));
}

#[test]
fn sessions_of_one_key_grouped_by_another() {
    let columns = "window_start, window_end, s, count(*), sum(v)";
    let rest = "GROUP BY window_start, window_end, s";
    law(Case::new(
        format!("SELECT {columns} FROM {BY_KEY} {rest}"),
        format!("SELECT {columns} FROM {} {rest}", session("t", 3, "k")),
    ));
}

/// Windows of 30 s over what windows of 10 s gave: `from` as a stream, and in plain SQL.
fn over_windows(from: &str, by_hand: &str) -> Case {
    let inner = "SELECT window_start, window_end, k, sum(v) AS total";
    let rest = "GROUP BY window_start, window_end, k";
    let sql = format!(
        "SELECT window_start, window_end, max(total), count(*) FROM TUMBLE((SELECT window_time, k, total FROM \
         ({inner}, window_time FROM TUMBLE({from}, ts, INTERVAL '10 seconds') {rest}, window_time)), window_time, \
         INTERVAL '30 seconds') GROUP BY window_start, window_end"
    );
    let start = "arrow_cast(date_bin(INTERVAL '30 seconds', window_start, TIMESTAMP '1970-01-01T00:00:00'), '@T@')";
    let outer = format!(
        "SELECT {start} AS window_start, arrow_cast({start} + INTERVAL '30 seconds', '@T@') AS window_end, total FROM \
         ({inner} FROM {} {rest})",
        tumble(by_hand, 10, 0)
    );
    let oracle = format!(
        "SELECT window_start, window_end, max(total), count(*) FROM ({outer}) WHERE @SHOWN@ \
         GROUP BY window_start, window_end"
    );
    Case::new(sql, oracle)
}

#[test]
fn tumble_over_tumble() {
    law(over_windows("t", "t"));
}

/// A key of both streams is one row of a window, and counts once above it.
#[test]
fn tumble_over_tumble_of_two_streams() {
    let both = |columns: &str| format!("(SELECT {columns} FROM t UNION ALL SELECT {columns} FROM u)");
    law(over_windows(&both("k, v, ts"), &both("k, v, ts, wm")).over_two());
}

/// Rows that nobody has aggregated come as their window closes.
#[test]
fn tumble_over_rows_of_tumble() {
    let columns = "window_start, window_end, k, count(*), sum(v)";
    let rest = "GROUP BY window_start, window_end, k";
    let sql = format!(
        "SELECT {columns} FROM TUMBLE((SELECT window_time AS t, k, v FROM TUMBLE(t, ts, INTERVAL '10 seconds')), t, \
         INTERVAL '30 seconds') {rest}"
    );
    let start = "arrow_cast(date_bin(INTERVAL '30 seconds', window_start, TIMESTAMP '1970-01-01T00:00:00'), '@T@')";
    let outer = format!(
        "SELECT {start} AS window_start, arrow_cast({start} + INTERVAL '30 seconds', '@T@') AS window_end, k, v FROM {}",
        tumble("t", 10, 0)
    );
    law(Case::new(
        sql,
        format!("SELECT {columns} FROM ({outer}) WHERE @SHOWN@ {rest}"),
    ));
}

/// Sessions of the windows in which a key was seen: windows that follow each other make one.
#[test]
fn session_over_hop() {
    let inner = "SELECT window_end, k, count(*) AS n";
    let sql = format!(
        "SELECT window_start, window_end, k, sum(n) FROM SESSION(({inner}, window_time FROM HOP(t, ts, \
         INTERVAL '2 seconds', INTERVAL '4 seconds') GROUP BY window_start, window_end, window_time, k) PARTITION BY k, \
         window_time, INTERVAL '3 seconds') GROUP BY window_start, window_end, k"
    );
    // One unit before the end of a window lies as far behind that of another as the ends do, so that sessions can be
    // found by the ends; then they are moved back by the unit.
    let rows = format!(
        "(SELECT window_end AS ts, k, n, CAST(NULL AS BIGINT) AS id, arrow_cast(NULL, '@T@') AS wm FROM ({inner} FROM {} \
         GROUP BY window_end, k))",
        hop("t", 2, 4, 0)
    );
    let oracle = format!(
        "SELECT arrow_cast(arrow_cast(window_start, 'Int64') - 1, '@T@') AS window_start, \
         arrow_cast(arrow_cast(window_end, 'Int64') - 1, '@T@') AS window_end, k, sum(n) FROM {} \
         GROUP BY window_start, window_end, k",
        session(&rows, 3, "k")
    );
    law(Case::new(sql, oracle).at_end());
}

/// What runs as a batch gives its rows at the end of the input, none of them late.
#[test]
fn session_over_a_batch() {
    let columns = "window_start, window_end, k, count(*)";
    let rest = "GROUP BY window_start, window_end, k";
    let never_late = "SELECT ts, k, CAST(NULL AS BIGINT) AS id, arrow_cast(NULL, '@T@') AS wm FROM";
    let from = "(SELECT DISTINCT ts, k FROM t)";
    law(Case::new(
        format!("SELECT {columns} FROM SESSION({from} PARTITION BY k, ts, INTERVAL '3 seconds') {rest}"),
        format!(
            "SELECT {columns} FROM {} {rest}",
            session(&format!("({never_late} {from})"), 3, "k")
        ),
    )
    .at_end());
    let columns = "window_start, window_end, ts, k";
    let from = "(SELECT ts, k FROM t UNION SELECT ts, k FROM u)";
    law(Case::new(
        format!("SELECT {columns} FROM SESSION({from}, ts, INTERVAL '1 second')"),
        format!(
            "SELECT {columns} FROM {}",
            session(&format!("({never_late} {from})"), 1, "")
        ),
    )
    .over_two()
    .at_end());
}

#[test]
fn distinct_rows_of_a_window() {
    let columns = "window_start, window_end, k, v % 3 AS rest";
    law(Case::new(
        format!("SELECT DISTINCT {columns} FROM TUMBLE(t, ts, INTERVAL '10 seconds')"),
        format!("SELECT DISTINCT {columns} FROM {}", tumble("t", 10, 0)),
    ));
}

#[test]
fn grouping_sets_of_a_window() {
    let columns = "window_start, window_end, k, s, count(*), sum(v)";
    let sets = "GROUP BY GROUPING SETS ((window_start, window_end), (window_start, window_end, k), \
                (window_start, window_end, k, s))";
    law(Case::new(
        format!("SELECT {columns} FROM TUMBLE(t, ts, INTERVAL '10 seconds') {sets}"),
        format!("SELECT {columns} FROM {} {sets}", tumble("t", 10, 0)),
    ));
}
