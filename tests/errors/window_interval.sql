CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT window_start, count(*) FROM TUMBLE(clicks, ts, 10) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECNDS) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM TUMBLE(clicks, ts, INTERVAL '0' SECOND) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM TUMBLE(clicks, ts, INTERVAL '-5' SECOND) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM TUMBLE(clicks, ts, '10 seconds') GROUP BY window_start, window_end;
