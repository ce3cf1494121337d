CREATE DATABASE shop;
CREATE INDEX i ON clicks (usr);
GRANT SELECT ON clicks TO ann;
BEGIN;
COMMIT;
COPY clicks TO 'x.csv';
USE shop;
