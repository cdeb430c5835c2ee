-- Takes 003_access.sql back; every key goes with it.

DROP TABLE api_key;
DROP TABLE domain;
