CREATE TABLE d (id INT, k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (connector = 'datagen');
SELECT * FROM SESSION(d, ts, INTERVAL '5 seconds' PARTITION BY k);
SELECT * FROM SESSION(d PARTITION BY k, id, ts, INTERVAL '5 seconds');
SELECT window_start, count(*) FROM CUMULATE(d, ts, INTERVAL '1 second', INTERVAL '5 seconds') GROUP BY window_start;
SELECT k, count(*) FROM d GROUP BY ROLLUP (tumble(INTERVAL '5 seconds'), k);
SELECT k, count(*) FROM d GROUP BY GROUPING SETS ((tumble(INTERVAL '5 seconds'), k), (tumble(INTERVAL '6 seconds')));
