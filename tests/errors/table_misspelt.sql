CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT * FROM click;
SELECT * FROM orders;
SELECT count(*) FROM TUMBLE(clics, ts, INTERVAL '10' SECOND) GROUP BY window_start;
