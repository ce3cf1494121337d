SELECT "usr FROM clicks;
