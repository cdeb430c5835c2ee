-- list_audit --
-- Acts in one business domain, newest first.
SELECT n, shard, at, body FROM audit WHERE domain_id = :domain_id AND n < :before ORDER BY n DESC LIMIT :limit

-- insert_audit --
-- One act beside the commit of an instance's change.
INSERT INTO audit (shard, domain_id, at, body) VALUES (:shard, :domain_id, :at, :body)
