-- Nexmark q2: the bids on some auctions, those whose number divides by 123.
--
-- About one bid in a hundred: thousands of rows, which go into a sink that computes every column and keeps none.
--
--     waterwheel run queries/nexmark/q2.sql

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
SELECT auction, price
FROM bid
WHERE auction % 123 = 0;
