-- Nexmark q0: every bid, passed through as it is.
--
-- The answer is as long as the stream, so it goes into a sink that computes every column and keeps none: what is
-- measured is the cost of reading, and of nothing else. To see rows, put the SELECT alone in the place of the INSERT.
--
--     waterwheel run queries/nexmark/q0.sql

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
SELECT auction, bidder, price, date_time, extra
FROM bid;
