-- Five mistakes in one file: all are told, with their places, and nothing is started.
CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
CREATE SOURCE bid (auction BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time AS date_time)
WITH (connector = 'nexmark', type = 'bid');
CREATE SINK per_auction WITH (connector = 'file', path = 'target/case_41.csv', format = 'csv');

SELCT usr FROM clicks;

SELECT usrr FROM clicks;

SELECT window_start, count(*)
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(usr), INTERVAL '10' SECOND))
GROUP BY window_start, window_end;

INSERT INTO per_auction SELECT auction, count(*) FROM bid GROUP BY auction;

CREATE TABLE more (ts TIMESTAMP(3)) WITH (conector = 'file', path = 'tests/cases/clicks.jsonl');
