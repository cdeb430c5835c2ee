-- newest_line --
-- The highest number given; numbers go on from there.
SELECT coalesce(max(n), 0) FROM task_log

-- insert_lines --
-- Lines of attempts, appended. A line whose number is there was written by a transaction whose answer was lost.
INSERT INTO task_log (n, instance_id, domain_id, task_path, attempt, at, level, stream, message)
VALUES (:n, :instance_id, :domain_id, :task_path, :attempt, :at, :level, :stream, :message)
ON CONFLICT (n) DO NOTHING

-- page_lines --
-- Lines of an instance after a number.
SELECT n, at, task_path, attempt, level, message, stream
FROM task_log
WHERE instance_id = :instance_id AND domain_id = :domain_id AND n > :after
ORDER BY n LIMIT :limit

-- page_lines_of_task --
-- Lines of one task of it; without `attempt`, of all its attempts.
SELECT n, at, task_path, attempt, level, message, stream
FROM task_log
WHERE instance_id = :instance_id AND domain_id = :domain_id AND task_path = :task_path AND n > :after
  AND (:attempt IS NULL OR attempt = :attempt)
ORDER BY n LIMIT :limit
