-- Takes 016_call.sql back; what called an instance stays in its journal.

DROP INDEX instance_by_parent;
ALTER TABLE instance DROP COLUMN parent_path;
ALTER TABLE instance DROP COLUMN parent_id;
