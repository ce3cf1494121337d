//! Row by row: filters, projections, static tables, UNION ALL.

use super::{Case, law};

fn same(sql: &str) -> Case {
    Case::new(sql, sql)
}

#[test]
fn filter_and_project() {
    law(same(
        "SELECT id, v * 2 + 1, upper(s), ts, f FROM t WHERE v > 0 OR s = 'ab'",
    ));
}

#[test]
fn every_column() {
    law(same("SELECT id, k, s, v, f, ts FROM t"));
}

#[test]
fn no_column_is_needed() {
    law(same("SELECT 1, 'x' FROM t"));
}

#[test]
fn nothing_passes() {
    law(same("SELECT id FROM t WHERE v > 1000"));
}

#[test]
fn expressions_over_nulls() {
    law(same(
        "SELECT coalesce(k, -1), nullif(v, 5), k IS NULL, s || '!', CASE WHEN v > 0 THEN f END, round(f, 1) FROM t \
         WHERE k IS DISTINCT FROM 1",
    ));
}

#[test]
fn functions_of_the_user() {
    law(same("SELECT id, doubled(v) FROM t WHERE doubled(k) > 1"));
}

#[test]
fn joins_with_a_static_table() {
    for kind in ["", "LEFT"] {
        law(same(&format!(
            "SELECT t.id, t.k, d.label FROM t {kind} JOIN dim AS d ON t.k = d.k AND t.v > -50"
        )));
    }
}

#[test]
fn semi_and_anti_joins_with_a_static_table() {
    law(same(
        "SELECT id, k FROM t WHERE k IN (SELECT k FROM dim WHERE label <> 'zero')",
    ));
    law(same(
        "SELECT id, k FROM t WHERE NOT EXISTS (SELECT 1 FROM dim WHERE dim.k = t.k)",
    ));
}

#[test]
fn union_all() {
    law(same("SELECT id, k, v FROM t WHERE v > 0 UNION ALL SELECT id, k, -v FROM u").over_two());
    law(same(
        "SELECT id, 't' FROM t UNION ALL SELECT id, 'again' FROM t WHERE k = 1",
    ));
}

#[test]
fn union_all_with_rows_that_do_not_change() {
    law(same(
        "SELECT id, 't' AS w FROM t WHERE v > 0 UNION ALL SELECT k, label FROM dim UNION ALL SELECT -1, 'one'",
    ));
    law(same(
        "SELECT id + 1, w FROM (SELECT id, s AS w FROM t UNION ALL SELECT k, label FROM dim) WHERE w <> 'zero'",
    ));
}

#[test]
fn limit_counts_rows() {
    let sql = "SELECT 1 FROM t LIMIT 7";
    law(Case::new(sql, sql).at_end());
}
