-- Takes 012_audit.sql back. Who did what stands in the journals of the instances, too.

DROP TABLE audit;
