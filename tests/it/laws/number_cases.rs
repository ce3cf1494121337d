//! Numbers at their edges: sums that go over the largest number on the way, and -0.0, which is 0.0.

use super::oracle::{hop, session, tumble};
use super::{Case, law};

const TUMBLE: &str = "TUMBLE(t, ts, INTERVAL '10 seconds')";
const HOP: &str = "HOP(t, ts, INTERVAL '2 seconds', INTERVAL '10 seconds')";

/// The oracle wraps around twice, and so is right at the end.
#[test]
fn sums_that_go_over_and_come_back() {
    let both = "(SELECT k, 9000000000000000000 + id AS x FROM t UNION ALL SELECT k, -9000000000000000000 - id FROM t)";
    for rest in ["", " GROUP BY k"] {
        let sql = format!("SELECT sum(x), sum(DISTINCT x) FROM {both}{rest}");
        law(Case::new(sql.clone(), sql).at_end());
    }
}

/// Sums of windows beyond 64 bits, as a DECIMAL of which they are a multiple.
#[test]
fn sums_of_windows_at_the_edge() {
    let columns = |x: &str| format!("window_start, k, sum({x}), sum(DISTINCT {x}), count(*)");
    let query = |x: &str, from: &str| {
        let columns = columns(x);
        format!("SELECT {columns} FROM {from} GROUP BY window_start, window_end, k")
    };
    let x = "CAST(v AS DECIMAL(38, 0)) * 10";
    law(Case::new(query(x, TUMBLE), query(x, &tumble("t", 10, 0))));
    law(Case::new(query(x, HOP), query(x, &hop("t", 2, 10, 0))));
}

/// `v * 0.0` is -0.0 where `v` is negative. In the oracle there is one zero.
fn zeros(query: impl Fn(&str) -> String) -> (String, String) {
    (query("(v * 0.0)"), query("(abs(v) * 0.0)"))
}

#[test]
fn distinct_zeros() {
    let columns = |z: &str| {
        format!("count(DISTINCT {z}), sum(DISTINCT {z}), array_agg(DISTINCT {z}) FILTER (WHERE v IS NOT NULL)")
    };
    let (sql, oracle) = zeros(|z| format!("SELECT k, {} FROM t GROUP BY k", columns(z)));
    law(Case::new(sql, oracle).at_end());
    for (window, by_hand) in [(TUMBLE, tumble("t", 10, 0)), (HOP, hop("t", 2, 10, 0))] {
        let query = |z: &str, from: &str| {
            let columns = columns(z);
            format!("SELECT window_start, k, {columns} FROM {from} GROUP BY window_start, window_end, k")
        };
        law(Case::new(query("(v * 0.0)", window), query("(abs(v) * 0.0)", &by_hand)));
    }
}

#[test]
fn rows_ranked_by_zeros() {
    let (sql, oracle) = zeros(|z| {
        format!(
            "SELECT id, rank() OVER (ORDER BY {z}), count(*) OVER (PARTITION BY {z}), sum(id) OVER (ORDER BY {z}), \
             row_number() OVER (PARTITION BY {z} ORDER BY id, k, s, v, f, ts) FROM t"
        )
    });
    law(Case::new(sql, oracle).at_end());
}

#[test]
fn the_best_of_a_window_per_zero() {
    let query = |z: &str, from: &str| {
        format!(
            "SELECT window_start, id, place FROM (SELECT window_start, id, ROW_NUMBER() OVER (PARTITION BY \
             window_start, {z} ORDER BY {z}, id) AS place FROM {from}) WHERE place <= 2"
        )
    };
    law(Case::new(
        query("v * 0.0", TUMBLE),
        query("abs(v) * 0.0", &tumble("t", 10, 0)),
    ));
}

#[test]
fn sessions_per_zero() {
    let rest = "GROUP BY window_start, window_end, z";
    let kept = |z: &str| format!("(SELECT *, {z} AS z FROM t)");
    let query = |from: &str| format!("SELECT window_start, window_end, count(*), sum(v) FROM {from} {rest}");
    let sessions = format!("SESSION({} PARTITION BY z, ts, INTERVAL '3 seconds')", kept("v * 0.0"));
    let by_hand = session(&kept("abs(v) * 0.0"), 3, "z");
    law(Case::new(query(&sessions), query(&by_hand)));
}

#[test]
fn zeros_in_conditions() {
    let (sql, oracle) = zeros(|z| {
        format!("SELECT id, {z} IN (0.0, 1, 2, 3, 4), CASE {z} WHEN 0.0 THEN 'zero' END, nullif({z}, 0.0) FROM t")
    });
    law(Case::new(sql, oracle));
}
