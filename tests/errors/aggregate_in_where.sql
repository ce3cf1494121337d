CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT usr FROM clicks WHERE count(*) > 1 GROUP BY usr;
SELECT usr FROM clicks GROUP BY usr HAVING page = 'home';
