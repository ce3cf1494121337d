-- Nexmark q22: the three directories in the url of each bid.
--
-- As long as the stream: it goes into a sink that computes every column and keeps none.
--
--     waterwheel run queries/nexmark/q22.sql

CREATE SOURCE bid (
  auction   BIGINT,
  bidder    BIGINT,
  price     BIGINT,
  channel   VARCHAR,
  url       VARCHAR,
  date_time TIMESTAMP(3),
  extra     VARCHAR,
  WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH (connector = 'nexmark', type = 'bid', events = 1000000);

CREATE SINK discard WITH (connector = 'blackhole');

INSERT INTO discard
SELECT
  auction,
  bidder,
  price,
  channel,
  split_part(url, '/', 4) AS dir1,
  split_part(url, '/', 5) AS dir2,
  split_part(url, '/', 6) AS dir3
FROM bid;
