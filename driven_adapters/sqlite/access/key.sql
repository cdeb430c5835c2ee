-- count_keys --
-- Whether there is any key.
SELECT EXISTS (SELECT 1 FROM api_key)

-- insert_domain --
-- A business domain, unless it exists.
INSERT INTO domain (id, name) VALUES (:id, :name) ON CONFLICT (id) DO NOTHING

-- insert_key --
-- An API key.
INSERT INTO api_key
    (id, domain_id, prefix, hash, name, roles, created_at, expires_at, revoked_at, last_used_at)
VALUES
    (:id, :domain_id, :prefix, :hash, :name, :roles, :created_at, :expires_at, :revoked_at, :last_used_at)

-- find_keys --
-- The keys with a public prefix.
SELECT id, domain_id, prefix, hash, name, roles, created_at, expires_at, revoked_at, last_used_at
FROM api_key WHERE prefix = :prefix ORDER BY id

-- touch_key --
-- Notes a use.
UPDATE api_key SET last_used_at = :at WHERE id = :id
