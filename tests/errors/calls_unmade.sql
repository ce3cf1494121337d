CREATE TABLE s (ts TIMESTAMP(3), k VARCHAR, v INT, d DOUBLE, tags STRING[], WATERMARK FOR ts AS ts);

SELECT lag(v, 1, v) OVER (ORDER BY ts) FROM s;
SELECT ntile(v) OVER (ORDER BY ts) FROM s;
SELECT sum(v) OVER (ORDER BY ts ROWS BETWEEN 2 FOLLOWING AND 1 FOLLOWING) FROM s;
SELECT k, bit_xor(DISTINCT v) FROM s GROUP BY k;
SELECT window_end, approx_distinct(d) FROM TUMBLE(s, ts, INTERVAL '10' SECOND) GROUP BY window_end;
SELECT stddev(DISTINCT v) FROM s;
SELECT string_agg(k, k) FROM s;
SELECT array_agg(DISTINCT v ORDER BY k) FROM s;
SELECT nth_value(v, v ORDER BY ts) FROM s;
SELECT percentile_cont(v) WITHIN GROUP (ORDER BY v) FROM s;
SELECT lag(v, 1, 'x') OVER (ORDER BY ts) FROM s;
SELECT window_time, window_start, count(*) FROM s GROUP BY tumble(INTERVAL '10' SECOND);
