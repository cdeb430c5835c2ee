-- Outputs of steps with `cache`, by what they were computed from: where each lies among the values of its instance.

CREATE TABLE output_cache (
    domain_id TEXT NOT NULL,
    dag_id TEXT NOT NULL,
    step TEXT NOT NULL,
    version TEXT NOT NULL,
    key BLOB NOT NULL,
    instance_id TEXT NOT NULL,
    body BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (domain_id, dag_id, step, version, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX output_cache_expires ON output_cache (expires_at);
