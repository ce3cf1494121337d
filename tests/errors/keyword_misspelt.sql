CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT usr FORM clicks;
SELECT usr FROM clicks WERE ms > 1;
SELECT usr FROM clicks GRUOP BY usr;
CRAETE TABLE t (a INT);
CREATE TABEL t (a INT);
SELECT window_start, count(*) FROM TUMBLE(clicks, ts, INTREVAL '10' SECOND) GROUP BY window_start;
