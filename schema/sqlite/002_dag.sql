-- DAGs and their published, immutable versions.

CREATE TABLE dag (
    id TEXT NOT NULL PRIMARY KEY,
    domain_id TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    tags TEXT NOT NULL,
    status TEXT NOT NULL,
    type TEXT NOT NULL,
    version TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX dag_title ON dag (domain_id, title);
CREATE INDEX dag_by_domain ON dag (domain_id, id);

CREATE TABLE dag_version (
    n INTEGER NOT NULL PRIMARY KEY,
    dag_id TEXT NOT NULL,
    domain_id TEXT NOT NULL,
    version TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    document BLOB NOT NULL,
    change_log TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    published_by TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX dag_version_number ON dag_version (dag_id, version);
CREATE INDEX dag_version_hash ON dag_version (dag_id, content_hash);
