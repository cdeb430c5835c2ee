-- read_instance --
-- One instance, for the engine.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at, trigger_kind, labels, rerun_of, parent_id, parent_path, priority
FROM instance WHERE id = :id

-- read_instances --
-- Instances by id, for the engine; `ids` is a JSON array.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at, trigger_kind, labels, rerun_of, parent_id, parent_path, priority
FROM instance WHERE id IN (SELECT value FROM json_each(:ids))

-- read_top_frames_of --
-- Top frames of instances, in the order of `numbers`, a JSON array.
SELECT f.instance_n, f.path, f.seq, f.is_open, f.body
FROM json_each(:numbers) AS wanted
CROSS JOIN frame AS f ON f.instance_n = wanted.value AND f.path = ''

-- read_open_frames_of --
-- Open frames below the top, one instance after the other in the order of `numbers`, a JSON array.
SELECT f.instance_n, f.path, f.seq, f.is_open, f.body
FROM json_each(:numbers) AS wanted
CROSS JOIN frame AS f ON f.instance_n = wanted.value AND f.is_open = 1 AND f.path > ''

-- read_tails_of --
-- The newest journal rows of instances, one instance after the other in the order of `numbers`, a JSON array.
SELECT j.instance_n, j.seq, j.version, j.body
FROM json_each(:numbers) AS wanted
CROSS JOIN instance AS i ON i.n = wanted.value
CROSS JOIN journal AS j ON j.instance_n = i.n AND j.seq > i.seq - :limit

-- read_tail --
-- The newest journal rows, ascending.
SELECT seq, version, body
FROM (
    SELECT seq, version, body FROM journal WHERE instance_n = :instance_n ORDER BY seq DESC LIMIT :limit
)
ORDER BY seq

-- read_top_frame --
-- The frame of the top list, open or not.
SELECT path, seq, is_open, body FROM frame WHERE instance_n = :instance_n AND path = ''

-- read_open_frames --
-- A page of the open frames below the top.
SELECT path, seq, is_open, body
FROM frame WHERE instance_n = :instance_n AND is_open = 1 AND path > :after
ORDER BY path LIMIT :limit

-- read_named_frames --
-- Frames by path; `paths` is a JSON array.
SELECT f.path, f.seq, f.is_open, f.body
FROM json_each(:paths) AS wanted
JOIN frame AS f ON f.instance_n = :instance_n AND f.path = wanted.value

-- read_parts --
-- Parts of values; `places` is a JSON array of [seq, part].
SELECT p.seq, p.part, p.body
FROM json_each(:places) AS wanted
JOIN payload AS p
  ON p.instance_n = :instance_n AND p.seq = wanted.value ->> 0 AND p.part = wanted.value ->> 1

-- read_payload_objects --
-- Objects that hold the values of commits; `seqs` is a JSON array.
SELECT o.seq, o.object_key, o.bytes_count
FROM json_each(:seqs) AS wanted
JOIN payload_object AS o ON o.instance_n = :instance_n AND o.seq = wanted.value

-- list_open --
-- A page of a shard's instances that are not terminal.
SELECT n, id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
       status, seq, open_attempts, ready, open_frames, epoch, updated_at, trigger_kind, labels, rerun_of, parent_id, parent_path, priority
FROM instance
WHERE shard = :shard AND id > :after AND status NOT IN ('succeeded', 'failed', 'cancelled')
ORDER BY id LIMIT :limit

-- list_inbox --
-- Waiting commands of some shards; `shards` is a JSON array.
SELECT shard, n, domain_id, source, key, instance_id, kind, body, at
FROM inbox WHERE shard IN (SELECT value FROM json_each(:shards))
ORDER BY shard, n LIMIT :limit

-- list_due --
-- Timers due, soonest first; `shards` is a JSON array.
SELECT t.shard, t.due_at, i.id, t.n, t.path, t.kind
FROM timer AS t JOIN instance AS i ON i.n = t.instance_n
WHERE t.due_at BETWEEN :since AND :until AND t.shard IN (SELECT value FROM json_each(:shards))
ORDER BY t.due_at, t.shard LIMIT :limit OFFSET :skip

-- find_start_key --
-- The first start with this key.
SELECT instance_id, req_hash FROM start_key WHERE domain_id = :domain_id AND "trigger" = :trigger AND key = :key
