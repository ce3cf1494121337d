CREATE SINK a WITH (connector = 'file', path = 'x.csv', on_error = 'skip', ragged = true);
CREATE SINK b WITH (connector = 'file', path = 'x', format = 'json', follow = true, splits = 'ordered', max_future_skew = '1 hour');
CREATE SINK c WITH (connector = 'socket', port = 9, listen = true);
COPY (SELECT 1 AS n) TO 'x.csv' WITH (on_error = 'skip');
CREATE SOURCE d WITH (connector = 'nexmark', rate = 0, out_of_order = 0, base_time = 'noon', events = 1);
CREATE SOURCE e WITH (connector = 'nexmark', base_time = '1960-01-01T00:00:00Z', events = 1);
