-- Business domains and API keys; of a key only its keyed hash is here.

CREATE TABLE domain (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    id TEXT NOT NULL PRIMARY KEY,
    domain_id TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash BLOB NOT NULL,
    name TEXT NOT NULL,
    roles TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_key_prefix ON api_key (prefix, id);
