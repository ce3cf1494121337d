CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT window_start, count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end EMIT CHANGES;
CREATE MATERIALIZED VIEW v AS SELECT usr FROM clicks;
EXPLAIN ANALYZE SELECT usr FROM clicks;
SHOW QUERIES;
