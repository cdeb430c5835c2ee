-- The instance, and the task of it, that called an instance; null in those that nothing called, which costs them nothing.

ALTER TABLE instance ADD COLUMN parent_id TEXT;
ALTER TABLE instance ADD COLUMN parent_path TEXT;

-- Children of an instance, newest first.
CREATE INDEX instance_by_parent ON instance (domain_id, parent_id, id) WHERE parent_id IS NOT NULL;
