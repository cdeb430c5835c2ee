-- Takes 013_rerun.sql back; what an instance is a rerun of stays in its journal.

ALTER TABLE instance DROP COLUMN rerun_of;
