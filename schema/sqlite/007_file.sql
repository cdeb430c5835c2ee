-- Files, and the objects that no file refers to: to be removed when their time is over.

CREATE TABLE file (
    id TEXT NOT NULL PRIMARY KEY,
    domain_id TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes_count INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    write_key TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX file_name ON file (domain_id, name, id);
CREATE UNIQUE INDEX file_write ON file (domain_id, write_key) WHERE write_key IS NOT NULL;

CREATE TABLE file_loose (
    domain_id TEXT NOT NULL,
    file_id TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (domain_id, file_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX file_loose_since ON file_loose (since);
