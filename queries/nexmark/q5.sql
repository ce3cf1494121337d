-- Nexmark q5: hot items. Which auctions had the most bids in the last ten seconds, told every two seconds?
--
-- Several auctions may share the first place. The windows come out one by one, in order, as they close.
--
--     waterwheel run queries/nexmark/q5.sql

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

SELECT bids.window_start, bids.window_end, bids.auction, bids.num
FROM (
  SELECT auction, count(*) AS num, window_start, window_end
  FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
  GROUP BY auction, window_start, window_end
) AS bids
JOIN (
  SELECT max(num) AS max_num, window_start, window_end
  FROM (
      SELECT auction, count(*) AS num, window_start, window_end
      FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
      GROUP BY auction, window_start, window_end
  ) AS counts
  GROUP BY window_start, window_end
) AS hottest
ON bids.window_start = hottest.window_start
  AND bids.window_end = hottest.window_end
  AND bids.num >= hottest.max_num;
