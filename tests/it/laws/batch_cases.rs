//! Questions that need the whole input: over bounded input they are answered at its end.

use super::{Case, law};

fn same(sql: &str) -> Case {
    Case::new(sql, sql).at_end()
}

#[test]
fn aggregate_without_group_by() {
    law(same(
        "SELECT count(*), sum(v), min(s), max(ts), avg(f), count(DISTINCT k) FROM t",
    ));
    law(same("SELECT count(*), sum(v) FROM t WHERE v > 1000"));
    law(same(
        "SELECT avg(v), avg(v) FILTER (WHERE v > 1000), corr(v, id) FROM t",
    ));
}

#[test]
fn group_by() {
    law(same(
        "SELECT k, count(*), sum(v), avg(f), median(v), count(DISTINCT s) FROM t GROUP BY k HAVING count(*) > 1",
    ));
    law(same(
        "SELECT k, s, count(*) FROM t GROUP BY GROUPING SETS ((k), (s), ())",
    ));
}

#[test]
fn group_by_a_float() {
    law(same("SELECT f, count(*) FROM t GROUP BY f"));
}

#[test]
fn group_by_time_without_windows() {
    law(same(
        "SELECT date_bin(INTERVAL '10 seconds', ts) AS w, count(*) FROM t GROUP BY w",
    ));
}

#[test]
fn order_by() {
    law(same("SELECT id, v, k FROM t ORDER BY v DESC, id, k").ordered());
    law(same("SELECT id, v FROM t ORDER BY v, id LIMIT 5 OFFSET 2").ordered());
}

#[test]
fn distinct() {
    law(same("SELECT DISTINCT k, s FROM t"));
    law(same("SELECT k FROM t EXCEPT SELECT k FROM u").over_two());
    law(same("SELECT k FROM t UNION SELECT v FROM u").over_two());
}

#[test]
fn over() {
    law(same(
        "SELECT id, k, v, sum(v) OVER (PARTITION BY k ORDER BY id, v, s, f, ts) FROM t",
    ));
}

#[test]
fn regular_join() {
    law(same("SELECT t.id, u.id FROM t JOIN u ON t.k = u.k AND t.v = u.v")
        .over_two()
        .small_only());
    law(same("SELECT t.id, u.id FROM t FULL JOIN u ON t.id = u.id").over_two());
}

#[test]
fn subqueries() {
    law(same("SELECT id FROM t WHERE v > (SELECT avg(v) FROM t)"));
    law(same(
        "WITH c AS (SELECT k, count(*) AS n FROM t GROUP BY k) SELECT c.k, c.n, (SELECT max(n) FROM c) FROM c",
    ));
}
