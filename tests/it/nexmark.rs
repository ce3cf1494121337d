//! The queries of `queries/nexmark` over a million events, against DataFusion's batch answer to plain SQL over the same
//! rows.

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute::{SortColumn, cast, concat_batches, lexsort_to_indices, take};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;
use waterwheel::Engine;
use waterwheel::metrics::Summary;

const FOLDER: &str = "queries/nexmark";

/// What each query is in plain SQL: no window functions, and the whole input at once.
const ORACLES: [(&str, &str); 13] = [
    ("q0", "SELECT auction, bidder, price, date_time, extra FROM bid"),
    (
        "q1",
        "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid",
    ),
    ("q2", "SELECT auction, price FROM bid WHERE auction % 123 = 0"),
    (
        "q5",
        "WITH counts AS (
           SELECT auction, count(*) AS num, date_bin(INTERVAL '2 seconds', date_time) - back AS window_start
           FROM bid CROSS JOIN (VALUES (INTERVAL '0 seconds'), (INTERVAL '2 seconds'), (INTERVAL '4 seconds'),
             (INTERVAL '6 seconds'), (INTERVAL '8 seconds')) AS hops(back)
           GROUP BY auction, date_bin(INTERVAL '2 seconds', date_time) - back
         )
         SELECT counts.window_start, counts.window_start + INTERVAL '10 seconds' AS window_end, auction, num
         FROM counts
         JOIN (SELECT window_start, max(num) AS most FROM counts GROUP BY window_start) AS hottest
         ON counts.window_start = hottest.window_start AND counts.num = hottest.most",
    ),
    (
        "q7",
        "WITH bids AS (SELECT *, date_bin(INTERVAL '10 seconds', date_time) AS window_start FROM bid)
         SELECT bids.window_start, bids.window_start + INTERVAL '10 seconds' AS window_end, auction, price, bidder,
           date_time
         FROM bids
         JOIN (SELECT window_start, max(price) AS most FROM bids GROUP BY window_start) AS highest
         ON bids.window_start = highest.window_start AND bids.price = highest.most",
    ),
    (
        "q8",
        "SELECT p.id, p.name, p.window_start
         FROM (SELECT DISTINCT id, name, date_bin(INTERVAL '10 seconds', date_time) AS window_start FROM person) AS p
         JOIN (SELECT DISTINCT seller, date_bin(INTERVAL '10 seconds', date_time) AS window_start FROM auction) AS a
         ON p.id = a.seller AND p.window_start = a.window_start",
    ),
    (
        "q10",
        "SELECT auction, bidder, price, date_time, extra, to_char(date_time, '%Y-%m-%d') AS dt,
           to_char(date_time, '%H:%M') AS hm
         FROM bid",
    ),
    (
        "q11",
        "WITH opened AS (
           SELECT bidder, date_time,
             CASE WHEN date_time < lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time) + INTERVAL '10 seconds'
               THEN 0 ELSE 1 END AS opens
           FROM bid
         ),
         numbered AS (
           SELECT bidder, date_time, sum(opens) OVER (PARTITION BY bidder ORDER BY date_time) AS number FROM opened
         )
         SELECT bidder, count(*) AS bid_count, min(date_time) AS window_start,
           max(date_time) + INTERVAL '10 seconds' AS window_end
         FROM numbered GROUP BY bidder, number",
    ),
    (
        "q12",
        "SELECT bidder, bid_count, window_start, window_start + INTERVAL '10 seconds' AS window_end
         FROM (
           SELECT bidder, count(*) AS bid_count, date_bin(INTERVAL '10 seconds', date_time) AS window_start
           FROM bid GROUP BY bidder, date_bin(INTERVAL '10 seconds', date_time)
         )",
    ),
    (
        "q14",
        "SELECT auction, bidder, 0.908 * price AS price,
           CASE
             WHEN date_part('hour', date_time) >= 8 AND date_part('hour', date_time) <= 18 THEN 'dayTime'
             WHEN date_part('hour', date_time) <= 6 OR date_part('hour', date_time) >= 20 THEN 'nightTime'
             ELSE 'otherTime'
           END AS bid_time_type,
           date_time, extra, length(extra) - length(replace(extra, 'c', '')) AS c_counts
         FROM bid
         WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000",
    ),
    (
        "q17",
        "SELECT auction, date_trunc('day', date_time) AS day, count(*) AS total_bids,
           sum(CASE WHEN price < 10000 THEN 1 ELSE 0 END) AS rank1_bids,
           sum(CASE WHEN price >= 10000 AND price < 1000000 THEN 1 ELSE 0 END) AS rank2_bids,
           sum(CASE WHEN price >= 1000000 THEN 1 ELSE 0 END) AS rank3_bids,
           min(price) AS min_price, max(price) AS max_price, avg(price) AS avg_price, sum(price) AS sum_price
         FROM bid
         GROUP BY auction, date_trunc('day', date_time)",
    ),
    (
        "q21",
        "SELECT * FROM (
           SELECT auction, bidder, price, channel,
             CASE
               WHEN lower(channel) = 'apple' THEN '0'
               WHEN lower(channel) = 'google' THEN '1'
               WHEN lower(channel) = 'facebook' THEN '2'
               WHEN lower(channel) = 'baidu' THEN '3'
               ELSE regexp_match(url, '(&|^)channel_id=([^&]*)')[2]
             END AS channel_id
           FROM bid
         )
         WHERE channel_id IS NOT NULL",
    ),
    (
        "q22",
        "SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2,
           split_part(url, '/', 6) AS dir3
         FROM bid",
    ),
];

