-- Drafts beside what is published, a count of each DAG's changes (If-Match), and DAGs in the order of their last change.

ALTER TABLE dag ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;

CREATE INDEX dag_by_update ON dag (domain_id, updated_at, id);

CREATE TABLE dag_draft (
    dag_id TEXT NOT NULL PRIMARY KEY,
    domain_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    document BLOB,
    saved_at INTEGER NOT NULL,
    saved_by TEXT NOT NULL
) STRICT;
