-- Takes 009_payload_object.sql back. Values that lie in objects are no longer found; notes of objects that are no
-- file's go, and such objects stay where they lie.

CREATE TABLE file_loose (
    domain_id TEXT NOT NULL,
    file_id TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (domain_id, file_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX file_loose_since ON file_loose (since);

INSERT INTO file_loose (domain_id, file_id, since)
SELECT domain_id, substr(object_key, 6), since FROM object_loose WHERE object_key LIKE 'file/%';

DROP TABLE object_loose;
DROP TABLE payload_object;
