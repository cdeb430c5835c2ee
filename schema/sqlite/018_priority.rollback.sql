-- Takes 018_priority.sql back; the priority of a start stays in its journal.

ALTER TABLE instance DROP COLUMN priority;
