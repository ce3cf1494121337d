CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT window_start, count(*) FROM TUMBLE(clicks, usr, INTERVAL '10' SECOND) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM TUMBLE(clicks, tss, INTERVAL '10' SECOND) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM TUMBLE(clicks, DESCRIPTOR(ms), INTERVAL '10' SECOND) GROUP BY window_start, window_end;
