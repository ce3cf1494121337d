CREATE TABLE a (x INT) WITH (connector = 'file', path = 'x.csv', nullstr = 'NA', sep = ';');
CREATE TABLE b (x INT) WITH (connector = 'file', path = 'x.jsonl', ragged = true, quote = '''');
CREATE TABLE c (x DATE) WITH (connector = 'file', path = 'x.csv', date_format = '%Y-%Q', escape = 'ab', delimiter = '');
CREATE TABLE d (x INT) WITH (connector = 'file', path = 'x.csv', quote = ',');
CREATE TABLE e (x INT) WITH (connector = 'stdin', format = 'csv', comment = ['#', '%']);
CREATE SINK f WITH (connector = 'stdout', format = 'csv', ragged = true);
CREATE SINK g WITH (connector = 'stdout', 'csv.null-literal' = 'NA');
CREATE SINK h WITH (connector = 'file', path = 'x.csv', null_value = []);
