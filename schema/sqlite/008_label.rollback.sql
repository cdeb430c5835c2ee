-- Takes 008_label.sql back; labels of instances go with it, their journals keep them.

DROP TABLE instance_label;
DROP INDEX instance_by_trigger;
ALTER TABLE instance DROP COLUMN labels;
ALTER TABLE instance DROP COLUMN trigger_kind;
