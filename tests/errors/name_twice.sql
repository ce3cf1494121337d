CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
CREATE VIEW clicks AS SELECT 1;
CREATE TABLE t (a INT, b INT, A STRING);
CREATE VIEW v AS SELECT *, usr FROM clicks;
