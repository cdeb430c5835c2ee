-- find_output --
-- What is kept under a key and is not over.
SELECT instance_id, body, expires_at
FROM output_cache
WHERE domain_id = :domain_id AND dag_id = :dag_id AND step = :step AND version = :version AND key = :key
  AND expires_at > :now
