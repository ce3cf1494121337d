CREATE TABLE t (ts TIMESTAMP(3), x INT) WITH (connector = 'file', path = 'tests/cases/clicks.jsonl');
SELECT window_start, count(*) FROM TUMBLE(t, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end;
