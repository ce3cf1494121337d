CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
SELECT usr FROM clicks LIMIT ten;
SELECT usr FROM clicks LIMIT -1;
CREATE TABLE endless (n INT) WITH (connector = 'datagen');
CREATE TABLE filled (n INT);
INSERT INTO filled SELECT n FROM (SELECT n FROM endless LIMIT 3) WHERE n > 1;
