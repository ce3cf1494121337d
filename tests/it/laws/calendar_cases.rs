//! Windows of days, weeks, months and years on the clocks of a zone, across the changes of the clocks.

use super::data::Spread;
use super::oracle::Clocks;
use super::{Case, law};

const BERLIN: Clocks = Clocks {
    zone: "Europe/Berlin",
    period: "day",
    origin: "1970-01-01T00:00:00",
};

fn same(columns: &str, window: &str, by_hand: &str, rest: &str, clocks: Clocks) -> Case {
    let query = |from: &str| format!("SELECT {columns} FROM {from} GROUP BY {rest}");
    let spread = match clocks.period {
        "day" => Spread::Days,
        _ => Spread::Months,
    };
    Case::new(query(window), query(by_hand))
        .set("time_zone", clocks.zone)
        .spread(spread)
}

#[test]
fn tumble_of_a_day_in_berlin() {
    let columns = "window_start, window_end, count(*), sum(v), max(s)";
    let rest = "window_start, window_end";
    law(same(
        columns,
        "TUMBLE(t, ts, INTERVAL '1' DAY)",
        &BERLIN.tumble("t", 1),
        rest,
        BERLIN,
    ));
}

#[test]
fn tumble_of_a_day_by_key_in_new_york() {
    let clocks = Clocks {
        zone: "America/New_York",
        ..BERLIN
    };
    let columns = "window_start, window_end, k, count(*), avg(f), count(DISTINCT s)";
    let rest = "window_start, window_end, k";
    law(same(
        columns,
        "TUMBLE(t, ts, INTERVAL '1' DAY)",
        &clocks.tumble("t", 1),
        rest,
        clocks,
    )
    .small_only());
}

/// Half an hour ahead of whole hours, and days that begin in the morning.
#[test]
fn days_from_six_in_the_morning() {
    let clocks = Clocks {
        zone: "Asia/Kolkata",
        origin: "1970-01-01T06:00:00",
        ..BERLIN
    };
    let window = "TUMBLE(t, ts, INTERVAL '1 day', INTERVAL '6 hours')";
    law(same(
        "window_end, k, count(*)",
        window,
        &clocks.tumble("t", 1),
        "window_start, window_end, k",
        clocks,
    )
    .small_only());
}

#[test]
fn weeks_from_monday_on() {
    let clocks = Clocks {
        origin: "1970-01-05T00:00:00",
        ..BERLIN
    };
    let window = "TUMBLE(t, ts, INTERVAL '1 week', INTERVAL '4 days')";
    law(same(
        "window_start, k, sum(v)",
        window,
        &clocks.tumble("t", 7),
        "window_start, window_end, k",
        clocks,
    )
    .small_only());
}

#[test]
fn hop_by_days_in_berlin() {
    let rest = "window_start, window_end, k";
    let window = "HOP(t, ts, INTERVAL '1 day', INTERVAL '7 days')";
    let columns = "window_start, window_end, k, count(*), min(v)";
    law(same(columns, window, &BERLIN.hop("t", 1, 7), rest, BERLIN));
    // The size is no multiple of the slide.
    let window = "HOP(t, ts, INTERVAL '2 days', INTERVAL '3 days')";
    law(same(columns, window, &BERLIN.hop("t", 2, 3), rest, BERLIN));
}

#[test]
fn hop_by_many_days_of_utc() {
    let clocks = Clocks { zone: "UTC", ..BERLIN };
    let window = "HOP(t, ts, INTERVAL '1 day', INTERVAL '30 days')";
    let columns = "window_start, window_end, count(*), sum(v), max(s)";
    law(same(
        columns,
        window,
        &clocks.hop("t", 1, 30),
        "window_start, window_end",
        clocks,
    )
    .small_only());
}

#[test]
fn cumulate_days_of_a_week() {
    let window = "CUMULATE(t, ts, INTERVAL '1 day', INTERVAL '1 week')";
    let columns = "window_start, window_end, k, count(*), sum(v)";
    law(same(
        columns,
        window,
        &BERLIN.cumulate("t", 1, 7),
        "window_start, window_end, k",
        BERLIN,
    )
    .small_only());
}

#[test]
fn tumble_of_months_and_years() {
    let rest = "window_start, window_end, k";
    let columns = "window_start, window_end, k, count(*), sum(v)";
    let clocks = Clocks {
        period: "month",
        ..BERLIN
    };
    for (window, months) in [("1' MONTH", 1), ("3 months'", 3), ("1' YEAR", 12)] {
        let window = format!("TUMBLE(t, ts, INTERVAL '{window})");
        law(same(columns, &window, &clocks.tumble("t", months), rest, clocks).small_only());
    }
}

#[test]
fn years_from_april_on() {
    let clocks = Clocks {
        period: "month",
        zone: "Australia/Sydney",
        origin: "1970-04-01T00:00:00",
    };
    let window = "TUMBLE(t, ts, INTERVAL '1 year', INTERVAL '3 months')";
    law(same(
        "window_end, count(*)",
        window,
        &clocks.tumble("t", 12),
        "window_start, window_end",
        clocks,
    )
    .small_only());
}

