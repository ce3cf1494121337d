CREATE TABLE docs (id STRING, tags STRING[], payload STRING) WITH (connector = 'file', path = 'tests/cases/docs.jsonl');
CREATE TABLE a (id STRING) AS SELECT id FROM docs;
CREATE TABLE b AS SELECT *, id FROM docs;
CREATE TABLE c AS SELECT idd FROM docs;
CREATE TABLE e WITH (connector = 'nexmark') AS SELECT id FROM docs;
CREATE TABLE f AS SELECT NULL AS n FROM docs;
CREATE TABLE g AS docs;
