-- Roles and what every other migration stands on. Roles belong to the cluster, so each is made only where missing.
--
--   fallow_owner    owns every object; nobody logs in as it and no application role is a member of it
--   fallow_engine   the single writer: market tables of all tenants, the journal
--   fallow_request  one request of one organization: SET LOCAL fallow.organization; sees nothing while that is unset
--   fallow_admin    the operator: reads every tenant, writes API keys
--   fallow_auth     resolves keys, enrolment tokens and certificates to an organization or a host
--   fallow_agent    one host's agent: SET LOCAL fallow.host; sees nothing while that is unset
--   fallow_proof    reads what the ledger proof reads
--   fallow          the login of fallowd: has no rights of its own (NOINHERIT), takes one of the roles above
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['fallow_owner', 'fallow_engine', 'fallow_request', 'fallow_admin', 'fallow_auth',
                                'fallow_agent', 'fallow_proof'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', name);
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fallow') THEN
        CREATE ROLE fallow LOGIN NOINHERIT;
    END IF;
    -- Where the migrating role is not a superuser it must become a member to act as the owner.
    IF NOT pg_has_role(current_user, 'fallow_owner', 'MEMBER') THEN
        EXECUTE format('GRANT fallow_owner TO %I', current_user);
    END IF;
END $$;
GRANT fallow_engine, fallow_request, fallow_admin, fallow_auth, fallow_agent, fallow_proof TO fallow;

-- Equality of plain types inside a GiST exclusion constraint, for bookings.
CREATE EXTENSION IF NOT EXISTS btree_gist;

ALTER SCHEMA public OWNER TO fallow_owner;
SET LOCAL ROLE fallow_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public
    TO fallow_engine, fallow_request, fallow_admin, fallow_auth, fallow_agent, fallow_proof;
-- No function is for everybody: each names who may call it.
ALTER DEFAULT PRIVILEGES FOR ROLE fallow_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
COMMENT ON SCHEMA public IS
    'Fallow. A bigint column named at or *_at, or ending in _deadline, _until, _from or _since, holds milliseconds '
    'since 1970-01-01T00:00:00Z; *_ms a span in milliseconds; *_micros an amount in millionths of the currency.';

CREATE TABLE IF NOT EXISTS schema_version (
    version     integer PRIMARY KEY,
    name        text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE schema_version IS 'One row for each migration applied.';
GRANT SELECT ON schema_version
    TO fallow_engine, fallow_request, fallow_admin, fallow_auth, fallow_agent, fallow_proof;

-- The organization a request is bound to, or NULL, which no row equals: unset means nothing is visible.
CREATE OR REPLACE FUNCTION fallow_organization() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('fallow.organization', true), '')::uuid;
CREATE OR REPLACE FUNCTION fallow_host() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('fallow.host', true), '')::uuid;
GRANT EXECUTE ON FUNCTION fallow_organization() TO fallow_request;
GRANT EXECUTE ON FUNCTION fallow_host() TO fallow_agent;
