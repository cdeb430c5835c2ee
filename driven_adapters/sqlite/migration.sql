-- create_migration --
-- What was applied, and the hash of the file as it was then.
CREATE TABLE IF NOT EXISTS migration (
    name TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID

-- has_migration --
-- Whether the table of applied migrations exists.
SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migration'

-- list_migrations --
-- In the order of their numbers.
SELECT name, hash FROM migration ORDER BY name

-- insert_migration --
-- Notes one file; the time is for people to read.
INSERT INTO migration (name, hash, applied_at) VALUES (:name, :hash, unixepoch())

-- delete_migration --
-- Forgets one file that was taken back.
DELETE FROM migration WHERE name = :name
