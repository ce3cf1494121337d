CREATE TABLE a (x INT) WITH (connector = 'file');
CREATE TABLE b (x INT) WITH (path = 'x.csv');
CREATE SINK c WITH (connector = 'file');
CREATE SOURCE s (a INT) WITH (connector = 'stdin');
CREATE SOURCE lines (a INT) WITH (connector = 'socket', port = 7001);
SELECT a FROM lines;
