-- The journal store: instances and all that one commit writes for them, in one file (reliability.md 1.2).
--
-- Times are microseconds since 1970 (UTC). A page is the unit that a commit writes, so every key below is chosen to make
-- the rows of one batch neighbours: an instance is known inside by `n`, given in order of creation, and the tables with
-- bodies are appended in order of their writing, found again by a narrow index. bench/NOTES.md has the measurements.

CREATE TABLE store_meta (
    key TEXT NOT NULL PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
    node TEXT NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE shard (
    id INTEGER NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    owner TEXT,
    acquired_at INTEGER
) STRICT;

CREATE TABLE instance (
    n INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    domain_id TEXT NOT NULL,
    shard INTEGER NOT NULL,
    dag_id TEXT NOT NULL,
    dag_hash TEXT NOT NULL,
    dag_version TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    seq INTEGER NOT NULL,
    open_attempts INTEGER NOT NULL,
    ready INTEGER NOT NULL,
    open_frames INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- Recovery pages the open instances of a shard; partial, so it stays as small as the open work.
CREATE INDEX instance_open ON instance (shard, id) WHERE status NOT IN ('succeeded', 'failed', 'cancelled');
CREATE INDEX instance_newest ON instance (domain_id, id);
CREATE INDEX instance_of_dag ON instance (domain_id, dag_id, id);
CREATE INDEX instance_by_status ON instance (domain_id, status, id);

CREATE TABLE journal (
    n INTEGER NOT NULL PRIMARY KEY,
    instance_n INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    domain_id TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX journal_seq ON journal (instance_n, seq);

CREATE TABLE frame (
    n INTEGER NOT NULL PRIMARY KEY,
    instance_n INTEGER NOT NULL,
    path TEXT NOT NULL,
    seq INTEGER NOT NULL,
    is_open INTEGER NOT NULL,
    domain_id TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX frame_path ON frame (instance_n, path);
CREATE INDEX frame_open ON frame (instance_n, path) WHERE is_open = 1;

CREATE TABLE payload (
    n INTEGER NOT NULL PRIMARY KEY,
    instance_n INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    part INTEGER NOT NULL,
    domain_id TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX payload_part ON payload (instance_n, seq, part);

CREATE TABLE snapshot (
    n INTEGER NOT NULL PRIMARY KEY,
    instance_n INTEGER NOT NULL,
    path TEXT NOT NULL,
    seq INTEGER NOT NULL,
    domain_id TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX snapshot_seq ON snapshot (instance_n, path, seq);

-- Due time first: one process owns every shard of a file, so the least due time is the first row.
CREATE TABLE timer (
    due_at INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    instance_n INTEGER NOT NULL,
    n INTEGER NOT NULL,
    domain_id TEXT NOT NULL,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (due_at, shard, instance_n, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE start_key (
    domain_id TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    key TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    req_hash TEXT NOT NULL,
    PRIMARY KEY (domain_id, "trigger", key)
) STRICT, WITHOUT ROWID;

CREATE TABLE seen (
    domain_id TEXT NOT NULL,
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (domain_id, source, key)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: n is never given twice, so a page of the inbox that was read long ago names no newer row.
CREATE TABLE inbox (
    n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    shard INTEGER NOT NULL,
    domain_id TEXT NOT NULL,
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE INDEX inbox_shard ON inbox (shard, n);
