-- A computed column has the same value each time it is computed.
CREATE TABLE t (ms INT, arrived AS now()) WITH (connector = 'file', path = 'tests/cases/clicks.jsonl');
