-- find_title --
-- The DAG that has a title in a business domain.
SELECT id, domain_id, title, description, tags, status, type, version, content_hash, created_at, updated_at,
    revision
FROM dag WHERE domain_id = :domain_id AND title = :title

-- read_dag --
-- One DAG of one business domain.
SELECT id, domain_id, title, description, tags, status, type, version, content_hash, created_at, updated_at,
    revision
FROM dag WHERE id = :dag_id AND domain_id = :domain_id

-- list_by_id --
-- A page, ascending by id.
SELECT id, domain_id, title, description, tags, status, type, version, content_hash, created_at, updated_at,
    revision
FROM dag WHERE domain_id = :domain_id AND id > :id
    AND (:status IS NULL OR status = :status)
    AND (:text IS NULL OR instr(lower(title), lower(:text)) > 0)
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
ORDER BY id LIMIT :limit OFFSET :offset

-- list_by_id_descending --
-- The same from the newest on.
SELECT id, domain_id, title, description, tags, status, type, version, content_hash, created_at, updated_at,
    revision
FROM dag WHERE domain_id = :domain_id AND id < :id
    AND (:status IS NULL OR status = :status)
    AND (:text IS NULL OR instr(lower(title), lower(:text)) > 0)
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
ORDER BY id DESC LIMIT :limit OFFSET :offset

-- list_by_title --
-- A page in the order of the titles.
SELECT id, domain_id, title, description, tags, status, type, version, content_hash, created_at, updated_at,
    revision
FROM dag WHERE domain_id = :domain_id AND title > :title
    AND (:status IS NULL OR status = :status)
    AND (:text IS NULL OR instr(lower(title), lower(:text)) > 0)
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
ORDER BY title LIMIT :limit OFFSET :offset

-- list_by_title_descending --
-- The same from the other end.
SELECT id, domain_id, title, description, tags, status, type, version, content_hash, created_at, updated_at,
    revision
FROM dag WHERE domain_id = :domain_id AND title < :title
    AND (:status IS NULL OR status = :status)
    AND (:text IS NULL OR instr(lower(title), lower(:text)) > 0)
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
ORDER BY title DESC LIMIT :limit OFFSET :offset

-- list_by_updated_at --
-- A page in the order of the last change.
SELECT id, domain_id, title, description, tags, status, type, version, content_hash, created_at, updated_at,
    revision
FROM dag WHERE domain_id = :domain_id AND (updated_at, id) > (:updated_at, :id)
    AND (:status IS NULL OR status = :status)
    AND (:text IS NULL OR instr(lower(title), lower(:text)) > 0)
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
ORDER BY updated_at, id LIMIT :limit OFFSET :offset

-- list_by_updated_at_descending --
-- The same from the latest on.
SELECT id, domain_id, title, description, tags, status, type, version, content_hash, created_at, updated_at,
    revision
FROM dag WHERE domain_id = :domain_id AND (updated_at, id) < (:updated_at, :id)
    AND (:status IS NULL OR status = :status)
    AND (:text IS NULL OR instr(lower(title), lower(:text)) > 0)
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
ORDER BY updated_at DESC, id DESC LIMIT :limit OFFSET :offset

-- insert_dag --
-- A new DAG.
INSERT INTO dag
    (id, domain_id, title, description, tags, status, type, version, content_hash, created_at, updated_at)
VALUES
    (:id, :domain_id, :title, :description, :tags, :status, :type, :version, :content_hash, :created_at, :updated_at)

-- update_dag --
-- What a publication changes.
UPDATE dag SET
    title = :title, description = :description, tags = :tags, status = :status, type = :type,
    version = :version, content_hash = :content_hash, updated_at = :updated_at, revision = revision + 1
WHERE id = :id AND domain_id = :domain_id

-- describe_dag --
-- What is no content; the newest version stays the newest.
UPDATE dag SET
    title = :title, description = :description, tags = :tags, status = :status, type = :type, updated_at = :updated_at,
    revision = revision + 1
WHERE id = :id AND domain_id = :domain_id

-- insert_version --
-- A published version.
INSERT INTO dag_version
    (dag_id, domain_id, version, content_hash, document, change_log, published_at, published_by)
VALUES
    (:dag_id, :domain_id, :version, :content_hash, :document, :change_log, :published_at, :published_by)

-- read_version --
-- One version by its number, of a DAG that is there.
SELECT v.dag_id, v.domain_id, v.version, v.content_hash, v.document, v.change_log, v.published_at, v.published_by
FROM dag AS d JOIN dag_version AS v ON v.dag_id = d.id AND v.version = :version
WHERE d.id = :dag_id AND d.domain_id = :domain_id

-- read_newest --
-- The version that the DAG lists.
SELECT v.dag_id, v.domain_id, v.version, v.content_hash, v.document, v.change_log, v.published_at, v.published_by
FROM dag AS d JOIN dag_version AS v ON v.dag_id = d.id AND v.version = d.version
WHERE d.id = :dag_id AND d.domain_id = :domain_id

-- read_by_hash --
-- The first version with this content.
SELECT dag_id, domain_id, version, content_hash, document, change_log, published_at, published_by
FROM dag_version WHERE dag_id = :dag_id AND content_hash = :content_hash AND domain_id = :domain_id
ORDER BY n LIMIT 1
