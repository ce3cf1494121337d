CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT usr + 1 FROM clicks;
SELECT * FROM clicks WHERE ms;
SELECT * FROM clicks WHERE ts > 5;
SELECT CASE WHEN ms > 1 THEN ts ELSE true END FROM clicks;
