-- insert_lease --
-- The lease of one process start; none when the node id was used before.
INSERT INTO lease (node, until) VALUES (:node, :until) ON CONFLICT (node) DO NOTHING

-- renew_lease --
-- Moves the end of a lease that is not over.
UPDATE lease SET until = :until WHERE node = :node AND until > :now

-- list_shards --
-- Every shard with the end of its owner's lease.
SELECT s.id, s.epoch, s.owner, l.until
FROM shard AS s LEFT JOIN lease AS l ON l.node = s.owner
ORDER BY s.id

-- list_living_nodes --
-- The nodes whose lease is not over.
SELECT node FROM lease WHERE until > :now ORDER BY node

-- acquire_shard --
-- One compare-and-set: the epoch is the one seen, nobody living owns the shard, and the taker lives (R2).
UPDATE shard SET epoch = epoch + 1, owner = :node, acquired_at = :now
WHERE id = :shard AND epoch = :epoch
  AND EXISTS (SELECT 1 FROM lease WHERE node = :node AND until > :now)
  AND (owner IS NULL OR NOT EXISTS (SELECT 1 FROM lease WHERE node = shard.owner AND until > :now))

-- release_shard --
-- Gives a shard back where the epoch still is ours.
UPDATE shard SET owner = NULL WHERE id = :shard AND epoch = :epoch AND owner = :node

-- lost_fences --
-- The shards whose epoch or incarnation is another than the fence says (R3); no row: every fence holds.
WITH fence (shard, epoch, incarnation) AS (VALUES (:shard, :epoch, :incarnation))
SELECT fence.shard
FROM fence
LEFT JOIN shard ON shard.id = fence.shard AND shard.epoch = fence.epoch
LEFT JOIN store_meta ON store_meta.key = 'incarnation' AND store_meta.value = fence.incarnation
WHERE shard.id IS NULL OR store_meta.key IS NULL
