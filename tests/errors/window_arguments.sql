CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT window_start, count(*) FROM HOP(clicks, ts, INTERVAL '20' SECOND, INTERVAL '10' SECOND) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM HOP(clicks, ts, INTERVAL '20' SECOND) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM TUMBLE(clicks, ts) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM TUMBLE(ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end;
SELECT window_start, count(*) FROM TUMBLE(DATA => clicks, TIMECOL => ts, SZE => INTERVAL '10' SECOND) GROUP BY window_start, window_end;
