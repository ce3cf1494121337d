CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
DROP TABLE click;
DROP VIEW clicks;
DROP TABLE IF EXISTS nothing;
DESCRIBE nothing;
SHOW CREATE TABLE clickz;
CREATE VIEW users AS SELECT usr FROM clicks;
CREATE VIEW some AS SELECT * FROM users LIMIT 1;
DROP VIEW users;
DROP TABLE clicks;
DROP VIEW some;
DROP TABLE clicks;
