-- Acts on many instances: what is wanted, and how far it is.

CREATE TABLE instance_batch (
    id TEXT NOT NULL PRIMARY KEY,
    domain_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    is_done INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX instance_batch_open ON instance_batch (is_done, id);
CREATE INDEX instance_batch_by_domain ON instance_batch (domain_id, is_done, created_at);
