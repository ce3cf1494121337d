CREATE SOURCE bid (auction BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts) WITH (connector = 'push');
SELECT DISTINCT auction FROM bid;
SELECT auction FROM bid UNION SELECT auction FROM bid;
SELECT a.auction FROM bid AS a JOIN bid AS b ON a.auction = b.auction;
