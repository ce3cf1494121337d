CREATE SOURCE a (at TIMESTAMP) WITH (connector = 'stdin', format = 'csv', timestamp_format = '%Y-%m-%d %H:%M:%S.%f');
CREATE SOURCE b (at TIMESTAMP) WITH (connector = 'stdin', format = 'csv', timestamp_format = '%Y-%m-%d %H:%M:%S %Z');
CREATE TABLE t (at TIMESTAMP);
CREATE SINK c WITH (connector = 'socket', port = 99, format = 'csv', timestamp_format = 'noon');
CREATE SINK d WITH (connector = 'socket', port = 99, format = 'csv', timestamp_format = '');
CREATE SINK e WITH (connector = 'socket', port = 99, format = 'json', timestamp_format = '%s%.3f');
INSERT INTO e SELECT at FROM t;
