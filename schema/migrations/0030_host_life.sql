-- How a host leaves the market for a while or for good, what it says of its guests' network and storage, and how
-- many starts a renter has had without paying for them.
SET LOCAL ROLE fallow_owner;

ALTER TABLE hosts ADD COLUMN IF NOT EXISTS maintenance_from bigint;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS maintenance_until bigint;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS maintenance_reason text;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS retiring boolean NOT NULL DEFAULT false;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS drained_at bigint;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS guest_network text;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS working_storage text;
ALTER TABLE hosts DROP CONSTRAINT IF EXISTS hosts_maintenance_whole;
ALTER TABLE hosts ADD CONSTRAINT hosts_maintenance_whole
    CHECK (num_nulls(maintenance_from, maintenance_until, maintenance_reason) IN (0, 3));
ALTER TABLE hosts DROP CONSTRAINT IF EXISTS hosts_maintenance_forward;
ALTER TABLE hosts ADD CONSTRAINT hosts_maintenance_forward CHECK (maintenance_from < maintenance_until);
ALTER TABLE hosts DROP CONSTRAINT IF EXISTS hosts_drained_while_leaving;
ALTER TABLE hosts ADD CONSTRAINT hosts_drained_while_leaving
    CHECK (CASE WHEN state = 'draining' THEN true ELSE NOT retiring AND (drained_at IS NULL OR state = 'retired') END);
ALTER TABLE hosts DROP CONSTRAINT IF EXISTS hosts_guest_network_known;
ALTER TABLE hosts ADD CONSTRAINT hosts_guest_network_known CHECK (guest_network IN ('none', 'internet'));
ALTER TABLE hosts DROP CONSTRAINT IF EXISTS hosts_working_storage_known;
ALTER TABLE hosts ADD CONSTRAINT hosts_working_storage_known
    CHECK (working_storage IN ('encrypted', 'wiped', 'memory'));

ALTER TABLE leases ADD COLUMN IF NOT EXISTS maintenance_at bigint;
CREATE INDEX IF NOT EXISTS leases_unpaid_starts ON leases (host_id, ended_at)
    WHERE state = 'ended' AND preparing_at IS NOT NULL AND running_at IS NULL;

ALTER TABLE organizations ADD COLUMN IF NOT EXISTS failed_starts integer NOT NULL DEFAULT 0;
ALTER TABLE organizations ADD COLUMN IF NOT EXISTS failed_starts_since bigint;
ALTER TABLE organizations DROP CONSTRAINT IF EXISTS organizations_failed_starts_dated;
ALTER TABLE organizations ADD CONSTRAINT organizations_failed_starts_dated
    CHECK (failed_starts >= 0 AND (failed_starts = 0 OR failed_starts_since IS NOT NULL));
