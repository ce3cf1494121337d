-- Nexmark q1: every bid with its price in euros instead of dollars.
--
-- As long as the stream: it goes into a sink that computes every column and keeps none.
--
--     waterwheel run queries/nexmark/q1.sql

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
SELECT auction, bidder, 0.908 * price AS price, date_time, extra
FROM bid;
