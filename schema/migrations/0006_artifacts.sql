-- Files in and out of jobs, and their logs. Kept until expires_at (72 h after the last change), logs for 14 days;
-- fallow_expire() removes what is past that.
SET LOCAL ROLE fallow_owner;

CREATE TABLE IF NOT EXISTS artifacts (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL,
    name             text NOT NULL,
    bytes            bigint NOT NULL,
    sha256           text NOT NULL,
    state            text NOT NULL,
    parts_received   integer NOT NULL DEFAULT 0,
    created_at       bigint NOT NULL,
    expires_at       bigint NOT NULL,
    CONSTRAINT artifacts_state_known CHECK (state IN ('uploading', 'complete')),
    CONSTRAINT artifacts_bytes_within_limit CHECK (bytes BETWEEN 0 AND 268435456),
    CONSTRAINT artifacts_sha256_form CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT artifacts_parts_not_negative CHECK (parts_received >= 0)
);
CREATE INDEX IF NOT EXISTS artifacts_by_expiry ON artifacts (expires_at);

CREATE TABLE IF NOT EXISTS artifact_parts (
    artifact_id  uuid NOT NULL,
    part         integer NOT NULL,
    data         bytea COMPRESSION lz4 NOT NULL,
    CONSTRAINT artifact_parts_pkey PRIMARY KEY (artifact_id, part),
    CONSTRAINT artifact_parts_number CHECK (part BETWEEN 0 AND 255),
    CONSTRAINT artifact_parts_size CHECK (octet_length(data) BETWEEN 1 AND 1048576)
);

CREATE TABLE IF NOT EXISTS job_outputs (
    job_id           uuid NOT NULL,
    attempt          integer NOT NULL,
    lease_id         uuid NOT NULL,
    path             text NOT NULL,
    artifact_id      uuid NOT NULL,
    organization_id  uuid NOT NULL,
    CONSTRAINT job_outputs_pkey PRIMARY KEY (job_id, attempt, path)
);

CREATE TABLE IF NOT EXISTS job_logs (
    job_id           uuid NOT NULL,
    attempt          integer NOT NULL,
    sequence         bigint NOT NULL,
    stream           text NOT NULL,
    at               bigint NOT NULL,
    data             bytea COMPRESSION lz4 NOT NULL,
    organization_id  uuid NOT NULL,
    CONSTRAINT job_logs_pkey PRIMARY KEY (job_id, attempt, sequence),
    CONSTRAINT job_logs_stream_known CHECK (stream IN ('stdout', 'stderr')),
    CONSTRAINT job_logs_size CHECK (octet_length(data) <= 65536)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
-- Rows arrive in the order of time, so a block range index finds the old ones and costs an insert nothing.
CREATE INDEX IF NOT EXISTS job_logs_by_time ON job_logs USING brin (at);

-- Removes what is past its retention, a bounded number of rows a call; returns how many are gone.
CREATE OR REPLACE FUNCTION fallow_expire(now_ms bigint, rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    logs_kept_ms CONSTANT bigint := 14 * 86400000::bigint;
    gone bigint := 0;
    removed bigint;
BEGIN
    WITH old AS (SELECT id FROM artifacts WHERE expires_at < now_ms ORDER BY expires_at LIMIT rows_max),
         parts AS (DELETE FROM artifact_parts WHERE artifact_id IN (SELECT id FROM old))
    DELETE FROM artifacts WHERE id IN (SELECT id FROM old);
    GET DIAGNOSTICS removed = ROW_COUNT;
    gone := gone + removed;
    DELETE FROM job_logs WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM job_logs WHERE at < now_ms - logs_kept_ms LIMIT rows_max));
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN gone + removed;
END $$;

GRANT SELECT, INSERT, UPDATE (state, parts_received, expires_at) ON artifacts TO fallow_request, fallow_agent;
GRANT SELECT, INSERT, UPDATE (data) ON artifact_parts TO fallow_request, fallow_agent;
GRANT SELECT ON job_outputs, job_logs TO fallow_request;
GRANT SELECT, INSERT ON job_outputs, job_logs TO fallow_agent;
GRANT SELECT ON artifacts, job_outputs, job_logs TO fallow_admin;
GRANT EXECUTE ON FUNCTION fallow_expire(bigint, integer) TO fallow_engine;
