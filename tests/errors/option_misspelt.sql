CREATE TABLE a (x INT) WITH (connector = 'file', pth = 'tests/cases/clicks.jsonl');
CREATE TABLE b (x INT) WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', frmat = 'json');
CREATE TABLE c (x INT) WITH (conector = 'file', path = 'tests/cases/clicks.jsonl');
