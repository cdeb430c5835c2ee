-- find_instances --
-- Inner number, seq and status of the instances of a batch.
WITH wanted (id) AS (VALUES (:id))
SELECT i.id, i.n, i.seq, i.status FROM wanted JOIN instance AS i ON i.id = wanted.id

-- find_start_keys --
-- First instances of start keys that exist.
WITH wanted (domain_id, "trigger", key) AS (VALUES (:domain_id, :trigger, :key))
SELECT k.domain_id, k."trigger", k.key, k.instance_id, k.req_hash
FROM wanted
JOIN start_key AS k
  ON k.domain_id = wanted.domain_id AND k."trigger" = wanted."trigger" AND k.key = wanted.key

-- find_seen --
-- Keys that were taken in, with the end of their keeping and what they were of.
WITH wanted (domain_id, source, key) AS (VALUES (:domain_id, :source, :key))
SELECT s.domain_id, s.source, s.key, s.expires_at, s.req_hash
FROM wanted
JOIN seen AS s ON s.domain_id = wanted.domain_id AND s.source = wanted.source AND s.key = wanted.key

-- find_inbox --
-- Inbox rows that are still there.
WITH wanted (n) AS (VALUES (:n))
SELECT b.n, b.shard FROM wanted JOIN inbox AS b ON b.n = wanted.n

-- insert_instances --
-- New instances; `n` is given in order of insertion.
INSERT INTO instance
    (id, domain_id, shard, dag_id, dag_hash, dag_version, created_at,
     status, seq, open_attempts, ready, open_frames, epoch, updated_at, trigger_kind, labels, rerun_of, parent_id, parent_path, priority)
VALUES
    (:id, :domain_id, :shard, :dag_id, :dag_hash, :dag_version, :created_at,
     :status, :seq, :open_attempts, :ready, :open_frames, :epoch, :updated_at, :trigger_kind, :labels, :rerun_of, :parent_id, :parent_path, :priority)
RETURNING id, n

-- insert_labels --
-- What new instances are found by; the row of an instance has them, too.
INSERT INTO instance_label (domain_id, name, value, instance_id, instance_n)
VALUES (:domain_id, :name, :value, :instance_id, :instance_n)

-- move_instances --
-- The compare-and-set by seq (R13) of instances whose status stays: no index is touched.
WITH change (n, expected_seq, seq, open_attempts, ready, open_frames, epoch, updated_at) AS (
    VALUES (:n, :expected_seq, :seq, :open_attempts, :ready, :open_frames, :epoch, :updated_at)
)
UPDATE instance SET
    seq = change.seq,
    open_attempts = change.open_attempts,
    ready = change.ready,
    open_frames = change.open_frames,
    epoch = change.epoch,
    updated_at = change.updated_at
FROM change
WHERE instance.n = change.n AND instance.seq = change.expected_seq

-- turn_instances --
-- The same for instances that get another status.
WITH change (n, expected_seq, seq, open_attempts, ready, open_frames, epoch, updated_at, status) AS (
    VALUES (:n, :expected_seq, :seq, :open_attempts, :ready, :open_frames, :epoch, :updated_at, :status)
)
UPDATE instance SET
    seq = change.seq,
    open_attempts = change.open_attempts,
    ready = change.ready,
    open_frames = change.open_frames,
    epoch = change.epoch,
    updated_at = change.updated_at,
    status = change.status
FROM change
WHERE instance.n = change.n AND instance.seq = change.expected_seq

-- insert_start_keys --
-- The record that makes a keyed start happen once (R16).
INSERT INTO start_key (domain_id, "trigger", key, instance_id, req_hash)
VALUES (:domain_id, :trigger, :key, :instance_id, :req_hash)

-- insert_seen --
-- A key taken in; one whose keeping is over is taken in anew (R15).
INSERT INTO seen (domain_id, source, key, expires_at, req_hash)
VALUES (:domain_id, :source, :key, :expires_at, :req_hash)
ON CONFLICT (domain_id, source, key)
DO UPDATE SET expires_at = excluded.expires_at, req_hash = excluded.req_hash

