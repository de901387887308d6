-- Secrets of organizations; and the ends that a job can ask for: tried again, unhealthy, idle.
SET LOCAL ROLE fallow_owner;

CREATE TABLE IF NOT EXISTS secrets (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL CONSTRAINT secrets_organization_exists REFERENCES organizations,
    name             text NOT NULL,
    version          bigint NOT NULL,
    created_at       bigint NOT NULL,
    updated_at       bigint NOT NULL,
    key_id           text NOT NULL,
    wrapped_key      bytea NOT NULL,
    sealed           bytea NOT NULL,
    CONSTRAINT secrets_name_form CHECK (name ~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$'),
    CONSTRAINT secrets_version_positive CHECK (version > 0),
    CONSTRAINT secrets_sizes CHECK (octet_length(wrapped_key) = 60 AND octet_length(sealed) BETWEEN 29 AND 32796),
    CONSTRAINT secrets_name_once UNIQUE (organization_id, name)
);
COMMENT ON TABLE secrets IS 'Values are sealed (AES-256-GCM) under a key of their own, that one under a key that is not in the database.';
CREATE INDEX IF NOT EXISTS secrets_by_organization ON secrets (organization_id, created_at DESC, id DESC);

-- A request writes a value and cannot read one.
GRANT SELECT (id, organization_id, name, version, created_at, updated_at), INSERT, DELETE,
      UPDATE (version, updated_at, key_id, wrapped_key, sealed) ON secrets TO fallow_request;
GRANT SELECT, UPDATE (key_id, wrapped_key) ON secrets TO fallow_engine;
GRANT SELECT ON secrets TO fallow_agent;

ALTER TABLE secrets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON secrets;
CREATE POLICY all_tenants ON secrets TO fallow_owner, fallow_engine
    USING (true);
DROP POLICY IF EXISTS tenant ON secrets;
CREATE POLICY tenant ON secrets TO fallow_request
    USING (organization_id = fallow_organization());
-- Only what the job names that the host is preparing at this moment.
DROP POLICY IF EXISTS host ON secrets;
CREATE POLICY host ON secrets TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   JOIN jobs ON jobs.lease_id = leases.id
                   JOIN job_specs ON job_specs.job_id = jobs.id
                   WHERE leases.host_id = fallow_host() AND leases.state = 'preparing'
                     AND leases.organization_id = secrets.organization_id
                     AND (job_specs.document::jsonb -> 'secrets') ? secrets.name));

ALTER TABLE jobs DROP CONSTRAINT IF EXISTS jobs_reason_known;
ALTER TABLE jobs ADD CONSTRAINT jobs_reason_known CHECK (reason IN (
    'completed', 'command_failed', 'out_of_memory', 'duration_exceeded', 'cancelled_by_renter', 'outbid',
    'reclaimed_by_owner', 'term_reached', 'funds_exhausted', 'host_lost', 'image_pull_failed', 'start_failed',
    'start_timeout', 'host_maintenance', 'policy_revoked', 'temporary_failure', 'unhealthy', 'idle'));
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_stop_reason_known;
ALTER TABLE leases ADD CONSTRAINT leases_stop_reason_known CHECK (stop_reason IN (
    'completed', 'command_failed', 'out_of_memory', 'duration_exceeded', 'cancelled_by_renter', 'outbid',
    'reclaimed_by_owner', 'term_reached', 'funds_exhausted', 'host_lost', 'image_pull_failed', 'start_failed',
    'start_timeout', 'host_maintenance', 'policy_revoked', 'temporary_failure', 'unhealthy', 'idle'));
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_end_reason_known;
ALTER TABLE leases ADD CONSTRAINT leases_end_reason_known CHECK (end_reason IN (
    'completed', 'command_failed', 'out_of_memory', 'duration_exceeded', 'cancelled_by_renter', 'outbid',
    'reclaimed_by_owner', 'term_reached', 'funds_exhausted', 'host_lost', 'image_pull_failed', 'start_failed',
    'start_timeout', 'host_maintenance', 'policy_revoked', 'temporary_failure', 'unhealthy', 'idle'));
