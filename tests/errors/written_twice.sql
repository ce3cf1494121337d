CREATE SINK s WITH (connector = 'file', path = 'target/written_twice.csv');
INSERT INTO s SELECT 1 AS a;
INSERT INTO s SELECT 2 AS a;
CREATE SINK other WITH (connector = 'file', path = 'target/written_twice.csv');
INSERT INTO other SELECT 3 AS a;
CREATE SINK again WITH (connector = 'file', path = 'target/../target/./written_twice.csv', overwrite = true) AS SELECT 4 AS a;
COPY (SELECT 5 AS a) TO 'target/copied_twice' WITH (format = 'csv', overwrite = true);
CREATE TABLE t WITH (connector = 'file', path = 'target/copied_twice/', format = 'csv', overwrite = true) AS SELECT 6 AS a;
