-- list_versions --
-- A page of the versions of a DAG that is there, newest first, without their documents.
SELECT v.dag_id, v.domain_id, v.version, v.content_hash, v.change_log, v.published_at, v.published_by
FROM dag AS d JOIN dag_version AS v ON v.dag_id = d.id
WHERE d.id = :dag_id AND d.domain_id = :domain_id AND (
    :before IS NULL
    OR v.n < (SELECT b.n FROM dag_version AS b WHERE b.dag_id = :dag_id AND b.version = :before)
)
ORDER BY v.n DESC LIMIT :limit

-- read_draft --
-- The draft of a DAG; without a document when the last one was published.
SELECT dag_id, domain_id, revision, document, saved_at, saved_by
FROM dag_draft WHERE dag_id = :dag_id AND domain_id = :domain_id

-- write_draft --
-- Upon the revision that its writer had read; that was looked at in the same transaction.
INSERT INTO dag_draft (dag_id, domain_id, revision, document, saved_at, saved_by)
VALUES (:dag_id, :domain_id, :revision, :document, :saved_at, :saved_by)
ON CONFLICT (dag_id) DO UPDATE SET
    revision = excluded.revision, document = excluded.document, saved_at = excluded.saved_at,
    saved_by = excluded.saved_by

-- take_draft --
-- It was published; the revision goes on, so that no later draft is taken for this one.
UPDATE dag_draft SET document = NULL, revision = revision + 1
WHERE dag_id = :dag_id AND domain_id = :domain_id AND revision = :revision

-- delete_draft --
DELETE FROM dag_draft WHERE dag_id = :dag_id AND domain_id = :domain_id

-- delete_dag --
-- Its versions stay: instances are pinned to them.
DELETE FROM dag WHERE id = :dag_id AND domain_id = :domain_id
