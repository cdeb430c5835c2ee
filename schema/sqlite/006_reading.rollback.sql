-- Takes 006_reading.sql back; lines of attempts and the times of commits go with it.

DROP INDEX instance_of_version;
ALTER TABLE journal DROP COLUMN at;
DROP TABLE task_log;
