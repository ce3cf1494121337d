CREATE TABLE a (x INT) WITH (connector = 'kafka', topic = 'clicks');
CREATE TABLE b (x INT) WITH (connector = 'fiel', path = 'x.csv');
