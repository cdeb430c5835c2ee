-- What comes from outside to instances that wait: a key that was taken in also says of which request it was, so that
-- another request with the same key is told from a repeat.

ALTER TABLE seen ADD COLUMN req_hash TEXT NOT NULL DEFAULT '';
