-- Takes 010_answer.sql back; keys stay known, of which request they were does not.

ALTER TABLE seen DROP COLUMN req_hash;
