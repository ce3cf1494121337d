CREATE TABLE d (id INT, k STRING, s STRUCT<items INT[], x INT>, m MAP<STRING, INT>, l INT[])
WITH (connector = 'file', path = 'tests/cases/nested.jsonl');
SELECT m[1] FROM d;
SELECT l[1.5] FROM d;
SELECT d.l['a'] FROM d;
SELECT s[1] FROM d;
SELECT s.item FROM d;
SELECT d.s['y'] FROM d;
SELECT x FROM d, UNNEST(s.item) AS t(x);
SELECT id FROM d WHERE k = ANY([9, 10]);
SELECT k ->> NULL FROM d;
SELECT id FROM d a WHERE EXISTS (SELECT 1 FROM d b WHERE b.id = a.s.x);
