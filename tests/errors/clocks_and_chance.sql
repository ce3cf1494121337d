CREATE TABLE t (ts TIMESTAMP(3), k INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
CREATE TABLE c (ts TIMESTAMP(3), at AS now()) WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT k FROM t WHERE ts > now() - INTERVAL '1' HOUR;
SELECT count(*) FROM TUMBLE(t, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end HAVING max(ts) < current_timestamp;
SELECT max(now()) FROM t;
SELECT window_end, rand() FROM TUMBLE(t, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end;
SELECT count(*) FILTER (WHERE random() < 0.5) FROM t;
SELECT a.k, uuid() FROM t a JOIN t b ON a.k = b.k;
SELECT k FROM t ORDER BY random();
CREATE EXTERNAL TABLE dim (cust STRING, tier STRING) STORED AS CSV LOCATION 'tests/cases/dim.csv' WITH HEADER ROW;
SELECT tier, random() FROM dim;
