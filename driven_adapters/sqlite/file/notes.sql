-- note_loose --
-- An object that nothing refers to; noted twice, the later time counts.
INSERT INTO object_loose (domain_id, object_key, since) VALUES (:domain_id, :object_key, :since)
ON CONFLICT (domain_id, object_key) DO UPDATE SET since = excluded.since

-- take_loose --
-- The note of an object that a row refers to from now on; none that the sweep is about to remove.
DELETE FROM object_loose WHERE domain_id = :domain_id AND object_key = :object_key AND is_condemned = 0

-- condemn_loose --
-- An object that is removed next.
UPDATE object_loose SET is_condemned = 1 WHERE domain_id = :domain_id AND object_key = :object_key

-- forget_loose --
-- The note of an object that is gone.
DELETE FROM object_loose WHERE domain_id = :domain_id AND object_key = :object_key

-- list_loose --
-- Objects of every domain that are loose for long enough, oldest first.
SELECT domain_id, object_key, since FROM object_loose WHERE since < :before ORDER BY since LIMIT :limit
