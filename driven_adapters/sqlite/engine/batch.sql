-- insert_batch --
-- An act on many instances.
INSERT INTO instance_batch (id, domain_id, step, is_done, created_at, updated_at, body)
VALUES (:id, :domain_id, :step, :is_done, :created_at, :updated_at, :body)

-- count_open --
-- How many of a business domain are not done.
SELECT count(*) FROM instance_batch WHERE domain_id = :domain_id AND is_done = 0

-- forget_batches --
-- Those that are done and old.
DELETE FROM instance_batch WHERE domain_id = :domain_id AND is_done = 1 AND created_at < :before

-- read_batch --
-- One of a business domain.
SELECT id, domain_id, step, is_done, created_at, updated_at, body
FROM instance_batch WHERE id = :batch_id AND domain_id = :domain_id

-- list_unfinished --
-- What is not done, of every business domain, oldest first.
SELECT id, domain_id, step, is_done, created_at, updated_at, body
FROM instance_batch WHERE is_done = 0 ORDER BY id LIMIT :limit

-- advance_batch --
-- The step that follows; whoever comes second changes nothing.
UPDATE instance_batch SET step = :step, is_done = :is_done, updated_at = :updated_at, body = :body
WHERE id = :id AND step = :step - 1 AND is_done = 0
