-- How many requests did the web server answer in every minute, and how many of them failed?
--
-- Reads the lines of an access log from standard input; a stream that never ends (tail -f) works as well.
--
--     waterwheel run queries/access_log.sql < queries/data/access.log

CREATE SOURCE access_log (
  line    VARCHAR,
  client  AS split_part(line, ' ', 1),
  ts      AS to_timestamp_seconds(regexp_match(line, '\[([^]]+)\]')[1], '%d/%b/%Y:%H:%M:%S %z'),
  request AS regexp_match(line, '"([A-Z]+ [^ "]+)')[1],
  status  AS CAST(regexp_match(line, '" ([0-9]{3}) ')[1] AS INT),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (connector = 'stdin', format = 'text');

SELECT
  window_start AS minute,
  count(*) AS requests,
  count(DISTINCT client) AS clients,
  count(*) FILTER (WHERE status >= 500) AS errors
FROM TABLE(TUMBLE(TABLE access_log, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
