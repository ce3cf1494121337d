-- The average temperature of each sensor in every minute, and how many readings came too late to count.
--
-- Readings may be up to five seconds out of order; one that comes after its minute has been told is late.
--
--     waterwheel run queries/sensors.sql

CREATE SOURCE reading (
  ts      TIMESTAMP(3),
  sensor  VARCHAR,
  celsius DOUBLE,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (connector = 'file', path = 'queries/data/sensors.csv', format = 'csv');

SELECT window_start AS minute, sensor, count(*) AS readings, round(avg(celsius), 2) AS celsius
FROM TABLE(TUMBLE(TABLE reading, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, sensor;

-- The first query of a script without a name of its own is q1.
SELECT sensor, count(*) AS late
FROM late_rows('q1')
GROUP BY sensor;
