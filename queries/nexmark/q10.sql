-- Nexmark q10: every bid into files, in a folder per day and minute.
--
-- A part is full after 100,000 rows or 10 seconds, and is seen when it is whole. NULL, commas and line ends in the text
-- are written so that CSV readers see the same rows.
--
--     waterwheel run queries/nexmark/q10.sql

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

CREATE SINK bid_files WITH (
  connector = 'file', path = 'nexmark_q10', format = 'csv', partition_by = 'dt, hm',
  max_rows_per_file = 100000, roll_interval = '10 seconds', overwrite = true
);

INSERT INTO bid_files
SELECT auction, bidder, price, date_time, extra, to_char(date_time, '%Y-%m-%d') AS dt, to_char(date_time, '%H:%M') AS hm
FROM bid;
