-- Which hosts offer gangs a private network, which orders need one, and what their hosts tell each other of its ends.
SET LOCAL ROLE fallow_owner;

ALTER TABLE hosts ADD COLUMN IF NOT EXISTS gang_network boolean;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS gang_network boolean NOT NULL DEFAULT false;
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_gang_network_of_gang;
ALTER TABLE orders ADD CONSTRAINT orders_gang_network_of_gang CHECK (NOT gang_network OR hosts > 1);

-- The end of a gang's private network at each of its hosts, from the moment that its container waits for the others. No
-- money, no part of the market's state, and in no journal. A row is never changed, and of use until all have started.
CREATE TABLE IF NOT EXISTS gang_members (
    lease_id         uuid PRIMARY KEY,
    order_id         uuid NOT NULL,
    rank             integer NOT NULL,
    organization_id  uuid NOT NULL,
    host_id          uuid NOT NULL,
    public_key       text NOT NULL,
    endpoint         text NOT NULL,
    told_at          bigint NOT NULL,
    CONSTRAINT gang_members_public_key_form CHECK (public_key ~ '^[A-Za-z0-9+/]{43}=$'),
    CONSTRAINT gang_members_endpoint_length CHECK (octet_length(endpoint) BETWEEN 1 AND 64)
);
CREATE INDEX IF NOT EXISTS gang_members_by_order ON gang_members (order_id);
CREATE INDEX IF NOT EXISTS gang_members_by_age ON gang_members (told_at);
COMMENT ON COLUMN gang_members.public_key IS 'WireGuard''s, in base64.';
COMMENT ON COLUMN gang_members.endpoint IS 'Address and UDP port at which the host is reached for it.';

-- Sweeps away what nobody waits for any more, so that the table stays small: no start takes a day.
CREATE OR REPLACE FUNCTION gang_members_sweep() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM gang_members WHERE told_at < NEW.told_at - 86400000;
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS gang_members_sweep ON gang_members;
CREATE TRIGGER gang_members_sweep BEFORE INSERT ON gang_members
    FOR EACH ROW EXECUTE FUNCTION gang_members_sweep();

GRANT SELECT, INSERT ON gang_members TO fallow_agent;

ALTER TABLE gang_members ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON gang_members;
CREATE POLICY all_tenants ON gang_members TO fallow_owner
    USING (true);
-- A host writes its own end, and reads those of the gangs that it is in.
DROP POLICY IF EXISTS host ON gang_members;
CREATE POLICY host ON gang_members TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.order_id = gang_members.order_id
                     AND leases.organization_id = gang_members.organization_id))
    WITH CHECK (host_id = fallow_host()
                AND EXISTS (SELECT FROM leases
                            WHERE leases.host_id = fallow_host() AND NOT leases.released
                              AND leases.id = gang_members.lease_id AND leases.order_id = gang_members.order_id
                              AND leases.rank = gang_members.rank
                              AND leases.organization_id = gang_members.organization_id));
