-- Traffic is billed by whole MiB sent: an order says how much each of its hosts may send, a lease what that is at
-- its price, and a usage statement what was sent. Leases and reservations from before cost nothing for it.
SET LOCAL ROLE fallow_owner;

ALTER TABLE orders ADD COLUMN IF NOT EXISTS egress_gib bigint NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS egress_micros_per_gib_max bigint;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS overage_micros_max bigint NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS egress_mib_used bigint NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS overage_micros_used bigint NOT NULL DEFAULT 0;
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_traffic_within_limits;
ALTER TABLE orders ADD CONSTRAINT orders_traffic_within_limits
    CHECK (egress_gib BETWEEN 0 AND 1000000 AND egress_micros_per_gib_max BETWEEN 0 AND 1000000000
           AND overage_micros_max BETWEEN 0 AND 1000000000000000
           AND egress_mib_used BETWEEN 0 AND egress_gib * 1024
           AND overage_micros_used BETWEEN 0 AND overage_micros_max);

ALTER TABLE jobs ADD COLUMN IF NOT EXISTS egress_mib_used bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS overage_micros_used bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs DROP CONSTRAINT IF EXISTS jobs_traffic_not_negative;
ALTER TABLE jobs ADD CONSTRAINT jobs_traffic_not_negative CHECK (egress_mib_used >= 0 AND overage_micros_used >= 0);

ALTER TABLE leases ADD COLUMN IF NOT EXISTS egress_micros_per_gib bigint NOT NULL DEFAULT 0;
ALTER TABLE leases ADD COLUMN IF NOT EXISTS egress_mib_max bigint;
ALTER TABLE leases ADD COLUMN IF NOT EXISTS egress_mib bigint NOT NULL DEFAULT 0;
ALTER TABLE leases ADD COLUMN IF NOT EXISTS egress_bytes_claimed bigint NOT NULL DEFAULT 0;
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_traffic_within_limits;
ALTER TABLE leases ADD CONSTRAINT leases_traffic_within_limits
    CHECK (egress_micros_per_gib BETWEEN 0 AND 1000000000 AND egress_mib_max BETWEEN 0 AND 8589934591
           AND egress_mib >= 0 AND egress_mib <= egress_mib_max AND egress_mib <= egress_bytes_claimed / 1048576);
-- What costs nothing has no limit, and nothing else is without one.
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_traffic_limited_where_priced;
ALTER TABLE leases ADD CONSTRAINT leases_traffic_limited_where_priced
    CHECK ((egress_mib_max IS NULL) = (egress_micros_per_gib = 0));
-- A month has 730 hours; a MiB is 3,515,625 units of the numerator for each micro of a GiB. Of a spot lease the
-- prices are in lease_segments, so that here only its storage and its traffic are bounded.
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_sum_exact;
ALTER TABLE leases ADD CONSTRAINT leases_sum_exact
    CHECK (CASE WHEN spot_floor_micros_per_hour IS NULL
                THEN numerator = (price_micros_per_hour::numeric * thousandths
                                  + div(storage_micros_per_gib_month::numeric * storage_bytes * 1000, 783831531520))
                                 * running_ms + egress_micros_per_gib::numeric * egress_mib * 3515625
                ELSE numerator >= div(storage_micros_per_gib_month::numeric * storage_bytes * 1000, 783831531520)
                                  * running_ms + egress_micros_per_gib::numeric * egress_mib * 3515625 END);

ALTER TABLE usage_statements ADD COLUMN IF NOT EXISTS accepted_egress_mib bigint NOT NULL DEFAULT 0;
ALTER TABLE usage_statements DROP CONSTRAINT IF EXISTS usage_statements_traffic_not_negative;
ALTER TABLE usage_statements ADD CONSTRAINT usage_statements_traffic_not_negative CHECK (accepted_egress_mib >= 0);

ALTER TABLE reservations ADD COLUMN IF NOT EXISTS egress_micros_per_gib bigint NOT NULL DEFAULT 0;
ALTER TABLE reservations ADD COLUMN IF NOT EXISTS egress_gib bigint NOT NULL DEFAULT 0;
ALTER TABLE reservations DROP CONSTRAINT IF EXISTS reservations_traffic_within_limits;
ALTER TABLE reservations ADD CONSTRAINT reservations_traffic_within_limits
    CHECK (egress_micros_per_gib BETWEEN 0 AND 1000000000 AND egress_gib BETWEEN 0 AND 1000000);
