-- What instances are found by beside their DAG and status: their labels, and what started them.
--
-- Both columns are null in most rows, and cost a row of most instances nothing: `trigger_kind` of an instance that a person
-- or a program started (`manual`), `labels` (a JSON object) of one without labels. The index of kinds is partial for the
-- same reason.

ALTER TABLE instance ADD COLUMN trigger_kind TEXT;
ALTER TABLE instance ADD COLUMN labels TEXT;

CREATE INDEX instance_by_trigger ON instance (domain_id, trigger_kind, id) WHERE trigger_kind IS NOT NULL;

CREATE TABLE instance_label (
    domain_id TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    instance_n INTEGER NOT NULL,
    PRIMARY KEY (domain_id, name, value, instance_id)
) STRICT, WITHOUT ROWID;
