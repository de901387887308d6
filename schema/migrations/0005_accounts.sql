-- Who may call: API keys, enrolment tokens, agents' certificates. Secrets are kept as SHA-256 only.
SET LOCAL ROLE fallow_owner;

CREATE TABLE IF NOT EXISTS api_keys (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL CONSTRAINT api_keys_organization_exists REFERENCES organizations,
    name             text NOT NULL,
    prefix           text NOT NULL,
    hash             bytea NOT NULL CONSTRAINT api_keys_hash_unique UNIQUE,
    scopes           text[] NOT NULL,
    created_at       bigint NOT NULL,
    expires_at       bigint NOT NULL,
    revoked_at       bigint,
    rotated_to       uuid,
    CONSTRAINT api_keys_hash_size CHECK (octet_length(hash) = 32),
    CONSTRAINT api_keys_name_length CHECK (octet_length(name) BETWEEN 1 AND 100),
    CONSTRAINT api_keys_scopes_known CHECK (
        cardinality(scopes) > 0
        AND scopes <@ ARRAY['seller:read', 'seller:write', 'renter:read', 'renter:write', 'admin'])
);
CREATE INDEX IF NOT EXISTS api_keys_by_organization ON api_keys (organization_id, created_at DESC, id DESC);

CREATE TABLE IF NOT EXISTS enrollment_tokens (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL CONSTRAINT enrollment_tokens_organization_exists REFERENCES organizations,
    host_name        text NOT NULL,
    country          text NOT NULL,
    hash             bytea NOT NULL CONSTRAINT enrollment_tokens_hash_unique UNIQUE,
    created_at       bigint NOT NULL,
    expires_at       bigint NOT NULL,
    used_at          bigint,
    host_id          uuid,
    CONSTRAINT enrollment_tokens_hash_size CHECK (octet_length(hash) = 32),
    CONSTRAINT enrollment_tokens_host_when_used CHECK (host_id IS NULL OR used_at IS NOT NULL)
);

CREATE TABLE IF NOT EXISTS agent_certificates (
    serial_hex   text PRIMARY KEY,
    host_id      uuid NOT NULL,
    fingerprint  text NOT NULL,
    issued_at    bigint NOT NULL,
    expires_at   bigint NOT NULL,
    revoked_at   bigint
);
CREATE INDEX IF NOT EXISTS agent_certificates_by_host ON agent_certificates (host_id);

-- A request makes and revokes its organization's keys and never reads a hash.
GRANT SELECT (id, organization_id, name, prefix, scopes, created_at, expires_at, revoked_at, rotated_to), INSERT,
    UPDATE (name, expires_at, revoked_at, rotated_to) ON api_keys TO fallow_request, fallow_admin;
GRANT SELECT, INSERT ON api_keys TO fallow_auth;
GRANT SELECT (id, organization_id, host_name, country, created_at, expires_at, used_at, host_id), INSERT
    ON enrollment_tokens TO fallow_request, fallow_admin;
GRANT SELECT, UPDATE (used_at, host_id) ON enrollment_tokens TO fallow_auth;
GRANT SELECT, INSERT, UPDATE (revoked_at) ON agent_certificates TO fallow_auth;
GRANT SELECT, UPDATE (revoked_at) ON agent_certificates TO fallow_admin;
