CREATE SINK s WITH (connector = 'file', path = 'target/written_twice.csv');
INSERT INTO s SELECT 1 AS a;
INSERT INTO s SELECT 2 AS a;
CREATE SINK other WITH (connector = 'file', path = 'target/written_twice.csv');
INSERT INTO other SELECT 3 AS a;
