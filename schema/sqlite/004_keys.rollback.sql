-- Takes 004_keys.sql back; answers that were kept go with it.

DROP INDEX seen_expiry;
DROP TABLE idem;
