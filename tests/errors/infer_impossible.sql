CREATE SOURCE t WITH (connector = 'push');
