CREATE TABLE t ("userId" INT);
SELECT userId FROM t;
