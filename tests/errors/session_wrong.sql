CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT count(*) FROM SESSION(clicks PARTITION BY usrr, ts, INTERVAL '6' SECOND) GROUP BY window_start, window_end;
SELECT count(*) FROM TUMBLE(clicks PARTITION BY usr, ts, INTERVAL '6' SECOND) GROUP BY window_start, window_end;
SELECT count(*) FROM SESSION(clicks, ts, INTERVAL '6' SECOND, INTERVAL '1' SECOND) GROUP BY window_start, window_end;
SELECT count(*) FROM SESSION(clicks, ts) GROUP BY window_start, window_end;
SELECT count(*) FROM clicks c JOIN clicks d ON c.usr = d.usr GROUP BY session(INTERVAL '1' SECOND), c.usr;
SELECT count(*) FROM SESSION(clicks PARTITION BY usr PARTITION BY page, ts, INTERVAL '6' SECOND) GROUP BY window_start, window_end;
SELECT count(*) FROM clicks GROUP BY session(ts, INTERVAL '6' SECOND);
SELECT count(*) FROM clicks GROUP BY sesion(INTERVAL '6' SECOND);
SELECT count(*) FROM TUMBLE(clicks, ts, INTERVAL '6' SECOND) GROUP BY window_start, window_end IDLE TIMEOUT INTERVAL '-5' SECOND;
