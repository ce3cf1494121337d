CREATE SOURCE bid WITH (connector = 'nexmark', type = 'bid');
CREATE TABLE docs (id STRING, tags STRING[], payload STRING) WITH (connector = 'file', path = 'tests/cases/docs.jsonl');
COPY (SELECT * FROM bid) TO 'out.jsonl';
COPY docz TO 'out.jsonl';
COPY docs FROM 'in.jsonl';
COPY docs TO out;
COPY docs TO 'out.csv' WITH (headr = true);
COPY docs TO 'out.csv' WITH;
COPY docs;
