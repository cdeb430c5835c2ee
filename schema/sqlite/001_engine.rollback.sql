-- Takes 001_engine.sql back; every instance goes with it.

DROP TABLE inbox;
DROP TABLE seen;
DROP TABLE start_key;
DROP TABLE timer;
DROP TABLE snapshot;
DROP TABLE payload;
DROP TABLE frame;
DROP TABLE journal;
DROP TABLE instance;
DROP TABLE shard;
DROP TABLE lease;
DROP TABLE store_meta;
