CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
CREATE TABLE t (a INT, b STRING);
INSERT INTO t SELECT usr FROM clicks;
INSERT INTO t (a, c) SELECT ms, usr FROM clicks;
INSERT INTO nowhere SELECT usr FROM clicks;
INSERT INTO clicks SELECT * FROM clicks;
INSERT INTO t VALUES (1);
INSERT INTO t VALUES ('one', 'two');
CREATE TABLE k (id INT NOT NULL, v INT);
INSERT INTO k (v) VALUES (1);
INSERT INTO k (v) SELECT ms FROM clicks;