-- delete_inbox --
-- The commands that this commit decides; each must be there.
DELETE FROM inbox WHERE (n, shard) IN (VALUES (:n, :shard))

-- insert_journal --
-- One row per instance and commit, appended.
INSERT INTO journal (instance_n, seq, version, domain_id, at, body)
VALUES (:instance_n, :seq, :version, :domain_id, :at, :body)

-- upsert_frames --
-- Checkpoints; the newest replaces the one before.
INSERT INTO frame (instance_n, path, seq, is_open, domain_id, body)
VALUES (:instance_n, :path, :seq, :is_open, :domain_id, :body)
ON CONFLICT (instance_n, path)
DO UPDATE SET seq = excluded.seq, is_open = excluded.is_open, body = excluded.body

-- insert_payloads --
-- Values, appended.
INSERT INTO payload (instance_n, seq, part, domain_id, body)
VALUES (:instance_n, :seq, :part, :domain_id, :body)

-- find_notes --
-- Notes of objects that are still there and stay.
WITH wanted (domain_id, object_key) AS (VALUES (:domain_id, :object_key))
SELECT o.domain_id, o.object_key
FROM wanted
JOIN object_loose AS o ON o.domain_id = wanted.domain_id AND o.object_key = wanted.object_key AND o.is_condemned = 0

-- delete_notes --
-- The notes of objects that this commit refers to; each must be there.
DELETE FROM object_loose WHERE (domain_id, object_key) IN (VALUES (:domain_id, :object_key))

-- insert_payload_objects --
-- Where values lie that are too long for rows.
INSERT INTO payload_object (instance_n, seq, domain_id, object_key, bytes_count)
VALUES (:instance_n, :seq, :domain_id, :object_key, :bytes_count)

-- upsert_snapshots --
-- Frames kept for reading the past.
INSERT INTO snapshot (instance_n, path, seq, domain_id, body)
VALUES (:instance_n, :path, :seq, :domain_id, :body)
ON CONFLICT (instance_n, path, seq) DO UPDATE SET body = excluded.body

-- delete_timers --
-- By their keys; one that is gone is no error.
DELETE FROM timer
WHERE (due_at, shard, instance_n, n) IN (VALUES (:due_at, :shard, :instance_n, :n))

-- upsert_timers --
-- Times to wake at.
INSERT INTO timer (due_at, shard, instance_n, n, domain_id, path, kind)
VALUES (:due_at, :shard, :instance_n, :n, :domain_id, :path, :kind)
ON CONFLICT (due_at, shard, instance_n, n) DO UPDATE SET path = excluded.path, kind = excluded.kind

-- delete_approvals --
-- Decisions that nobody is asked for any more.
DELETE FROM approval
WHERE (domain_id, id) IN (VALUES (:domain_id, :id))

-- upsert_approvals --
-- Decisions that people are asked for.
INSERT INTO approval
    (domain_id, id, instance_id, dag_id, dag_hash, dag_version, task_path, title, approvers, since, due_at)
VALUES
    (:domain_id, :id, :instance_id, :dag_id, :dag_hash, :dag_version, :task_path, :title, :approvers, :since, :due_at)
ON CONFLICT (domain_id, id) DO UPDATE SET title = excluded.title, approvers = excluded.approvers

-- insert_inbox --
-- Commands for the owner of their shard; `n` is given by the store.
INSERT INTO inbox (shard, domain_id, source, key, instance_id, kind, body, at)
VALUES (:shard, :domain_id, :source, :key, :instance_id, :kind, :body, :at)

-- upsert_outputs --
-- Outputs that may be used again; a newer one takes the place of an older one.
INSERT INTO output_cache (domain_id, dag_id, step, version, key, instance_id, body, expires_at)
VALUES (:domain_id, :dag_id, :step, :version, :key, :instance_id, :body, :expires_at)
ON CONFLICT (domain_id, dag_id, step, version, key) DO UPDATE SET
    instance_id = excluded.instance_id, body = excluded.body, expires_at = excluded.expires_at
