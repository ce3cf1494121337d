CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT window_start, count(*) FROM CUMULATE(clicks, ts, INTERVAL '7' SECOND, INTERVAL '30' SECOND) GROUP BY window_start, window_end;
