-- Every order writes a lease, and PostgreSQL reads the text of a table's CHECK conditions again for every statement
-- that writes to it. The long ones become functions, whose bodies it reads once a session, and what a new lease
-- cannot violate yet is decided without arithmetic.
SET LOCAL ROLE fallow_owner;

CREATE OR REPLACE FUNCTION is_lease_reason(reason text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN reason IN (
        'completed', 'command_failed', 'out_of_memory', 'duration_exceeded', 'cancelled_by_renter', 'outbid',
        'reclaimed_by_owner', 'term_reached', 'funds_exhausted', 'host_lost', 'image_pull_failed', 'start_failed',
        'start_timeout', 'host_maintenance', 'policy_revoked', 'temporary_failure', 'unhealthy', 'idle');
END $$;
-- A month has 730 hours; a MiB is 3,515,625 units of the numerator for each micro of a GiB. Of a spot lease the
-- prices are in lease_segments, so that here only its storage and its traffic are bounded.
CREATE OR REPLACE FUNCTION is_lease_sum(numerator numeric, cards_micros_per_hour numeric, is_spot boolean,
                             storage_micros_per_gib_month numeric, storage_bytes bigint, running_ms bigint,
                             egress_micros_per_gib numeric, egress_mib bigint) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    storage numeric := div(storage_micros_per_gib_month * storage_bytes * 1000, 783831531520) * running_ms;
    traffic numeric := egress_micros_per_gib * egress_mib * 3515625;
BEGIN
    IF is_spot THEN
        RETURN numerator >= storage + traffic;
    END IF;
    RETURN numerator = cards_micros_per_hour * running_ms + storage + traffic;
END $$;
CREATE OR REPLACE FUNCTION is_lease_charge(charged_micros bigint, numerator numeric) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN numerator >= 0 AND charged_micros = div(numerator, 3600000000);
END $$;
CREATE OR REPLACE FUNCTION is_lease_fee(fee_micros bigint, charged_micros numeric, fee_ppm integer) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN fee_micros = div(charged_micros * fee_ppm, 1000000);
END $$;
GRANT EXECUTE ON FUNCTION is_lease_reason(text),
    is_lease_sum(numeric, numeric, boolean, numeric, bigint, bigint, numeric, bigint),
    is_lease_charge(bigint, numeric), is_lease_fee(bigint, numeric, integer) TO fallow_engine;

ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_stop_reason_known;
ALTER TABLE leases ADD CONSTRAINT leases_stop_reason_known CHECK (stop_reason IS NULL OR is_lease_reason(stop_reason));
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_end_reason_known;
ALTER TABLE leases ADD CONSTRAINT leases_end_reason_known CHECK (end_reason IS NULL OR is_lease_reason(end_reason));
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_sum_exact;
ALTER TABLE leases ADD CONSTRAINT leases_sum_exact
    CHECK (CASE WHEN running_ms = 0 AND egress_mib = 0 THEN numerator = 0
                ELSE is_lease_sum(numerator, price_micros_per_hour::numeric * thousandths,
                                  spot_floor_micros_per_hour IS NOT NULL, storage_micros_per_gib_month,
                                  storage_bytes, running_ms, egress_micros_per_gib, egress_mib) END);
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_charge_exact;
ALTER TABLE leases ADD CONSTRAINT leases_charge_exact
    CHECK (CASE WHEN numerator = 0 THEN charged_micros = 0 ELSE is_lease_charge(charged_micros, numerator) END);
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_fee_exact;
ALTER TABLE leases ADD CONSTRAINT leases_fee_exact
    CHECK (CASE WHEN charged_micros = 0 THEN fee_micros = 0
                ELSE is_lease_fee(fee_micros, charged_micros, fee_ppm) END);
