-- Seals of what people did (R35): a hash chain per business domain, and which seal is its newest.

CREATE TABLE audit_seal (
    domain_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    n INTEGER NOT NULL,
    digest BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (domain_id, position)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX audit_seal_of_act ON audit_seal (n);

CREATE TABLE audit_chain (
    domain_id TEXT NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL,
    n INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_chain_newest ON audit_chain (n);
