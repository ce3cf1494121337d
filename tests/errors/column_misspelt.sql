CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT clicks.pgae FROM clicks;
SELECT c.usrr FROM clicks AS c;
SELECT x.usr FROM clicks AS c;
SELECT usr FROM clicks WHERE mss > 10;
