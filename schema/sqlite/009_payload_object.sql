-- Values too long for rows lie in objects; notes of loose objects are of any object, not of files alone (ADR 0025).

CREATE TABLE payload_object (
    instance_n INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    domain_id TEXT NOT NULL,
    object_key TEXT NOT NULL,
    bytes_count INTEGER NOT NULL,
    PRIMARY KEY (instance_n, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE object_loose (
    domain_id TEXT NOT NULL,
    object_key TEXT NOT NULL,
    since INTEGER NOT NULL,
    is_condemned INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (domain_id, object_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX object_loose_since ON object_loose (since);

INSERT INTO object_loose (domain_id, object_key, since)
SELECT domain_id, 'file/' || file_id, since FROM file_loose;

DROP TABLE file_loose;
