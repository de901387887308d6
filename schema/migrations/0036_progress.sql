-- What is moved for jobs is seen, and goes on: the progress of leases, and uploads that are found again by their content.
SET LOCAL ROLE fallow_owner;

-- An upload that was broken off is looked for by its content.
CREATE INDEX IF NOT EXISTS artifacts_by_content ON artifacts (organization_id, sha256);

-- How far a lease's host is with what it moves for its job: the image, the inputs, a checkpoint, the outputs. No money, no part
-- of the market's state, and in no journal. One row a lease, removed after the lease's end.
CREATE TABLE IF NOT EXISTS lease_progress (
    lease_id         uuid PRIMARY KEY,
    organization_id  uuid NOT NULL,
    step             text NOT NULL,
    done_bytes       bigint NOT NULL,
    total_bytes      bigint,
    at               bigint NOT NULL,
    CONSTRAINT lease_progress_step_known
        CHECK (step IN ('pulling_image', 'fetching_inputs', 'restoring_checkpoint', 'uploading_outputs')),
    CONSTRAINT lease_progress_within_total CHECK (done_bytes >= 0 AND done_bytes <= total_bytes)
);
COMMENT ON COLUMN lease_progress.total_bytes IS 'NULL while it is not known.';

-- Removes at most rows_max rows of leases that have ended; returns how many those were.
CREATE OR REPLACE FUNCTION progress_expire(rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    DELETE FROM lease_progress WHERE lease_id = ANY (ARRAY(
        SELECT p.lease_id FROM lease_progress p JOIN leases l ON l.id = p.lease_id
        WHERE l.state = 'ended' LIMIT rows_max));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

GRANT SELECT ON lease_progress TO fallow_request;
GRANT SELECT, INSERT, UPDATE (step, done_bytes, total_bytes, at) ON lease_progress TO fallow_agent;
GRANT EXECUTE ON FUNCTION progress_expire(integer) TO fallow_engine;

ALTER TABLE lease_progress ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON lease_progress;
CREATE POLICY all_tenants ON lease_progress TO fallow_owner
    USING (true);
DROP POLICY IF EXISTS tenant ON lease_progress;
CREATE POLICY tenant ON lease_progress TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON lease_progress;
CREATE POLICY host ON lease_progress TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND leases.id = lease_progress.lease_id
                     AND leases.organization_id = lease_progress.organization_id));
