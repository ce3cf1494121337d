SET intervall = '10ms';
SET parallelism = 'many';
SET interval = '0ms';
SHOW paralelism;
RESET tiem_zone;
