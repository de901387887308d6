-- Row-level security, forced on every table that holds a tenant's rows, the owner included. Two kinds of policy:
--   all_tenants  for the roles whose grants already say what they may do
--   tenant       for a request, bound to one organization; host: for an agent, bound to one host
-- A setting that is absent is NULL, which equals nothing: no rows.
SET LOCAL ROLE fallow_owner;


ALTER TABLE organizations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON organizations;
CREATE POLICY all_tenants ON organizations TO fallow_owner, fallow_engine, fallow_admin, fallow_proof, fallow_auth
    USING (true);
DROP POLICY IF EXISTS tenant ON organizations;
CREATE POLICY tenant ON organizations TO fallow_request
    USING (id = fallow_organization());

ALTER TABLE accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON accounts;
CREATE POLICY all_tenants ON accounts TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON accounts;
CREATE POLICY tenant ON accounts TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE transfers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON transfers;
CREATE POLICY all_tenants ON transfers TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON transfers;
CREATE POLICY tenant ON transfers TO fallow_request
    USING (debit_organization_id = fallow_organization() OR credit_organization_id = fallow_organization());

ALTER TABLE hosts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON hosts;
CREATE POLICY all_tenants ON hosts TO fallow_owner, fallow_engine, fallow_admin, fallow_proof, fallow_auth
    USING (true);
DROP POLICY IF EXISTS tenant ON hosts;
CREATE POLICY tenant ON hosts TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON hosts;
CREATE POLICY host ON hosts TO fallow_agent
    USING (id = fallow_host());

ALTER TABLE cards ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON cards;
CREATE POLICY all_tenants ON cards TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON cards;
CREATE POLICY tenant ON cards TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON cards;
CREATE POLICY host ON cards TO fallow_agent
    USING (host_id = fallow_host());

ALTER TABLE listings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON listings;
CREATE POLICY all_tenants ON listings TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON listings;
CREATE POLICY tenant ON listings TO fallow_request
    USING (organization_id = fallow_organization() OR state = 'open');

ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON orders;
CREATE POLICY all_tenants ON orders TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON orders;
CREATE POLICY tenant ON orders TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE leases ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON leases;
CREATE POLICY all_tenants ON leases TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON leases;
CREATE POLICY tenant ON leases TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization());
DROP POLICY IF EXISTS host ON leases;
CREATE POLICY host ON leases TO fallow_agent
    USING (host_id = fallow_host());

ALTER TABLE lease_cards ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON lease_cards;
CREATE POLICY all_tenants ON lease_cards TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON lease_cards;
CREATE POLICY tenant ON lease_cards TO fallow_request
    USING (EXISTS (SELECT FROM leases WHERE leases.id = lease_cards.lease_id));

ALTER TABLE jobs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON jobs;
CREATE POLICY all_tenants ON jobs TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON jobs;
CREATE POLICY tenant ON jobs TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON jobs;
CREATE POLICY host ON jobs TO fallow_agent
    USING (EXISTS (SELECT FROM leases WHERE leases.id = jobs.lease_id));

ALTER TABLE job_specs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON job_specs;
CREATE POLICY all_tenants ON job_specs TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON job_specs;
CREATE POLICY tenant ON job_specs TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON job_specs;
CREATE POLICY host ON job_specs TO fallow_agent
    USING (EXISTS (SELECT FROM jobs WHERE jobs.id = job_specs.job_id));

ALTER TABLE usage_statements ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON usage_statements;
CREATE POLICY all_tenants ON usage_statements TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON usage_statements;
CREATE POLICY tenant ON usage_statements TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization());

ALTER TABLE receipts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON receipts;
CREATE POLICY all_tenants ON receipts TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON receipts;
CREATE POLICY tenant ON receipts TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization());

ALTER TABLE bookings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON bookings;
CREATE POLICY all_tenants ON bookings TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON bookings;
CREATE POLICY tenant ON bookings TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE journal ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON journal;
CREATE POLICY all_tenants ON journal TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
ALTER TABLE journal_0 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON journal_0;
CREATE POLICY all_tenants ON journal_0 TO fallow_owner
    USING (true);

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON idempotency_keys;
CREATE POLICY all_tenants ON idempotency_keys TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON idempotency_keys;
CREATE POLICY tenant ON idempotency_keys TO fallow_request
    USING (organization_id = fallow_organization());
