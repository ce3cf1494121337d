CREATE SOURCE a (n INT) WITH (connector = 'file', path = 's3://bucket/a.csv');
SELECT n FROM a;
COPY (SELECT 1 AS n) TO 's3://bucket/x.csv';
COPY (SELECT 1 AS n) TO 'file:///tmp/x.csv';
SELECT * FROM 'https://example.org/a.csv';
CREATE SOURCE p (n INT) WITH (connector = 'file', path = 'target/none.parquet', compression = 'gzip');
