//! What is asked: each query as a stream and as the batch that gives the same rows.

use std::path::Path;

pub struct Query {
    pub name: &'static str,
    /// Over the stream `bid`.
    pub stream: &'static str,
    /// Where its rows go: what stands in WITH.
    pub sink: &'static str,
    /// Over the table `bid`, for plain DataFusion.
    pub batch: &'static str,
    /// Our time over DataFusion's may be so much.
    pub bar: f64,
}

/// In options and statements, the folder of what is written; gone before the next run.
pub const OUT: &str = "{out}";

pub const DISCARD: &str = "connector = 'blackhole'";

const Q0: &str = "SELECT auction, bidder, price, date_time, extra FROM bid";
const Q1: &str = "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid";
const Q2: &str = "SELECT auction, price FROM bid WHERE auction % 123 = 0";

pub static QUERIES: &[Query] = &[
    Query {
        name: "q0",
        stream: Q0,
        sink: DISCARD,
        batch: Q0,
        bar: 1.3,
    },
    Query {
        name: "q1",
        stream: Q1,
        sink: DISCARD,
        batch: Q1,
        bar: 1.3,
    },
    Query {
        name: "q2",
        stream: Q2,
        sink: DISCARD,
        batch: Q2,
        bar: 1.3,
    },
    Query {
        name: "q5",
        stream: "
SELECT bids.window_start, bids.auction, bids.num
FROM (
  SELECT auction, count(*) AS num, window_start, window_end
  FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
  GROUP BY auction, window_start, window_end
) AS bids
JOIN (
  SELECT max(num) AS max_num, window_start, window_end
  FROM (
    SELECT auction, count(*) AS num, window_start, window_end
    FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
    GROUP BY auction, window_start, window_end
  ) AS counts
  GROUP BY window_start, window_end
) AS hottest
ON bids.window_start = hottest.window_start
  AND bids.window_end = hottest.window_end
  AND bids.num >= hottest.max_num",
        sink: DISCARD,
        // As it is spelled: each row unnested into its windows, counted, joined with the maximum.
        batch: "
WITH counts AS (
  SELECT auction, window_start, count(*) AS num
  FROM (
    SELECT auction, unnest(generate_series(
      date_bin(INTERVAL '2 seconds', date_time) - INTERVAL '8 seconds',
      date_bin(INTERVAL '2 seconds', date_time), INTERVAL '2 seconds')) AS window_start
    FROM bid
  )
  GROUP BY auction, window_start
)
SELECT counts.window_start, counts.auction, counts.num
FROM counts
JOIN (SELECT window_start, max(num) AS max_num FROM counts GROUP BY window_start) AS hottest
ON counts.window_start = hottest.window_start AND counts.num >= hottest.max_num",
        bar: 0.05,
    },
    Query {
        name: "q10",
        stream: "
SELECT auction, bidder, price, date_time, extra, to_char(date_time, '%Y-%m-%d') AS dt, to_char(date_time, '%H:%M') AS hm
FROM bid",
        sink: "connector = 'file', path = '{out}', format = 'csv', partition_by = 'dt, hm'",
        batch: "
COPY (
  SELECT auction, bidder, price, date_time, extra,
         to_char(date_time, '%Y-%m-%d') AS dt, to_char(date_time, '%H:%M') AS hm
  FROM bid
) TO '{out}/' STORED AS CSV PARTITIONED BY (dt, hm) OPTIONS ('format.has_header' 'true')",
        // Each part is on disk before it is seen, which the batch does not wait for.
        bar: 1.6,
    },
    Query {
        name: "q11",
        stream: "
SELECT bidder, count(*) AS bid_count, window_start, window_end
FROM TABLE(SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(date_time), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end",
        sink: DISCARD,
        // A row opens a session when the bidder's row before it lies a gap back or more.
        batch: "
SELECT bidder, count(*) AS bid_count, min(date_time) AS window_start,
       max(date_time) + INTERVAL '10 seconds' AS window_end
FROM (
  SELECT bidder, date_time, sum(opens) OVER (PARTITION BY bidder ORDER BY date_time) AS session
  FROM (
    SELECT bidder, date_time,
           CASE WHEN date_time < lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time) + INTERVAL '10 seconds'
                THEN 0 ELSE 1 END AS opens
    FROM bid
  )
)
GROUP BY bidder, session",
        bar: 1.1,
    },
    Query {
        name: "q12",
        stream: "
SELECT bidder, count(*) AS bid_count, window_start, window_end
FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end",
        sink: DISCARD,
        batch: "
SELECT bidder, count(*) AS bid_count, date_bin(INTERVAL '10 seconds', date_time) AS window_start
FROM bid
GROUP BY bidder, window_start",
        bar: 1.1,
    },
];

/// Two streams of ours, of which the first may take so many times as long as the second.
pub struct Pair {
    pub name: &'static str,
    pub stream: &'static str,
    pub against: &'static str,
    pub bar: f64,
}

pub static PAIRS: &[Pair] = &[Pair {
    // A window of 10 s is 1,000 panes here, and 5 there.
    name: "panes",
    stream: "
SELECT window_start, window_end, count(*) AS n, max(price) AS highest
FROM HOP(bid, date_time, INTERVAL '10 milliseconds', INTERVAL '10 seconds')
GROUP BY window_start, window_end",
    against: "
SELECT window_start, window_end, count(*) AS n, max(price) AS highest
FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds')
GROUP BY window_start, window_end",
    bar: 1.5,
}];

/// The program that `waterwheel run` gets: files in, the sink of the query out.
pub fn script(sql: &str, sink: &str, folder: &Path, rows_per_interval: u64) -> String {
    format!(
        "SET max_rows_per_interval = {rows_per_interval};
SET parallelism = {threads};
CREATE SOURCE bid (
  auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, date_time TIMESTAMP(3), extra VARCHAR,
  WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH (connector = 'file', path = '{folder}', format = 'parquet');
CREATE SINK rows WITH ({sink});
INSERT INTO rows {sql};
",
        threads = super::run::THREADS,
        folder = folder.display(),
    )
}
