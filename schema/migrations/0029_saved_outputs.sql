-- Outputs that are saved while their job runs: chunks named by their SHA-256, kept once for each job, of which the parts of
-- an output's artifact are made. So what has not changed is neither sent nor stored again, and an output is an artifact like any.
SET LOCAL ROLE fallow_owner;

CREATE TABLE IF NOT EXISTS output_chunks (
    job_id           uuid NOT NULL,
    sha256           text NOT NULL,
    organization_id  uuid NOT NULL,
    bytes            integer NOT NULL,
    data             bytea COMPRESSION lz4 NOT NULL,
    CONSTRAINT output_chunks_pkey PRIMARY KEY (job_id, sha256),
    CONSTRAINT output_chunks_sha256_form CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT output_chunks_size CHECK (bytes BETWEEN 1 AND 1048576 AND bytes = octet_length(data))
);
CREATE INDEX IF NOT EXISTS output_chunks_by_organization ON output_chunks (organization_id);

CREATE TABLE IF NOT EXISTS output_heads (
    job_id           uuid NOT NULL,
    attempt          integer NOT NULL,
    organization_id  uuid NOT NULL,
    lease_id         uuid NOT NULL,
    sequence         bigint NOT NULL DEFAULT 0,
    saved_at         bigint,
    CONSTRAINT output_heads_pkey PRIMARY KEY (job_id, attempt),
    CONSTRAINT output_heads_sequence_not_negative CHECK (sequence >= 0)
);
COMMENT ON COLUMN output_heads.sequence IS 'Of the last upload: an older one that arrives late changes nothing.';

ALTER TABLE artifact_parts ALTER COLUMN data DROP NOT NULL,
    ADD COLUMN IF NOT EXISTS chunk_job_id uuid,
    ADD COLUMN IF NOT EXISTS chunk_sha256 text;
ALTER TABLE artifact_parts DROP CONSTRAINT IF EXISTS artifact_parts_one_source;
ALTER TABLE artifact_parts ADD CONSTRAINT artifact_parts_one_source
    CHECK ((data IS NULL) = (chunk_sha256 IS NOT NULL) AND (chunk_job_id IS NULL) = (chunk_sha256 IS NULL));
CREATE INDEX IF NOT EXISTS artifact_parts_by_chunk ON artifact_parts (chunk_job_id, chunk_sha256) WHERE chunk_job_id IS NOT NULL;

-- Of all of an organization's jobs, also those the asking role cannot see.
CREATE OR REPLACE FUNCTION output_bytes_held(organization uuid) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(sum(bytes), 0)::bigint FROM output_chunks WHERE organization_id = organization
$$;

-- Removes a job's chunks that are neither wanted nor part of an artifact, of whichever attempt.
CREATE OR REPLACE FUNCTION output_chunks_drop(job uuid, wanted text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM output_chunks c WHERE c.job_id = job AND NOT c.sha256 = ANY (wanted)
        AND NOT EXISTS (SELECT FROM artifact_parts p WHERE p.chunk_job_id = c.job_id AND p.chunk_sha256 = c.sha256)
$$;

-- Gives artifacts that are to outlive their job octets of their own.
CREATE OR REPLACE FUNCTION artifacts_detach(artifacts uuid[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE artifact_parts p SET data = c.data, chunk_job_id = NULL, chunk_sha256 = NULL
    FROM output_chunks c
    WHERE p.artifact_id = ANY (artifacts) AND c.job_id = p.chunk_job_id AND c.sha256 = p.chunk_sha256
$$;

-- Removes what is left of at most rows_max ended jobs whose outputs have all ended; returns how many those were.
CREATE OR REPLACE FUNCTION outputs_expire(now_ms bigint, rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kept_ms CONSTANT bigint := 72 * 3600000;
    gone bigint;
BEGIN
    WITH old AS (SELECT h.job_id FROM output_heads h JOIN jobs j ON j.id = h.job_id
                 WHERE j.finished_at <= now_ms - kept_ms
                   AND NOT EXISTS (SELECT FROM artifact_parts p WHERE p.chunk_job_id = h.job_id) LIMIT rows_max),
         chunks AS (DELETE FROM output_chunks WHERE job_id IN (SELECT job_id FROM old))
    DELETE FROM output_heads WHERE job_id IN (SELECT job_id FROM old);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

GRANT SELECT ON output_chunks, output_heads TO fallow_request;
GRANT SELECT ON output_heads TO fallow_admin;
GRANT SELECT, INSERT ON output_chunks TO fallow_agent;
GRANT SELECT, INSERT, UPDATE (sequence, saved_at) ON output_heads TO fallow_agent;
GRANT EXECUTE ON FUNCTION output_bytes_held(uuid) TO fallow_agent;
GRANT EXECUTE ON FUNCTION output_chunks_drop(uuid, text[]) TO fallow_agent;
GRANT EXECUTE ON FUNCTION artifacts_detach(uuid[]) TO fallow_request;
GRANT EXECUTE ON FUNCTION outputs_expire(bigint, integer) TO fallow_engine;

ALTER TABLE output_chunks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON output_chunks;
CREATE POLICY all_tenants ON output_chunks TO fallow_owner
    USING (true);
DROP POLICY IF EXISTS tenant ON output_chunks;
CREATE POLICY tenant ON output_chunks TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON output_chunks;
CREATE POLICY host ON output_chunks TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = output_chunks.job_id
                     AND leases.organization_id = output_chunks.organization_id));

ALTER TABLE output_heads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON output_heads;
CREATE POLICY all_tenants ON output_heads TO fallow_owner, fallow_admin
    USING (true);
DROP POLICY IF EXISTS tenant ON output_heads;
CREATE POLICY tenant ON output_heads TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON output_heads;
CREATE POLICY host ON output_heads TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = output_heads.job_id
                     AND leases.organization_id = output_heads.organization_id));
