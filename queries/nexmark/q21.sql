-- Nexmark q21: the number of the channel through which each bid came.
--
-- Four channels have fixed numbers, others carry theirs in the url; bids that have neither are left out. Nearly as long
-- as the stream: it goes into a sink that computes every column and keeps none.
--
--     waterwheel run queries/nexmark/q21.sql

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
  CASE lower(channel)
    WHEN 'apple' THEN '0'
    WHEN 'google' THEN '1'
    WHEN 'facebook' THEN '2'
    WHEN 'baidu' THEN '3'
    ELSE regexp_match(url, '(&|^)channel_id=([^&]*)')[2]
  END AS channel_id
FROM bid
WHERE lower(channel) IN ('apple', 'google', 'facebook', 'baidu')
   OR regexp_match(url, '(&|^)channel_id=([^&]*)')[2] IS NOT NULL;
