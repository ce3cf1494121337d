-- Page views in every ten seconds by the country of the visitor.
--
-- Clicks are JSON lines; where a visitor comes from stands in a small CSV file that is read once. Visitors who are
-- not in it are counted as unknown.
--
--     waterwheel run queries/clicks.sql

CREATE SOURCE click (
  ts   TIMESTAMP(3),
  usr  VARCHAR,
  page VARCHAR,
  ms   INT,
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH (connector = 'file', path = 'queries/data/clicks.jsonl', format = 'json');

CREATE EXTERNAL TABLE visitor (usr VARCHAR, country VARCHAR)
STORED AS CSV LOCATION 'queries/data/visitors.csv' WITH HEADER ROW;

SELECT window_start, coalesce(country, 'unknown') AS country, page, count(*) AS views, max(ms) AS slowest_ms
FROM TABLE(TUMBLE(TABLE click, DESCRIPTOR(ts), INTERVAL '10' SECOND)) AS c
LEFT JOIN visitor ON visitor.usr = c.usr
GROUP BY window_start, window_end, coalesce(country, 'unknown'), page;
