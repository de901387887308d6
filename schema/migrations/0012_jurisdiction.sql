-- The jurisdiction policy: its versions, the operator's approvals, and what it decided, on orders and leases.
SET LOCAL ROLE fallow_owner;

ALTER TABLE orders ADD COLUMN IF NOT EXISTS end_use text;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS approved boolean NOT NULL DEFAULT false;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS policy_version bigint;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS policy_rule text;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS policy_effect text;
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_reason_known;
ALTER TABLE orders ADD CONSTRAINT orders_reason_known CHECK (reason IN (
    'cancelled_by_renter', 'term_reached', 'policy_revoked', 'job_finished', 'policy_denied', 'approval_needed'));
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_end_use_known;
ALTER TABLE orders ADD CONSTRAINT orders_end_use_known CHECK (end_use IN (
    'ai_training', 'ai_inference', 'rendering', 'simulation', 'research', 'military', 'other'));
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_policy_effect_known;
ALTER TABLE orders ADD CONSTRAINT orders_policy_effect_known
    CHECK (policy_effect IN ('allow', 'deny', 'needs_approval'));
ALTER TABLE leases ADD COLUMN IF NOT EXISTS policy_version bigint;
ALTER TABLE leases ADD COLUMN IF NOT EXISTS policy_rule text;

CREATE TABLE IF NOT EXISTS policies (
    version     bigint PRIMARY KEY,
    text        text NOT NULL,
    created_by  text NOT NULL,
    created_at  bigint NOT NULL,
    CONSTRAINT policies_version_positive CHECK (version > 0),
    CONSTRAINT policies_text_length CHECK (octet_length(text) <= 65536)
);
COMMENT ON TABLE policies IS 'Versions of the jurisdiction policy; the newest holds. Without one, that of the server.';

CREATE TABLE IF NOT EXISTS policy_approvals (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL CONSTRAINT policy_approvals_organization_exists REFERENCES organizations,
    model            text NOT NULL,
    note             text NOT NULL,
    created_by       text NOT NULL,
    created_at       bigint NOT NULL,
    CONSTRAINT policy_approvals_once UNIQUE (organization_id, model)
);

GRANT SELECT, INSERT ON policies, policy_approvals TO fallow_engine;
GRANT DELETE ON policy_approvals TO fallow_engine;
GRANT SELECT ON policies, policy_approvals TO fallow_admin;
GRANT SELECT ON policy_approvals TO fallow_request;

ALTER TABLE policy_approvals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON policy_approvals;
CREATE POLICY all_tenants ON policy_approvals TO fallow_owner, fallow_engine, fallow_admin
    USING (true);
DROP POLICY IF EXISTS tenant ON policy_approvals;
CREATE POLICY tenant ON policy_approvals TO fallow_request
    USING (organization_id = fallow_organization());
