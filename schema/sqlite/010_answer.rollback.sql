-- Takes 010_answer.sql back; keys stay known, of which request they were does not. Instances still wait for decisions that
-- nobody finds in a list.

DROP TABLE approval;
ALTER TABLE seen DROP COLUMN req_hash;
