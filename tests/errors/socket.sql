CREATE SOURCE a (n INT) WITH (connector = 'socket', format = 'json');
CREATE SOURCE b (n INT) WITH (connector = 'socket', format = 'json', port = 70000);
CREATE SOURCE c (n INT) WITH (connector = 'socket', format = 'parquet', port = 7000);
CREATE SOURCE d WITH (connector = 'socket', format = 'json', port = 7000);
CREATE EXTERNAL TABLE e (n INT) STORED AS JSON LOCATION 'tests/cases' OPTIONS (follow = 'true');
