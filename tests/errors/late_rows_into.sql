CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
CREATE TABLE narrow (ts TIMESTAMP(3), usr STRING);
CREATE TABLE wrong (ts BOOLEAN, usr STRING, page STRING, ms INT, a TIMESTAMP, b TIMESTAMP, c TIMESTAMP);
CREATE VIEW v AS SELECT usr FROM clicks;
SELECT usr FROM clicks LATE ROWS INTO l;
SELECT usr, count(*) FROM clicks GROUP BY usr LATE ROWS INTO l;
SELECT count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end LATE ROWS INTO narrow;
SELECT count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end LATE ROWS INTO wrong;
SELECT count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end LATE ROWS INTO v;
SELECT count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end LATE ROWS INTO clicks;
CREATE VIEW w AS SELECT count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end LATE ROWS INTO l;
CREATE TABLE swapped (ts TIMESTAMP(3), page STRING, usr STRING, ms INT, a TIMESTAMP, b TIMESTAMP, c TIMESTAMP);
SELECT count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end LATE ROWS INTO swapped;
CREATE TABLE numbers (x BIGINT, usr STRING, page STRING, ms INT, a TIMESTAMP, b TIMESTAMP, c TIMESTAMP);
SELECT count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end LATE ROWS INTO numbers;
CREATE TABLE times (x TIMESTAMP(3), y TIMESTAMP, page STRING, ms INT, a TIMESTAMP, b TIMESTAMP, c TIMESTAMP);
SELECT count(*) FROM TUMBLE(clicks, ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end LATE ROWS INTO times;
