-- Answers kept under idempotency keys (reliability.md R19), and the order in which keys are removed when their time is over.

CREATE TABLE idem (
    domain_id TEXT NOT NULL,
    principal TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    req_hash TEXT NOT NULL,
    status INTEGER NOT NULL,
    response BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (domain_id, principal, route, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idem_expiry ON idem (expires_at);
CREATE INDEX seen_expiry ON seen (expires_at);
