CREATE TABLE a (x INT) WITH (connector = 'file');
CREATE TABLE b (x INT) WITH (path = 'x.csv');
CREATE SINK c WITH (connector = 'file');
