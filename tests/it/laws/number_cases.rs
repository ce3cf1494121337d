//! Numbers at their edges: sums that go over the largest number on the way.

use super::oracle::{hop, tumble};
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
