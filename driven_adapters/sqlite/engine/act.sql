-- list_audit --
-- Acts in one business domain, newest first.
SELECT n, shard, at, body FROM audit WHERE domain_id = :domain_id AND n < :before ORDER BY n DESC LIMIT :limit

-- insert_audit --
-- One act beside the commit of an instance's change.
INSERT INTO audit (shard, domain_id, at, body) VALUES (:shard, :domain_id, :at, :body)

-- list_unsealed --
-- The oldest acts of all domains that no seal covers yet.
SELECT n, shard, domain_id, at, body FROM audit
WHERE n > (SELECT coalesce(max(n), 0) FROM audit_chain)
ORDER BY n LIMIT :limit

-- read_chain --
-- The newest seal of a domain.
SELECT position, n, hash FROM audit_chain WHERE domain_id = :domain_id

-- insert_seal --
-- One link of a domain's chain.
INSERT INTO audit_seal (domain_id, position, n, digest, hash) VALUES (:domain_id, :position, :n, :digest, :hash)

-- note_chain --
-- The newest seal of a domain, in place of the one before.
INSERT INTO audit_chain (domain_id, position, n, hash) VALUES (:domain_id, :position, :n, :hash)
ON CONFLICT (domain_id) DO UPDATE SET position = excluded.position, n = excluded.n, hash = excluded.hash

-- list_seals --
-- Seals of a domain with their acts, by position; the act of a seal may be gone.
SELECT s.position, s.n, s.digest, s.hash, a.shard, a.at, a.body
FROM audit_seal AS s LEFT JOIN audit AS a ON a.n = s.n AND a.domain_id = s.domain_id
WHERE s.domain_id = :domain_id AND s.position > :after
ORDER BY s.position LIMIT :limit

-- list_strays --
-- Acts of a domain between two sealed ones that have no seal.
SELECT a.n FROM audit AS a
WHERE a.domain_id = :domain_id AND a.n > :above AND a.n < :below
    AND NOT EXISTS (SELECT 1 FROM audit_seal AS s WHERE s.n = a.n AND s.domain_id = a.domain_id)
ORDER BY a.n LIMIT :limit

-- count_unsealed --
-- How many acts of a domain lie behind its newest seal, and the oldest one's time.
SELECT count(*), min(at) FROM audit WHERE domain_id = :domain_id AND n > :above