#[test]
fn hop_and_cumulate_by_months() {
    let clocks = Clocks {
        period: "month",
        ..BERLIN
    };
    let rest = "window_start, window_end, k";
    let columns = "window_start, window_end, k, count(*), max(id)";
    let hop = "HOP(t, ts, INTERVAL '1 month', INTERVAL '1 year')";
    law(same(columns, hop, &clocks.hop("t", 1, 12), rest, clocks).small_only());
    let cumulate = "CUMULATE(t, ts, INTERVAL '1 month', INTERVAL '1 year')";
    law(same(columns, cumulate, &clocks.cumulate("t", 1, 12), rest, clocks).small_only());
}

/// What stands above windows of days: sets of keys, distinct rows, the best of a window, joins on equal starts.
#[test]
fn operators_over_days_in_berlin() {
    let day = "TUMBLE(t, ts, INTERVAL '1' DAY)";
    let of = |sql: &str| {
        let case = Case::new(sql.replace("@W@", day), sql.replace("@W@", &BERLIN.tumble("t", 1)));
        law(case.set("time_zone", "Europe/Berlin").spread(Spread::Days).small_only());
    };
    of("SELECT window_start, k, s, count(*) FROM @W@ \
        GROUP BY GROUPING SETS ((window_start, window_end), (window_start, window_end, k), (window_start, window_end, k, s))");
    of("SELECT DISTINCT window_start, window_end, k FROM @W@");
    of("SELECT a.window_start, a.k, a.n, b.total FROM \
        (SELECT window_start, window_end, k, count(*) AS n FROM @W@ GROUP BY window_start, window_end, k) AS a \
        JOIN (SELECT window_start, window_end, sum(v) AS total FROM @W@ GROUP BY window_start, window_end) AS b \
        ON a.window_start = b.window_start");
}

#[test]
fn sets_and_distinct_rows_over_hops() {
    let hop = |by_hand: bool| match by_hand {
        true => super::oracle::hop("t", 1, 20, 3),
        false => "HOP(t, ts, INTERVAL '1 second', INTERVAL '20 seconds', INTERVAL '3 seconds')".to_string(),
    };
    let months = |by_hand: bool| match by_hand {
        true => Clocks {
            period: "month",
            ..BERLIN
        }
        .hop("t", 1, 3),
        false => "HOP(t, ts, INTERVAL '1 month', INTERVAL '3 months')".to_string(),
    };
    let sets =
        "GROUPING SETS ((window_start, window_end, k), (window_start, window_end, s), (window_start, window_end))";
    let of_hops = [
        format!("SELECT window_end, k, s, count(*), sum(v) FROM @W@ GROUP BY {sets}"),
        "SELECT DISTINCT window_start, window_end, k, s FROM @W@".to_string(),
    ];
    for sql in of_hops {
        law(
            Case::new(sql.replace("@W@", &hop(false)), sql.replace("@W@", &hop(true)))
                .small_only()
                .at_end(),
        );
    }
    let of_months = [
        "SELECT window_end, k, count(*), grouping(k) FROM @W@ GROUP BY window_start, window_end, ROLLUP (k)",
        "SELECT window_start, k, s, max(v) FROM @W@ GROUP BY CUBE (k, s), window_start, window_end",
        "SELECT DISTINCT window_end, n FROM \
         (SELECT window_end, k, count(*) AS n FROM @W@ GROUP BY window_start, window_end, k)",
    ];
    for sql in of_months {
        let case = Case::new(sql.replace("@W@", &months(false)), sql.replace("@W@", &months(true)));
        law(case
            .set("time_zone", "Europe/Berlin")
            .spread(Spread::Months)
            .small_only()
            .at_end());
    }
}

/// Sets and distinct rows over days of Berlin that grow to weeks, and overlap.
#[test]
fn sets_and_distinct_rows_over_days() {
    let cumulate = (
        "CUMULATE(t, ts, INTERVAL '1 day', INTERVAL '1 week')",
        BERLIN.cumulate("t", 1, 7),
    );
    let hop = (
        "HOP(t, ts, INTERVAL '2 days', INTERVAL '3 days')",
        BERLIN.hop("t", 2, 3),
    );
    let of = |(window, by_hand): &(&str, String), sql: &str| {
        let case = Case::new(sql.replace("@W@", window), sql.replace("@W@", by_hand));
        law(case
            .set("time_zone", "Europe/Berlin")
            .spread(Spread::Days)
            .small_only()
            .at_end());
    };
    of(&cumulate, "SELECT DISTINCT window_start, window_end, k FROM @W@");
    of(
        &cumulate,
        "SELECT window_start, window_end, k, s, count(*), count(DISTINCT v) FROM @W@ \
         GROUP BY window_start, window_end, CUBE (k, s) HAVING count(*) > 1",
    );
    of(
        &hop,
        "SELECT window_end, k, count(DISTINCT s), sum(v) FROM @W@ \
         GROUP BY GROUPING SETS ((window_start, window_end, k), (window_end))",
    );
    of(
        &hop,
        "SELECT window_end, count(DISTINCT n) FROM (SELECT DISTINCT window_end, k, v % 3 AS n FROM @W@) GROUP BY window_end",
    );
}
