-- permit_view --
-- How a gate stands: permits held, counted up to a bound, and the highest priority of those who wait.
SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM permit
        WHERE domain_id = :domain_id AND limit_name = :limit_name AND key = :key AND is_held = 1
        LIMIT :most
    )),
    (SELECT priority FROM permit
     WHERE domain_id = :domain_id AND limit_name = :limit_name AND key = :key AND is_held = 0
     ORDER BY priority DESC LIMIT 1)

-- permit_first --
-- Who is next of those who wait.
SELECT instance_id, task_path, shard, most FROM permit
WHERE domain_id = :domain_id AND limit_name = :limit_name AND key = :key AND is_held = 0
ORDER BY priority DESC, since, instance_id, task_path
LIMIT 1

-- permit_waiting --
-- Who waits at a gate, but for one instance.
SELECT instance_id, shard FROM permit
WHERE domain_id = :domain_id AND limit_name = :limit_name AND key = :key AND is_held = 0
    AND instance_id <> :instance_id

-- permit_oldest --
-- Of those who hold permits the oldest, as many as must end before one more can hold one.
SELECT instance_id, shard FROM permit
WHERE domain_id = :domain_id AND limit_name = :limit_name AND key = :key AND is_held = 1
ORDER BY since, instance_id
LIMIT max(0, 1 - :most + (
    SELECT count(*) FROM permit
    WHERE domain_id = :domain_id AND limit_name = :limit_name AND key = :key AND is_held = 1
))

-- permit_insert --
-- A holder comes.
INSERT INTO permit
    (domain_id, limit_name, key, instance_id, task_path, shard, most, priority, since, is_held)
VALUES
    (:domain_id, :limit_name, :key, :instance_id, :task_path, :shard, :most, :priority, :since, :is_held)

-- permit_delete --
-- A holder leaves: its permit, or its place in line, whichever is there.
DELETE FROM permit
WHERE domain_id = :domain_id AND limit_name = :limit_name AND key = :key
    AND instance_id = :instance_id AND task_path = :task_path

-- permit_grant --
-- Who waited holds a permit now.
UPDATE permit SET is_held = 1
WHERE domain_id = :domain_id AND limit_name = :limit_name AND key = :key
    AND instance_id = :instance_id AND task_path = :task_path

-- permit_tell --
-- A command of the gate to an instance, wherever its owner is.
INSERT INTO inbox (shard, domain_id, source, key, instance_id, kind, body, at)
VALUES (:shard, :domain_id, :source, :task_path, :instance_id, :kind, x'', :at)

-- permit_line --
-- Who is at a gate: holders, then those who wait, in their order.
SELECT instance_id, task_path, shard, most, priority, since, is_held FROM permit
WHERE domain_id = :domain_id AND limit_name = :limit_name AND key = :key
ORDER BY is_held DESC, priority DESC, since, instance_id, task_path
LIMIT :limit

-- permits_of_instance --
-- What an instance and its tasks hold or wait for.
SELECT domain_id, limit_name, key, instance_id, task_path, shard, most, priority, since, is_held FROM permit
WHERE instance_id = :instance_id
ORDER BY task_path
LIMIT :limit
