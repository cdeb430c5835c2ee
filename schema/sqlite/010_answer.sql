-- What comes from outside to instances that wait: a key that was taken in also says of which request it was, so that
-- another request with the same key is told from a repeat; and the decisions that people are asked for.

ALTER TABLE seen ADD COLUMN req_hash TEXT NOT NULL DEFAULT '';

-- A row for as long as somebody is asked. `approvers` is a JSON list, null = whoever may.
CREATE TABLE approval (
    domain_id TEXT NOT NULL,
    id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    dag_id TEXT NOT NULL,
    dag_hash TEXT NOT NULL,
    dag_version TEXT NOT NULL,
    task_path TEXT NOT NULL,
    title TEXT NOT NULL,
    approvers TEXT,
    since INTEGER NOT NULL,
    due_at INTEGER,
    PRIMARY KEY (domain_id, id)
) STRICT, WITHOUT ROWID;
