-- The instance that an instance is a rerun of; null in most rows, which costs them nothing.

ALTER TABLE instance ADD COLUMN rerun_of TEXT;
