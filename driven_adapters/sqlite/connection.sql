-- begin_write --
-- Takes the write lock at once, so that what is checked inside holds until the commit.
BEGIN IMMEDIATE

-- begin_read --
-- One moment for every read that follows.
BEGIN

-- commit --
-- Synced when it returns: synchronous is FULL.
COMMIT

-- rollback --
-- Drops the transaction.
ROLLBACK

-- savepoint --
-- Before one item of a batch that is written item by item.
SAVEPOINT item

-- release_savepoint --
-- The item stays.
RELEASE item

-- rollback_savepoint --
-- The item goes, the ones before it stay.
ROLLBACK TO item

-- read_meta --
-- One fact about the store itself.
SELECT value FROM store_meta WHERE key = :key

-- put_meta --
-- Sets one fact about the store itself.
INSERT INTO store_meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- insert_shard --
-- One shard of a new store.
INSERT INTO shard (id, epoch) VALUES (:id, 0)

-- clear_leases --
-- The file lock proves that no earlier process lives: what it leased is free at once.
DELETE FROM lease

-- clear_owners --
-- Another store now, with the same rows: nobody owns a shard of it.
UPDATE shard SET owner = NULL
