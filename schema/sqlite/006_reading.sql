-- What people read of instances: the lines that attempts wrote, when each commit was made, and a list by version.
--
-- Lines are appended in the order of arrival and found by a narrow index, like the journal. `at` of a journal row is null
-- in rows of earlier releases.

CREATE TABLE task_log (
    n INTEGER NOT NULL PRIMARY KEY,
    instance_id TEXT NOT NULL,
    domain_id TEXT NOT NULL,
    task_path TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    level TEXT NOT NULL,
    stream TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;

CREATE INDEX task_log_instance ON task_log (instance_id, n);
CREATE INDEX task_log_task ON task_log (instance_id, task_path, n);

ALTER TABLE journal ADD COLUMN at INTEGER;

CREATE INDEX instance_of_version ON instance (domain_id, dag_id, dag_version, id);
