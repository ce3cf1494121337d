CREATE TABLE t WITH (connector = 'file', path = 'tests/cases/nosuch.csv');
SELECT * FROM t;
