CREATE SOURCE bid (auction BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time AS date_time)
WITH (connector = 'nexmark', type = 'bid');
SELECT auction, count(*) FROM bid GROUP BY auction;
SELECT DISTINCT auction FROM bid;
SELECT * FROM bid ORDER BY price;
SELECT auction, row_number() OVER (ORDER BY price) FROM bid;
