-- Tunnels that renters wait for: which host is to come to which server. A row is of use for seconds; it is how a server
-- that an agent listens to hears of a renter who has asked another one.
SET LOCAL ROLE fallow_owner;

CREATE TABLE IF NOT EXISTS tunnel_head (
    single    boolean PRIMARY KEY DEFAULT true,
    sequence  bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE tunnel_head IS 'One row: the sequence of the last tunnel. Its row lock makes tunnels commit in their order.';
INSERT INTO tunnel_head DEFAULT VALUES ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS tunnels (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL,
    lease_id         uuid NOT NULL,
    host_id          uuid NOT NULL,
    home             text NOT NULL,
    expires_at       bigint NOT NULL,
    sequence         bigint NOT NULL
);
COMMENT ON COLUMN tunnels.home IS 'Host and port at which other servers reach the one where the renter waits.';

-- Numbers a tunnel, and sweeps away those for which nobody can wait any more, so that the table stays small.
CREATE OR REPLACE FUNCTION tunnels_number() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE tunnel_head SET sequence = sequence + 1 RETURNING sequence INTO NEW.sequence;
    DELETE FROM tunnels WHERE expires_at < NEW.expires_at - 60000;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER tunnels_number BEFORE INSERT ON tunnels
    FOR EACH ROW EXECUTE FUNCTION tunnels_number();

GRANT SELECT, INSERT ON tunnels TO fallow_request;
GRANT SELECT ON tunnels TO fallow_agent, fallow_engine;
GRANT SELECT ON tunnel_head TO fallow_engine;

ALTER TABLE tunnels ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON tunnels;
CREATE POLICY all_tenants ON tunnels TO fallow_owner, fallow_engine
    USING (true);
DROP POLICY IF EXISTS tenant ON tunnels;
CREATE POLICY tenant ON tunnels TO fallow_request
    USING (organization_id = fallow_organization())
    WITH CHECK (organization_id = fallow_organization()
                AND EXISTS (SELECT FROM leases
                            WHERE leases.id = tunnels.lease_id AND leases.host_id = tunnels.host_id
                              AND leases.organization_id = tunnels.organization_id));
DROP POLICY IF EXISTS host ON tunnels;
CREATE POLICY host ON tunnels TO fallow_agent
    USING (host_id = fallow_host());
