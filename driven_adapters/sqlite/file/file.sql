-- read_file --
-- One file of one business domain.
SELECT id, domain_id, name, media_type, bytes_count, sha256, created_at, created_by, write_key
FROM file WHERE id = :file_id AND domain_id = :domain_id

-- find_name --
-- The newest file of a name; ids ascend with time.
SELECT id, domain_id, name, media_type, bytes_count, sha256, created_at, created_by, write_key
FROM file WHERE domain_id = :domain_id AND name = :name ORDER BY id DESC LIMIT 1

-- find_write --
-- The file that a task wrote.
SELECT id, domain_id, name, media_type, bytes_count, sha256, created_at, created_by, write_key
FROM file WHERE domain_id = :domain_id AND write_key = :write_key

-- list_files --
-- A page of the files whose name lies in a range, ascending by name, then by id.
SELECT id, domain_id, name, media_type, bytes_count, sha256, created_at, created_by, write_key
FROM file
WHERE domain_id = :domain_id AND (name, id) > (:after_name, :after_id) AND name >= :prefix AND name < :prefix_end
ORDER BY name, id LIMIT :limit

-- insert_file --
-- A new file.
INSERT INTO file (id, domain_id, name, media_type, bytes_count, sha256, created_at, created_by, write_key)
VALUES (:id, :domain_id, :name, :media_type, :bytes_count, :sha256, :created_at, :created_by, :write_key)

-- delete_file --
-- A file, not its object.
DELETE FROM file WHERE id = :file_id AND domain_id = :domain_id
