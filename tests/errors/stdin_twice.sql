-- Two SELECTs are two programs, and stdin can be read by one.
CREATE SOURCE lines (id INT, txt STRING) WITH (connector = 'stdin', format = 'csv');
CREATE VIEW odd AS SELECT id FROM lines WHERE id % 2 = 1;
CREATE SINK one WITH (connector = 'stdout');
CREATE SINK two WITH (connector = 'stdout');
-- These two are one program.
INSERT INTO one SELECT id FROM lines;
INSERT INTO two SELECT txt FROM lines;
SELECT count(*) AS c FROM lines;
SELECT * FROM odd;
