-- Nexmark q7: the highest bid of every ten seconds.
--
-- The bids of a window are joined with the window's highest price; equal highest bids are all told.
--
--     waterwheel run queries/nexmark/q7.sql

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

SELECT bids.window_start, bids.window_end, bids.auction, bids.price, bids.bidder, bids.date_time
FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL '10' SECOND)) AS bids
JOIN (
  SELECT max(price) AS max_price, window_start, window_end
  FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end
) AS highest
ON bids.window_start = highest.window_start
  AND bids.window_end = highest.window_end
  AND bids.price = highest.max_price;
