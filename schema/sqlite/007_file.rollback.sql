-- Takes 007_file.sql back; what is known of files goes with it, their objects stay where they lie.

DROP TABLE file_loose;
DROP TABLE file;
