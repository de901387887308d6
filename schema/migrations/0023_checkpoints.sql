-- Checkpoints of jobs: what the folder that a job names held at one moment. A manifest names its files' chunks by their
-- SHA-256; a chunk is kept once for each job. Kept while the job lives and for 72 h after its end.
SET LOCAL ROLE fallow_owner;

CREATE TABLE IF NOT EXISTS checkpoint_heads (
    job_id           uuid NOT NULL,
    organization_id  uuid NOT NULL,
    next_number      integer NOT NULL DEFAULT 1,
    stored_bytes     bigint NOT NULL DEFAULT 0,
    problem          text,
    problem_at       bigint,
    CONSTRAINT checkpoint_heads_pkey PRIMARY KEY (job_id),
    CONSTRAINT checkpoint_heads_not_negative CHECK (next_number >= 1 AND stored_bytes >= 0),
    CONSTRAINT checkpoint_heads_problem_dated CHECK ((problem IS NULL) = (problem_at IS NULL))
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS checkpoint_heads_by_organization ON checkpoint_heads (organization_id);

CREATE TABLE IF NOT EXISTS checkpoint_chunks (
    job_id           uuid NOT NULL,
    sha256           text NOT NULL,
    organization_id  uuid NOT NULL,
    bytes            integer NOT NULL,
    data             bytea COMPRESSION lz4 NOT NULL,
    CONSTRAINT checkpoint_chunks_pkey PRIMARY KEY (job_id, sha256),
    CONSTRAINT checkpoint_chunks_sha256_form CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT checkpoint_chunks_size CHECK (bytes BETWEEN 1 AND 1048576 AND bytes = octet_length(data))
);

CREATE TABLE IF NOT EXISTS checkpoints (
    job_id           uuid NOT NULL,
    number           integer NOT NULL,
    organization_id  uuid NOT NULL,
    attempt          integer NOT NULL,
    lease_id         uuid NOT NULL,
    lease_epoch      bigint NOT NULL,
    bytes            bigint NOT NULL,
    entries          integer NOT NULL,
    created_at       bigint NOT NULL,
    document         text NOT NULL,
    chunks           text[] NOT NULL,
    CONSTRAINT checkpoints_pkey PRIMARY KEY (job_id, number),
    CONSTRAINT checkpoints_bytes_within_limit CHECK (bytes BETWEEN 0 AND 4294967296),
    CONSTRAINT checkpoints_entries_within_limit CHECK (entries BETWEEN 0 AND 4096)
);
COMMENT ON COLUMN checkpoints.document IS 'The entries, JSON.';
COMMENT ON COLUMN checkpoints.chunks IS 'Those that the entries name, each once.';

-- Of all of an organization's jobs, also those the asking role cannot see.
CREATE OR REPLACE FUNCTION checkpoint_bytes_held(organization uuid) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(sum(stored_bytes), 0)::bigint FROM checkpoint_heads WHERE organization_id = organization
$$;

-- Removes what is left of at most rows_max jobs that ended 72 h ago; returns how many those were.
CREATE OR REPLACE FUNCTION checkpoints_expire(now_ms bigint, rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kept_ms CONSTANT bigint := 72 * 3600000;
    gone bigint;
BEGIN
    WITH old AS (SELECT h.job_id FROM checkpoint_heads h JOIN jobs j ON j.id = h.job_id
                 WHERE j.finished_at <= now_ms - kept_ms LIMIT rows_max),
         chunks AS (DELETE FROM checkpoint_chunks WHERE job_id IN (SELECT job_id FROM old)),
         manifests AS (DELETE FROM checkpoints WHERE job_id IN (SELECT job_id FROM old))
    DELETE FROM checkpoint_heads WHERE job_id IN (SELECT job_id FROM old);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

GRANT SELECT ON checkpoint_heads, checkpoint_chunks, checkpoints TO fallow_request;
GRANT SELECT ON checkpoint_heads, checkpoints TO fallow_admin;
GRANT SELECT, INSERT, UPDATE (next_number, stored_bytes, problem, problem_at) ON checkpoint_heads TO fallow_agent;
GRANT SELECT, INSERT, DELETE ON checkpoint_chunks, checkpoints TO fallow_agent;
GRANT EXECUTE ON FUNCTION checkpoint_bytes_held(uuid) TO fallow_agent;
GRANT EXECUTE ON FUNCTION checkpoints_expire(bigint, integer) TO fallow_engine;

ALTER TABLE checkpoint_heads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON checkpoint_heads;
CREATE POLICY all_tenants ON checkpoint_heads TO fallow_owner, fallow_admin
    USING (true);
DROP POLICY IF EXISTS tenant ON checkpoint_heads;
CREATE POLICY tenant ON checkpoint_heads TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON checkpoint_heads;
CREATE POLICY host ON checkpoint_heads TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = checkpoint_heads.job_id
                     AND leases.organization_id = checkpoint_heads.organization_id));

ALTER TABLE checkpoint_chunks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON checkpoint_chunks;
CREATE POLICY all_tenants ON checkpoint_chunks TO fallow_owner
    USING (true);
DROP POLICY IF EXISTS tenant ON checkpoint_chunks;
CREATE POLICY tenant ON checkpoint_chunks TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON checkpoint_chunks;
CREATE POLICY host ON checkpoint_chunks TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = checkpoint_chunks.job_id
                     AND leases.organization_id = checkpoint_chunks.organization_id));

ALTER TABLE checkpoints ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON checkpoints;
CREATE POLICY all_tenants ON checkpoints TO fallow_owner, fallow_admin
    USING (true);
DROP POLICY IF EXISTS tenant ON checkpoints;
CREATE POLICY tenant ON checkpoints TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON checkpoints;
CREATE POLICY host ON checkpoints TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = checkpoints.job_id
                     AND leases.organization_id = checkpoints.organization_id));
