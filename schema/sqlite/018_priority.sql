-- The priority that a start was given, 1 lowest .. 5 highest; null in most rows, whose DAG says it, which costs them nothing.

ALTER TABLE instance ADD COLUMN priority INTEGER;
