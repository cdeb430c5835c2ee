-- Takes 011_batch.sql back. What is not done stays undone.

DROP TABLE instance_batch;
