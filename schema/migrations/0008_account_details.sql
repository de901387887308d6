-- What the account stores need beyond the first tables: to whom a token is bound, how far a log has come, what an
-- organization's artifacts amount to, and an expiry that leaves nothing behind.
SET LOCAL ROLE fallow_owner;

-- The first use binds a token to a signing key, so that a repeat by the same agent is harmless until it expires.
ALTER TABLE enrollment_tokens ADD COLUMN IF NOT EXISTS signing_key text;
ALTER TABLE enrollment_tokens DROP CONSTRAINT IF EXISTS enrollment_tokens_host_when_used;
ALTER TABLE enrollment_tokens DROP CONSTRAINT IF EXISTS enrollment_tokens_bound_when_used;
ALTER TABLE enrollment_tokens ADD CONSTRAINT enrollment_tokens_bound_when_used
    CHECK (num_nulls(used_at, host_id, signing_key) IN (0, 3));
CREATE INDEX IF NOT EXISTS enrollment_tokens_by_organization ON enrollment_tokens (organization_id, expires_at);
GRANT UPDATE (signing_key) ON enrollment_tokens TO fallow_auth;

-- A certificate is known by its serial number; the authority that signed it is pinned.
ALTER TABLE agent_certificates DROP COLUMN IF EXISTS fingerprint;
ALTER TABLE agent_certificates DROP CONSTRAINT IF EXISTS agent_certificates_serial_form;
ALTER TABLE agent_certificates ADD CONSTRAINT agent_certificates_serial_form CHECK (serial_hex ~ '^[0-9a-f]{1,40}$');

CREATE INDEX IF NOT EXISTS artifacts_by_organization ON artifacts (organization_id);
-- Of all of an organization's artifacts, also those the asking role cannot see.
CREATE OR REPLACE FUNCTION artifacts_held(organization uuid, now_ms bigint, OUT held bigint, OUT held_bytes bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM artifacts
    WHERE organization_id = organization AND expires_at > now_ms
$$;
GRANT EXECUTE ON FUNCTION artifacts_held(uuid, bigint) TO fallow_request, fallow_agent;
CREATE INDEX IF NOT EXISTS job_outputs_by_artifact ON job_outputs (artifact_id);
-- An output that was stated anew replaces the unfinished one.
GRANT UPDATE (artifact_id) ON job_outputs TO fallow_agent;

-- How far the log of an attempt has come, so that an append reads one row and not the log.
CREATE TABLE IF NOT EXISTS job_log_heads (
    job_id           uuid NOT NULL,
    attempt          integer NOT NULL,
    organization_id  uuid NOT NULL,
    next_sequence    bigint NOT NULL,
    bytes            bigint NOT NULL,
    cut              boolean NOT NULL,
    updated_at       bigint NOT NULL,
    CONSTRAINT job_log_heads_pkey PRIMARY KEY (job_id, attempt),
    CONSTRAINT job_log_heads_not_negative CHECK (next_sequence >= 0 AND bytes >= 0)
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS job_log_heads_by_update ON job_log_heads USING brin (updated_at);
ALTER TABLE job_log_heads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON job_log_heads;
CREATE POLICY all_tenants ON job_log_heads TO fallow_owner, fallow_admin
    USING (true);
DROP POLICY IF EXISTS tenant ON job_log_heads;
CREATE POLICY tenant ON job_log_heads TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON job_log_heads;
CREATE POLICY host ON job_log_heads TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = job_log_heads.job_id
                     AND leases.organization_id = job_log_heads.organization_id));
GRANT SELECT ON job_log_heads TO fallow_request, fallow_admin;
GRANT SELECT, INSERT, UPDATE (next_sequence, bytes, cut, updated_at) ON job_log_heads TO fallow_agent;

-- Removes what is past its retention, at most rows_max rows of each kind a call; returns how many are gone. A log's
-- head outlives its lines, so that a late repeat cannot start it anew.
CREATE OR REPLACE FUNCTION fallow_expire(now_ms bigint, rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    day_ms CONSTANT bigint := 86400000;
    gone bigint := 0;
    removed bigint;
BEGIN
    WITH old AS (SELECT id FROM artifacts WHERE expires_at <= now_ms ORDER BY expires_at LIMIT rows_max),
         parts AS (DELETE FROM artifact_parts WHERE artifact_id IN (SELECT id FROM old)),
         outputs AS (DELETE FROM job_outputs WHERE artifact_id IN (SELECT id FROM old))
    DELETE FROM artifacts WHERE id IN (SELECT id FROM old);
    GET DIAGNOSTICS removed = ROW_COUNT;
    gone := gone + removed;
    DELETE FROM job_logs WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM job_logs WHERE at <= now_ms - 14 * day_ms LIMIT rows_max));
    GET DIAGNOSTICS removed = ROW_COUNT;
    gone := gone + removed;
    DELETE FROM job_log_heads WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM job_log_heads WHERE updated_at <= now_ms - 28 * day_ms LIMIT rows_max));
    GET DIAGNOSTICS removed = ROW_COUNT;
    gone := gone + removed;
    DELETE FROM enrollment_tokens WHERE id = ANY (ARRAY(
        SELECT id FROM enrollment_tokens WHERE expires_at <= now_ms - day_ms LIMIT rows_max));
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN gone + removed;
END $$;