ALTER TABLE idempotency_keys_default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON idempotency_keys_default;
CREATE POLICY all_tenants ON idempotency_keys_default TO fallow_owner
    USING (true);

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON api_keys;
CREATE POLICY all_tenants ON api_keys TO fallow_owner, fallow_admin, fallow_auth
    USING (true);
DROP POLICY IF EXISTS tenant ON api_keys;
CREATE POLICY tenant ON api_keys TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE enrollment_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON enrollment_tokens;
CREATE POLICY all_tenants ON enrollment_tokens TO fallow_owner, fallow_admin, fallow_auth
    USING (true);
DROP POLICY IF EXISTS tenant ON enrollment_tokens;
CREATE POLICY tenant ON enrollment_tokens TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE agent_certificates ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON agent_certificates;
CREATE POLICY all_tenants ON agent_certificates TO fallow_owner, fallow_admin, fallow_auth
    USING (true);

-- A host's agent reaches the files of the organizations it serves at this moment, and no others.

ALTER TABLE artifacts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON artifacts;
CREATE POLICY all_tenants ON artifacts TO fallow_owner, fallow_admin
    USING (true);
DROP POLICY IF EXISTS tenant ON artifacts;
CREATE POLICY tenant ON artifacts TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON artifacts;
CREATE POLICY host ON artifacts TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.organization_id = artifacts.organization_id));

-- The parts of a complete artifact cannot be written again. Which artifacts are in sight is their own policy's say.

ALTER TABLE artifact_parts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON artifact_parts;
CREATE POLICY all_tenants ON artifact_parts TO fallow_owner
    USING (true);
DROP POLICY IF EXISTS tenant ON artifact_parts;
CREATE POLICY tenant ON artifact_parts TO fallow_request
    USING (EXISTS (SELECT FROM artifacts WHERE artifacts.id = artifact_parts.artifact_id))
    WITH CHECK (EXISTS (
        SELECT FROM artifacts WHERE artifacts.id = artifact_parts.artifact_id AND artifacts.state = 'uploading'));
DROP POLICY IF EXISTS host ON artifact_parts;
CREATE POLICY host ON artifact_parts TO fallow_agent
    USING (EXISTS (SELECT FROM artifacts WHERE artifacts.id = artifact_parts.artifact_id))
    WITH CHECK (EXISTS (
        SELECT FROM artifacts WHERE artifacts.id = artifact_parts.artifact_id AND artifacts.state = 'uploading'));


ALTER TABLE job_outputs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON job_outputs;
CREATE POLICY all_tenants ON job_outputs TO fallow_owner, fallow_admin
    USING (true);
DROP POLICY IF EXISTS tenant ON job_outputs;
CREATE POLICY tenant ON job_outputs TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON job_outputs;
CREATE POLICY host ON job_outputs TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.id = job_outputs.lease_id
                     AND leases.organization_id = job_outputs.organization_id));

ALTER TABLE job_logs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON job_logs;
CREATE POLICY all_tenants ON job_logs TO fallow_owner, fallow_admin
    USING (true);
DROP POLICY IF EXISTS tenant ON job_logs;
CREATE POLICY tenant ON job_logs TO fallow_request
    USING (organization_id = fallow_organization());
DROP POLICY IF EXISTS host ON job_logs;
CREATE POLICY host ON job_logs TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = job_logs.job_id
                     AND leases.organization_id = job_logs.organization_id));

-- What anybody who may search sees of a stranger's open listing: these columns of its host and its cards.
CREATE OR REPLACE VIEW listed_hosts WITH (security_barrier) AS
    SELECT id, organization_id, state, verification, country, runtime
    FROM hosts
    WHERE EXISTS (SELECT FROM listings WHERE listings.host_id = hosts.id AND listings.state = 'open');
CREATE OR REPLACE VIEW listed_cards WITH (security_barrier) AS
    SELECT id, host_id, organization_id, product, vendor, device_class, backend, vram_bytes,
           memory_bandwidth_bytes_per_s, fp32_flops, measured_at, state, used
    FROM cards
    WHERE EXISTS (SELECT FROM listings
                  WHERE listings.host_id = cards.host_id AND listings.state = 'open'
                    AND cards.id = ANY (listings.card_ids));
-- A receipt's verifier needs the public key of the host that signed it, and the server's word for that key.
CREATE OR REPLACE VIEW host_keys AS
    SELECT id AS host_id, signing_key, signing_key_certificate, enrolled_at AS registered_at FROM hosts;
GRANT SELECT ON listed_hosts, listed_cards, host_keys TO fallow_request, fallow_admin;
