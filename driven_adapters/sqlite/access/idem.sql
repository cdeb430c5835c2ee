-- find_answer --
-- The answer under a key whose time is not over.
SELECT req_hash, status, response
FROM idem
WHERE domain_id = :domain_id AND principal = :principal AND route = :route AND key = :key AND expires_at > :now

-- keep_answer --
-- A new answer; one whose time is over makes room.
INSERT INTO idem (domain_id, principal, route, key, req_hash, status, response, expires_at)
VALUES (:domain_id, :principal, :route, :key, :req_hash, :status, :response, :expires_at)
ON CONFLICT (domain_id, principal, route, key) DO UPDATE SET
    req_hash = excluded.req_hash, status = excluded.status, response = excluded.response,
    expires_at = excluded.expires_at

-- is_any_due --
-- Whether there is anything to remove.
SELECT EXISTS (SELECT 1 FROM idem WHERE expires_at <= :now) OR EXISTS (SELECT 1 FROM seen WHERE expires_at <= :now)
  OR EXISTS (SELECT 1 FROM output_cache WHERE expires_at <= :now)

-- purge_answers --
-- Answers whose time is over, oldest first.
DELETE FROM idem
WHERE (domain_id, principal, route, key) IN (
    SELECT domain_id, principal, route, key FROM idem WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit
)

-- purge_seen --
-- Keys of stimuli whose time is over, oldest first.
DELETE FROM seen
WHERE (domain_id, source, key) IN (
    SELECT domain_id, source, key FROM seen WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit
)

-- purge_outputs --
-- Outputs that are not used again any more, oldest first.
DELETE FROM output_cache
WHERE (domain_id, dag_id, step, version, key) IN (
    SELECT domain_id, dag_id, step, version, key FROM output_cache
    WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit
)
