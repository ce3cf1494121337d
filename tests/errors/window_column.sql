CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT window_start, count(*) FROM TUMBLE(clicks, usr, INTERVAL '10' SECOND) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM TUMBLE(clicks, tss, INTERVAL '10' SECOND) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM TUMBLE(clicks, DESCRIPTOR(ms), INTERVAL '10' SECOND) GROUP BY window_start, window_end;
SELECT window_start FROM TUMBLE((SELECT * FROM HOP(clicks, ts, INTERVAL '10' SECOND, INTERVAL '30' SECOND)), ts, INTERVAL '10' SECOND);
SELECT window_start FROM TUMBLE((SELECT ts FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_end, ts), ts, INTERVAL '10' SECOND);
SELECT count(*) FROM (SELECT window_end AS e, count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_end) GROUP BY tumble(INTERVAL '1 minute');
