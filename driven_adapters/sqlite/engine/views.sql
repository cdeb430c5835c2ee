-- view_instance --
-- One instance of one business domain.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at
FROM instance WHERE id = :id AND domain_id = :domain_id

-- list_instances --
-- A page of a business domain, newest first.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at
FROM instance WHERE domain_id = :domain_id AND id < :before AND id >= :since
ORDER BY id DESC LIMIT :limit

-- list_of_dag --
-- The same for one DAG.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at
FROM instance WHERE domain_id = :domain_id AND dag_id = :dag_id AND id < :before AND id >= :since
ORDER BY id DESC LIMIT :limit

-- list_by_status --
-- The same for one status.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at
FROM instance WHERE domain_id = :domain_id AND status = :status AND id < :before AND id >= :since
ORDER BY id DESC LIMIT :limit

-- list_of_dag_by_status --
-- The same for both; walks the DAG's instances.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at
FROM instance WHERE domain_id = :domain_id AND dag_id = :dag_id AND status = :status AND id < :before AND id >= :since
ORDER BY id DESC LIMIT :limit

-- list_of_version --
-- The same for one version of a DAG.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at
FROM instance
WHERE domain_id = :domain_id AND dag_id = :dag_id AND dag_version = :version AND id < :before AND id >= :since
ORDER BY id DESC LIMIT :limit

-- list_of_version_by_status --
-- The same for both; walks the version's instances.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at
FROM instance
WHERE domain_id = :domain_id AND dag_id = :dag_id AND dag_version = :version AND status = :status
  AND id < :before AND id >= :since
ORDER BY id DESC LIMIT :limit

-- page_journal --
-- A page of the journal, ascending.
SELECT j.seq, j.version, j.body, j.at
FROM instance AS i JOIN journal AS j ON j.instance_n = i.n
WHERE i.id = :id AND i.domain_id = :domain_id AND j.seq > :after_seq
ORDER BY j.seq LIMIT :limit

-- page_frames --
-- A page of the frames, ascending by path; without `after_path` from the start.
SELECT f.path, f.seq, f.is_open, f.body
FROM instance AS i JOIN frame AS f ON f.instance_n = i.n
WHERE i.id = :id AND i.domain_id = :domain_id AND (:after_path IS NULL OR f.path > :after_path)
ORDER BY f.path LIMIT :limit

-- count_by_status --
-- Read from the index alone.
SELECT status, count(*) FROM instance WHERE domain_id = :domain_id GROUP BY status
