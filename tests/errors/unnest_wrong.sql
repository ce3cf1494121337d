CREATE TABLE docs (id STRING, tags STRING[], payload STRING) WITH (connector = 'file', path = 'tests/cases/docs.jsonl');
SELECT o.id, t.tag FROM docs o CROSS JOIN UNNEST(o.payload) AS t(tag);
SELECT o.id, t.tag FROM docs o CROSS JOIN UNNEST(o.tagz) AS t(tag);
SELECT o.id, t.tag FROM docs o CROSS JOIN UNNEST(o.tags) AS t(tag, n);
SELECT o.id, t.tag FROM docs o LEFT JOIN UNNEST(o.tags) AS t(tag) ON t.tag = 'a';
SELECT o.id, t.tag FROM docs o RIGHT JOIN UNNEST(o.tags) AS t(tag) ON TRUE;
SELECT o.id FROM docs o WHERE EXISTS (SELECT 1 FROM UNNEST(o.tags) AS t(tag) WHERE tag = 'a');
CREATE TABLE d (m MAP<VARCHAR, INT>, items ARRAY<STRUCT<sku VARCHAR, qty INT>>)
WITH (connector = 'file', path = 'tests/cases/nested.jsonl');
SELECT u.a FROM d CROSS JOIN UNNEST(items) AS u(a, b, c);
SELECT u.a FROM d CROSS JOIN UNNEST(items) WITH ORDINALITY AS u(a, b, c, e);
SELECT unnest(m) FROM d;
SELECT u.a FROM d CROSS JOIN UNNEST(items) WITH ORDINALTY AS u(a, b);