/// A query as the file has it: its declarations, and its SELECT.
struct Text {
    declarations: String,
    select: String,
}

impl Text {
    fn of(name: &str) -> Text {
        let text = std::fs::read_to_string(format!("{FOLDER}/{name}.sql")).expect("a query of the folder");
        assert!(text.contains("events = 1000000"), "{name} is over a million events");
        let (before, select) = text.split_once("\nSELECT").expect("a SELECT");
        let declarations = before.split("CREATE SINK").next().expect("the text before it");
        Text {
            declarations: declarations.to_string(),
            select: format!("SELECT{select}"),
        }
    }

    /// All rows of a SELECT over what the file declares, and the numbers of the run.
    async fn run(&self, select: &str) -> (RecordBatch, Summary) {
        let engine = Engine::builder().set("parallelism", "2").expect("a setting").build();
        let query = engine.query(&format!("{}\n{select}", self.declarations)).await;
        let query = query.unwrap_or_else(|error| panic!("{error}\nin {select}"));
        let rows = query.one().await.expect("rows");
        (rows, query.wait().await.expect("an end"))
    }
}

#[test]
fn every_query_has_an_oracle() {
    let files = std::fs::read_dir(FOLDER)
        .expect("the folder")
        .map(|entry| entry.expect("a file").path());
    let mut names: Vec<String> = files
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    let mut known = ORACLES.map(|(name, _)| name.to_string());
    names.sort();
    known.sort();
    assert_eq!(names, known);
}

#[test]
fn a_million_events_give_the_batch_answers() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let batch = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        for (file, table) in [("q0", "bid"), ("q8", "person"), ("q8", "auction")] {
            let (rows, _) = Text::of(file).run(&format!("SELECT * FROM {table}")).await;
            let rows = MemTable::try_new(rows.schema(), vec![vec![rows]]).expect("a table");
            batch.register_table(table, Arc::new(rows)).expect("a new name");
        }
        for (name, oracle) in ORACLES {
            let text = Text::of(name);
            let (answer, summary) = text.run(&text.select).await;
            assert_eq!(
                (summary.late, summary.late_partial, summary.null_time),
                (0, 0, 0),
                "{name}"
            );
            assert!(summary.intervals > 1 && answer.num_rows() > 0, "{name}: {summary:?}");
            let expected = batch
                .sql(oracle)
                .await
                .expect("plain SQL")
                .collect()
                .await
                .expect("an answer");
            compare(name, &answer, &expected);
        }
    });
}

