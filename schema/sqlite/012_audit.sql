-- What people did, written in the transaction of the act (R35). `shard` is -1 of an act that is no single instance's.

CREATE TABLE audit (
    n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    shard INTEGER NOT NULL,
    domain_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE INDEX audit_of_domain ON audit (domain_id, n);
