CREATE TABLE a (x INT) WITH (connector = 'file', path = 'x.jsonl', format = 'jsn');
CREATE TABLE b (x INT) WITH (connector = 'file', path = 'x.csv', header = 'yess');
CREATE TABLE c (x INT) WITH (connector = 'file', path = 'x.csv', on_error = 'ignore');
CREATE SOURCE d WITH (connector = 'nexmark', type = 'bids');
CREATE SOURCE e WITH (connector = 'nexmark', type = 'bid', events = 'many');
CREATE TABLE z (t TIMESTAMP, WATERMARK FOR t AS t) WITH (connector = 'file', path = 'x.jsonl', max_future_skew = '100 years');
