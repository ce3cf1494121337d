CREATE TABLE a (x INT, y AS z + 1);
CREATE TABLE b (x STRING, y AS json_gett(x, 'a'));
