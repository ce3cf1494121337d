CREATE TABLE t (p TEXT, n INT);
SELECT n FROM t WHERE p -> 'b';
SELECT p -> 'n' + 1 FROM t;
SELECT n -> 'a' FROM t;
SELECT p -> 1.5 FROM t;