/// q10 as the file has it, but for where it writes: the files hold each bid once, in the folder of its minute.
#[test]
fn q10_writes_every_bid_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out").display().to_string();
        let text = std::fs::read_to_string(format!("{FOLDER}/q10.sql")).expect("q10");
        let engine = Engine::in_memory();
        let text = text.replace("'nexmark_q10'", &format!("'{out}'"));
        let mut script = engine.script(&text).expect("q10");
        while let Some(outcome) = script.next().await {
            if let waterwheel::Outcome::Started(query) = outcome.expect("a statement of q10") {
                query.wait().await.expect("an end");
            }
        }
        let days = std::fs::read_dir(&out).expect("folders of days");
        let minutes: Vec<_> = days
            .flat_map(|day| std::fs::read_dir(day.expect("a day").path()).expect("folders of minutes"))
            .map(|minute| minute.expect("a minute").path())
            .collect();
        assert_eq!(minutes.len(), 2, "{minutes:?}");
        let mut written = Vec::new();
        for minute in minutes {
            let parts = std::fs::read_dir(&minute).expect("parts").count();
            let name = minute
                .strip_prefix(&out)
                .expect("a folder of out")
                .display()
                .to_string();
            assert!(parts > 1, "{name}: {parts}");
            let table = format!(
                "CREATE TABLE part (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), extra VARCHAR)
                 WITH (connector = 'file', path = '{}', format = 'csv');",
                minute.display()
            );
            let all = "SELECT *, to_char(date_time, '%Y-%m-%d') AS dt, to_char(date_time, '%H:%M') AS hm FROM part";
            let reader = Engine::in_memory();
            let query = reader.query(&format!("{table} {all}")).await.expect("a query");
            let rows = query.one().await.expect("rows");
            let folder = |row: usize| {
                let text = |column: &str| {
                    let column = rows.column_by_name(column).expect("a column");
                    datafusion::arrow::util::display::array_value_to_string(column, row).expect("text")
                };
                format!("dt={}/hm={}", text("dt"), text("hm").replace(':', "%3A"))
            };
            assert!((0..rows.num_rows()).all(|row| folder(row) == name), "{name}");
            written.push(rows);
        }
        let whole = Text::of("q10");
        let (expected, _) = whole.run(&whole.select).await;
        let written = concat_batches(&written[0].schema(), &written).expect("one schema");
        compare("q10", &written, &[expected]);
    });
}

/// The same rows, in any order.
fn compare(name: &str, answer: &RecordBatch, expected: &[RecordBatch]) {
    let expected = concat_batches(&expected[0].schema(), expected).expect("one schema");
    assert_eq!(answer.num_rows(), expected.num_rows(), "{name}");
    let columns = answer.columns().iter().zip(expected.columns());
    // date_bin and literals may have wider types than ours.
    let cast = |(ours, theirs): (&ArrayRef, &ArrayRef)| cast(theirs, ours.data_type()).expect("a type to compare with");
    let expected = sorted(&columns.map(cast).collect::<Vec<_>>());
    for (index, (ours, theirs)) in sorted(answer.columns()).iter().zip(&expected).enumerate() {
        if ours == theirs {
            continue;
        }
        let differs = (0..ours.len()).find(|row| ours.slice(*row, 1) != theirs.slice(*row, 1));
        if let Some(row) = differs {
            let (ours, theirs) = (ours.slice(row, 1), theirs.slice(row, 1));
            panic!("{name}: column {index} of sorted row {row} is {ours:?}, not {theirs:?}");
        }
    }
}

fn sorted(columns: &[ArrayRef]) -> Vec<ArrayRef> {
    let keys: Vec<SortColumn> = columns
        .iter()
        .map(|values| SortColumn {
            values: Arc::clone(values),
            options: None,
        })
        .collect();
    let order = lexsort_to_indices(&keys, None).expect("columns that can be sorted");
    columns.iter().map(|c| take(c, &order, None).expect("rows")).collect()
}
