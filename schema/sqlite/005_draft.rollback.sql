-- Takes 005_draft.sql back; drafts that were not published go with it.

DROP TABLE dag_draft;
DROP INDEX dag_by_update;
ALTER TABLE dag DROP COLUMN revision;
