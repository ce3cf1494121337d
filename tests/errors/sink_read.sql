CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
CREATE SINK out WITH (connector = 'file', path = 'target/never.csv');
SELECT * FROM out;
INSERT INTO out SELECT * FROM out;
CREATE TABLE hole WITH (connector = 'blackhole');
INSERT INTO hole SELECT usr, ms FROM clicks;
SELECT * FROM hole;
CREATE TABLE shown (n INT NOT NULL) WITH (connector = 'stdout');
INSERT INTO shown VALUES (1);
SELECT n FROM shown;
CREATE EXTERNAL TABLE black WITH (connector = 'blackhole');
