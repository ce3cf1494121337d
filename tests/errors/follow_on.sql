-- What could not be created is missing in later statements, which is no mistake of theirs.
CREATE TABLE t (id INT,, txt STRING) WITH (connector = 'file', path = 'tests/cases/orders.csv');
CREATE SOURCE IF NOT EXISTS "Big" (id INT WITH (connector = 'push');
CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, WATERMARK FOR ts AS ts)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl');
SELECT * FROM t AS x;
SELECT * FROM "Big";
SELECT usr FROM clicks LATE ROWS INTO l;
SELECT * FROM l;
SELECT * FROM m;
