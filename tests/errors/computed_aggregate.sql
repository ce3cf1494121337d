-- A computed column is made from its own row.
CREATE TABLE t (
  ms INT,
  usr STRING,
  total AS sum(ms),
  place AS row_number() OVER (ORDER BY ms),
  other AS (SELECT 1)
) WITH (connector = 'file', path = 'tests/cases/clicks.jsonl');
