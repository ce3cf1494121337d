CREATE EXTERNAL TABLE a (n INT) WITH (connector = 'datagen');
CREATE EXTERNAL TABLE b (n INT) WITH (connector = 'socket', format = 'json', port = 7000, listen = 'true');
CREATE EXTERNAL TABLE c WITH (connector = 'nexmark', type = 'bid');
CREATE EXTERNAL TABLE d (n INT) WITH (connector = 'push');
