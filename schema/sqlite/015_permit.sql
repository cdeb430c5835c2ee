-- Who runs behind a gate, and who waits there. A holder is an instance (task_path '') or a task; since which time it asks.

CREATE TABLE permit (
    domain_id TEXT NOT NULL,
    limit_name TEXT NOT NULL,
    key TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    task_path TEXT NOT NULL,
    shard INTEGER NOT NULL,
    most INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    since INTEGER NOT NULL,
    is_held INTEGER NOT NULL,
    PRIMARY KEY (domain_id, limit_name, key, instance_id, task_path)
) STRICT, WITHOUT ROWID;

CREATE INDEX permit_line
    ON permit (domain_id, limit_name, key, is_held, priority DESC, since, instance_id, task_path);

CREATE INDEX permit_of_instance ON permit (instance_id, task_path);
