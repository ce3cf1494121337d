CREATE TABLE clicks (ts TIMESTAMP(3), usr STRING, page STRING, ms INT, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH (connector = 'file', path = 'tests/cases/clicks.jsonl', format = 'json');
UPDATE clicks SET ms = 1;
DELETE FROM clicks WHERE ms = 1;
MERGE INTO clicks USING clicks ON true WHEN MATCHED THEN DELETE;
TRUNCATE TABLE clicks;
ALTER TABLE clicks ADD COLUMN x INT;
