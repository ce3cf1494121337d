CREATE SOURCE bid (auction BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time AS date_time)
WITH (connector = 'nexmark', type = 'bid');
CREATE SOURCE auction (id BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time AS date_time)
WITH (connector = 'nexmark', type = 'auction');
SELECT bid.price FROM bid JOIN auction ON bid.auction = auction.id;
