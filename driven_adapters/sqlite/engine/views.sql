-- view_instance --
-- One instance of one business domain.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at, trigger_kind, labels, rerun_of, parent_id, parent_path, priority
FROM instance WHERE id = :id AND domain_id = :domain_id

-- list_instances --
-- The newest of a business domain. In this list and those below the leading condition has its index by name, whatever the
-- planner knows of the rows; the other conditions are looked at row by row, from where `walk_` says (`since`).
SELECT i.n, i.id, i.domain_id, i.shard, i.dag_id, i.dag_hash, i.dag_version, i.created_at,
       i.status, i.seq, i.open_attempts, i.ready, i.open_frames, i.epoch, i.updated_at, i.trigger_kind, i.labels,
       i.rerun_of, i.parent_id, i.parent_path, i.priority
FROM instance AS i INDEXED BY instance_newest
WHERE i.domain_id = :domain_id AND i.id < :before AND i.id >= :since
  AND (:trigger IS NULL OR coalesce(i.trigger_kind, 'manual') = :trigger)
ORDER BY i.id DESC LIMIT :limit

-- walk_instances --
-- Where a walk over that list ends, if it is that long.
SELECT i.id FROM instance AS i INDEXED BY instance_newest
WHERE i.domain_id = :domain_id AND i.id < :before AND i.id >= :since
ORDER BY i.id DESC LIMIT 1 OFFSET :walked

-- list_of_dag --
-- Of one DAG.
SELECT i.n, i.id, i.domain_id, i.shard, i.dag_id, i.dag_hash, i.dag_version, i.created_at,
       i.status, i.seq, i.open_attempts, i.ready, i.open_frames, i.epoch, i.updated_at, i.trigger_kind, i.labels,
       i.rerun_of, i.parent_id, i.parent_path, i.priority
FROM instance AS i INDEXED BY instance_of_dag
WHERE i.domain_id = :domain_id AND i.dag_id = :dag_id AND i.id < :before AND i.id >= :since
  AND (:status IS NULL OR i.status = :status)
  AND (:trigger IS NULL OR coalesce(i.trigger_kind, 'manual') = :trigger)
ORDER BY i.id DESC LIMIT :limit

-- walk_of_dag --
-- Where a walk over that list ends, if it is that long.
SELECT i.id FROM instance AS i INDEXED BY instance_of_dag
WHERE i.domain_id = :domain_id AND i.dag_id = :dag_id AND i.id < :before AND i.id >= :since
ORDER BY i.id DESC LIMIT 1 OFFSET :walked

-- list_of_version --
-- Of one version of a DAG.
SELECT i.n, i.id, i.domain_id, i.shard, i.dag_id, i.dag_hash, i.dag_version, i.created_at,
       i.status, i.seq, i.open_attempts, i.ready, i.open_frames, i.epoch, i.updated_at, i.trigger_kind, i.labels,
       i.rerun_of, i.parent_id, i.parent_path, i.priority
FROM instance AS i INDEXED BY instance_of_version
WHERE i.domain_id = :domain_id AND i.dag_id = :dag_id AND i.dag_version = :version AND i.id < :before AND i.id >= :since
  AND (:status IS NULL OR i.status = :status)
  AND (:trigger IS NULL OR coalesce(i.trigger_kind, 'manual') = :trigger)
ORDER BY i.id DESC LIMIT :limit

-- walk_of_version --
-- Where a walk over that list ends, if it is that long.
SELECT i.id FROM instance AS i INDEXED BY instance_of_version
WHERE i.domain_id = :domain_id AND i.dag_id = :dag_id AND i.dag_version = :version AND i.id < :before AND i.id >= :since
ORDER BY i.id DESC LIMIT 1 OFFSET :walked

-- list_by_status --
-- With one status.
SELECT i.n, i.id, i.domain_id, i.shard, i.dag_id, i.dag_hash, i.dag_version, i.created_at,
       i.status, i.seq, i.open_attempts, i.ready, i.open_frames, i.epoch, i.updated_at, i.trigger_kind, i.labels,
       i.rerun_of, i.parent_id, i.parent_path, i.priority
FROM instance AS i INDEXED BY instance_by_status
WHERE i.domain_id = :domain_id AND i.status = :status AND i.id < :before AND i.id >= :since
  AND (:dag_id IS NULL OR i.dag_id = :dag_id)
  AND (:version IS NULL OR i.dag_version = :version)
  AND (:trigger IS NULL OR coalesce(i.trigger_kind, 'manual') = :trigger)
ORDER BY i.id DESC LIMIT :limit

