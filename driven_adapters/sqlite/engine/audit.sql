-- audit_instances --
-- All instances in the order of their ids.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at, trigger_kind, labels, rerun_of, parent_id, parent_path, priority
FROM instance WHERE id > :after ORDER BY id LIMIT :limit

-- audit_instances_of --
-- Those of one business domain.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at, trigger_kind, labels, rerun_of, parent_id, parent_path, priority
FROM instance INDEXED BY instance_newest WHERE domain_id = :domain_id AND id > :after ORDER BY id LIMIT :limit

-- audit_journal --
-- A page of one instance's journal.
SELECT j.seq, j.version, j.body FROM instance AS i JOIN journal AS j ON j.instance_n = i.n
WHERE i.id = :id AND j.seq > :after_seq ORDER BY j.seq LIMIT :limit

-- audit_beside --
-- What stands beside an instance; its journal is counted by the index alone.
SELECT i.n, i.shard, i.seq, i.domain_id, (SELECT count(*) FROM journal AS j WHERE j.instance_n = i.n)
FROM instance AS i WHERE i.id = :id

-- audit_inbox --
-- Commands that wait for an instance, and how many of them stand under another business domain.
SELECT count(*), coalesce(sum(domain_id <> :domain_id), 0) FROM inbox WHERE shard = :shard AND instance_id = :id

-- audit_named_timers --
-- Which of these timers exist, looked for by their keys.
SELECT t.n FROM json_each(:timers) AS wanted JOIN timer AS t
  ON t.due_at = wanted.value ->> 0 AND t.shard = :shard AND t.instance_n = :instance_n AND t.n = wanted.value ->> 1

-- audit_timers --
-- All timers in the order of their keys, each with the status of its instance.
SELECT t.shard, t.due_at, i.id, t.n, t.path, t.kind, i.status, t.instance_n
FROM timer AS t LEFT JOIN instance AS i ON i.n = t.instance_n
WHERE (t.due_at, t.shard, t.instance_n, t.n)
    > (:due_at, :shard, coalesce(:instance_n, (SELECT n FROM instance WHERE id = :instance_id), -1), :n)
ORDER BY t.due_at, t.shard, t.instance_n, t.n LIMIT :limit

-- audit_start_keys --
-- All start keys in order, each with the business domain of the instance that it names.
SELECT k.domain_id, k."trigger", k.key, k.instance_id, k.req_hash, i.domain_id
FROM start_key AS k LEFT JOIN instance AS i ON i.id = k.instance_id
WHERE (k.domain_id, k."trigger", k.key) > (:domain_id, :trigger, :key)
ORDER BY k.domain_id, k."trigger", k.key LIMIT :limit

-- audit_granted --
-- Task paths of an instance that are told that they have a permit.
SELECT key FROM inbox WHERE shard = :shard AND instance_id = :id AND kind = 'granted'

-- audit_permits --
-- All rows at gates, in their order, with the status of their instances.
SELECT p.domain_id, p.limit_name, p.key, p.instance_id, p.task_path, p.shard, p.most, p.priority, p.since, p.is_held,
    i.status
FROM permit AS p LEFT JOIN instance AS i ON i.id = p.instance_id
WHERE (p.domain_id, p.limit_name, p.key, p.instance_id, p.task_path)
    > (:domain_id, :limit_name, :key, :instance_id, :task_path)
ORDER BY p.domain_id, p.limit_name, p.key, p.instance_id, p.task_path
LIMIT :limit
