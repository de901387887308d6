-- Telemetry: how much of its cards a lease used, a row for each card and minute, measured by its host. No money, no part of
-- the market's state, and in no journal. Kept for 30 days.
SET LOCAL ROLE fallow_owner;

CREATE TABLE IF NOT EXISTS telemetry_cards (
    lease_id         uuid NOT NULL,
    card_id          uuid NOT NULL,
    organization_id  uuid NOT NULL,
    seller_id        uuid NOT NULL,
    job_id           uuid,
    source           text NOT NULL,
    shared           boolean NOT NULL,
    memory_bytes     bigint,
    cpu_millis       integer,
    last_at          bigint NOT NULL,
    CONSTRAINT telemetry_cards_pkey PRIMARY KEY (lease_id, card_id),
    CONSTRAINT telemetry_cards_source_known CHECK (source IN ('nvml', 'cgroup')),
    CONSTRAINT telemetry_cards_sizes_positive CHECK (memory_bytes > 0 AND cpu_millis > 0)
);
CREATE INDEX IF NOT EXISTS telemetry_cards_by_job ON telemetry_cards (job_id);
CREATE INDEX IF NOT EXISTS telemetry_cards_by_age ON telemetry_cards (last_at);
COMMENT ON COLUMN telemetry_cards.shared IS 'Another lease had a part of the card at some minute.';
COMMENT ON COLUMN telemetry_cards.last_at IS 'The newest of its minutes.';

CREATE TABLE IF NOT EXISTS telemetry_minutes (
    lease_id                      uuid NOT NULL,
    card_id                       uuid NOT NULL,
    at                            bigint NOT NULL,
    organization_id               uuid NOT NULL,
    seller_id                     uuid NOT NULL,
    samples                       integer NOT NULL,
    utilization_thousandths_mean  integer,
    utilization_thousandths_max   integer,
    memory_used_bytes_mean        bigint,
    memory_used_bytes_max         bigint,
    power_milliwatts_mean         integer,
    power_milliwatts_max          integer,
    temperature_celsius_mean      integer,
    temperature_celsius_max       integer,
    CONSTRAINT telemetry_minutes_pkey PRIMARY KEY (lease_id, card_id, at),
    CONSTRAINT telemetry_minutes_whole CHECK (at % 60000 = 0),
    CONSTRAINT telemetry_minutes_within_limits
        CHECK (samples BETWEEN 1 AND 600 AND utilization_thousandths_max <= 1000 AND
               utilization_thousandths_mean BETWEEN 0 AND utilization_thousandths_max AND
               memory_used_bytes_mean BETWEEN 0 AND memory_used_bytes_max AND
               power_milliwatts_mean BETWEEN 0 AND power_milliwatts_max AND
               temperature_celsius_mean <= temperature_celsius_max)
);
CREATE INDEX IF NOT EXISTS telemetry_minutes_by_age ON telemetry_minutes (at);

-- Removes at most rows_max of each table that are older than 30 days; returns how many those were.
CREATE OR REPLACE FUNCTION telemetry_expire(now_ms bigint, rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kept_ms CONSTANT bigint := 30::bigint * 86400000;
    gone bigint;
    cards bigint;
BEGIN
    DELETE FROM telemetry_minutes WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM telemetry_minutes WHERE at < now_ms - kept_ms ORDER BY at LIMIT rows_max));
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM telemetry_cards WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM telemetry_cards WHERE last_at < now_ms - kept_ms ORDER BY last_at LIMIT rows_max));
    GET DIAGNOSTICS cards = ROW_COUNT;
    RETURN gone + cards;
END $$;

GRANT SELECT ON telemetry_cards, telemetry_minutes TO fallow_request, fallow_admin;
GRANT SELECT, INSERT, UPDATE (shared, memory_bytes, cpu_millis, last_at) ON telemetry_cards TO fallow_agent;
GRANT SELECT, INSERT, UPDATE ON telemetry_minutes TO fallow_agent;
GRANT EXECUTE ON FUNCTION telemetry_expire(bigint, integer) TO fallow_engine;

ALTER TABLE telemetry_cards ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON telemetry_cards;
CREATE POLICY all_tenants ON telemetry_cards TO fallow_owner, fallow_admin
    USING (true);
DROP POLICY IF EXISTS tenant ON telemetry_cards;
CREATE POLICY tenant ON telemetry_cards TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization());
DROP POLICY IF EXISTS host ON telemetry_cards;
CREATE POLICY host ON telemetry_cards TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND leases.id = telemetry_cards.lease_id
                     AND leases.organization_id = telemetry_cards.organization_id
                     AND leases.seller_id = telemetry_cards.seller_id));

ALTER TABLE telemetry_minutes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON telemetry_minutes;
CREATE POLICY all_tenants ON telemetry_minutes TO fallow_owner, fallow_admin
    USING (true);
DROP POLICY IF EXISTS tenant ON telemetry_minutes;
CREATE POLICY tenant ON telemetry_minutes TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization());
DROP POLICY IF EXISTS host ON telemetry_minutes;
CREATE POLICY host ON telemetry_minutes TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND leases.id = telemetry_minutes.lease_id
                     AND leases.organization_id = telemetry_minutes.organization_id
                     AND leases.seller_id = telemetry_minutes.seller_id));