-- walk_by_status --
-- Where a walk over that list ends, if it is that long.
SELECT i.id FROM instance AS i INDEXED BY instance_by_status
WHERE i.domain_id = :domain_id AND i.status = :status AND i.id < :before AND i.id >= :since
ORDER BY i.id DESC LIMIT 1 OFFSET :walked

-- list_by_trigger --
-- Started by one kind of trigger, which is not `manual`.
SELECT i.n, i.id, i.domain_id, i.shard, i.dag_id, i.dag_hash, i.dag_version, i.created_at,
       i.status, i.seq, i.open_attempts, i.ready, i.open_frames, i.epoch, i.updated_at, i.trigger_kind, i.labels,
       i.rerun_of, i.parent_id, i.parent_path, i.priority
FROM instance AS i INDEXED BY instance_by_trigger
WHERE i.domain_id = :domain_id AND i.trigger_kind = :trigger AND i.id < :before AND i.id >= :since
ORDER BY i.id DESC LIMIT :limit

-- list_by_parent --
-- Children of one instance; `all_labels` is a JSON object.
SELECT i.n, i.id, i.domain_id, i.shard, i.dag_id, i.dag_hash, i.dag_version, i.created_at,
       i.status, i.seq, i.open_attempts, i.ready, i.open_frames, i.epoch, i.updated_at, i.trigger_kind, i.labels,
       i.rerun_of, i.parent_id, i.parent_path, i.priority
FROM instance AS i INDEXED BY instance_by_parent
WHERE i.domain_id = :domain_id AND i.parent_id = :parent AND i.id < :before AND i.id >= :since
  AND (:dag_id IS NULL OR i.dag_id = :dag_id)
  AND (:version IS NULL OR i.dag_version = :version)
  AND (:status IS NULL OR i.status = :status)
  AND (:trigger IS NULL OR coalesce(i.trigger_kind, 'manual') = :trigger)
  AND NOT EXISTS (
      SELECT 1 FROM json_each(:all_labels) AS wanted
      WHERE NOT EXISTS (
          SELECT 1 FROM instance_label AS o
          WHERE o.domain_id = i.domain_id AND o.name = wanted.key AND o.value = wanted.value
            AND o.instance_id = i.id
      )
  )
ORDER BY i.id DESC LIMIT :limit

-- walk_by_parent --
-- Where a walk over that list ends, if it is that long.
SELECT i.id FROM instance AS i INDEXED BY instance_by_parent
WHERE i.domain_id = :domain_id AND i.parent_id = :parent AND i.id < :before AND i.id >= :since
ORDER BY i.id DESC LIMIT 1 OFFSET :walked

-- list_by_label --
-- With one label, and others: `labels` is a JSON object of those.
SELECT i.n, i.id, i.domain_id, i.shard, i.dag_id, i.dag_hash, i.dag_version, i.created_at,
       i.status, i.seq, i.open_attempts, i.ready, i.open_frames, i.epoch, i.updated_at, i.trigger_kind, i.labels,
       i.rerun_of, i.parent_id, i.parent_path, i.priority
FROM instance_label AS l CROSS JOIN instance AS i ON i.n = l.instance_n
WHERE l.domain_id = :domain_id AND l.name = :name AND l.value = :value
  AND l.instance_id < :before AND l.instance_id >= :since
  AND (:dag_id IS NULL OR i.dag_id = :dag_id)
  AND (:version IS NULL OR i.dag_version = :version)
  AND (:status IS NULL OR i.status = :status)
  AND (:trigger IS NULL OR coalesce(i.trigger_kind, 'manual') = :trigger)
  AND NOT EXISTS (
      SELECT 1 FROM json_each(:labels) AS wanted
      WHERE NOT EXISTS (
          SELECT 1 FROM instance_label AS o
          WHERE o.domain_id = l.domain_id AND o.name = wanted.key AND o.value = wanted.value
            AND o.instance_id = l.instance_id
      )
  )
ORDER BY l.instance_id DESC LIMIT :limit

-- walk_by_label --
-- Where a walk over that list ends, if it is that long.
SELECT l.instance_id FROM instance_label AS l
WHERE l.domain_id = :domain_id AND l.name = :name AND l.value = :value
  AND l.instance_id < :before AND l.instance_id >= :since
ORDER BY l.instance_id DESC LIMIT 1 OFFSET :walked

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

-- page_approvals --
-- Decisions that people of a business domain are asked for, oldest first.
SELECT id, domain_id, instance_id, dag_id, dag_hash, dag_version, task_path, title, approvers, since, due_at
FROM approval
WHERE domain_id = :domain_id AND id >= :from_id
ORDER BY id LIMIT :limit
