CREATE SOURCE bid WITH (connector = 'nexmark', type = 'bid');
SELECT (SELECT max(auction) FROM bid) AS x;
CREATE TABLE q AS SELECT (SELECT auction FROM bid LIMIT 1) AS x;
