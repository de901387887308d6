-- Working storage is billed by the time that it was reserved: a lease says how much, and at which price.
SET LOCAL ROLE fallow_owner;

ALTER TABLE orders ADD COLUMN IF NOT EXISTS storage_bytes bigint NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS storage_micros_per_gib_month_max bigint;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS stored_gib_max bigint;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS all_in_micros_per_hour bigint;
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_storage_within_limits;
ALTER TABLE orders ADD CONSTRAINT orders_storage_within_limits
    CHECK (storage_bytes BETWEEN 0 AND 17592186044416 AND storage_micros_per_gib_month_max BETWEEN 0 AND 1000000000
           AND stored_gib_max BETWEEN 0 AND 1000000 AND all_in_micros_per_hour >= 0);

ALTER TABLE leases ADD COLUMN IF NOT EXISTS storage_bytes bigint NOT NULL DEFAULT 0;
ALTER TABLE leases ADD COLUMN IF NOT EXISTS storage_micros_per_gib_month bigint NOT NULL DEFAULT 0;
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_storage_within_limits;
ALTER TABLE leases ADD CONSTRAINT leases_storage_within_limits
    CHECK (storage_bytes BETWEEN 0 AND 17592186044416 AND storage_micros_per_gib_month BETWEEN 0 AND 1000000000);
-- A month has 730 hours. Of a spot lease the prices are in lease_segments, so that here only its storage is bounded.
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_sum_exact;
ALTER TABLE leases ADD CONSTRAINT leases_sum_exact
    CHECK (CASE WHEN spot_floor_micros_per_hour IS NULL
                THEN numerator = (price_micros_per_hour::numeric * thousandths
                                  + div(storage_micros_per_gib_month::numeric * storage_bytes * 1000, 783831531520))
                                 * running_ms
                ELSE numerator >= div(storage_micros_per_gib_month::numeric * storage_bytes * 1000, 783831531520)
                                  * running_ms END);

ALTER TABLE reservations ADD COLUMN IF NOT EXISTS storage_micros_per_gib_month bigint NOT NULL DEFAULT 0;
ALTER TABLE reservations ADD COLUMN IF NOT EXISTS stored_gib_max bigint;
ALTER TABLE reservations DROP CONSTRAINT IF EXISTS reservations_storage_within_limits;
ALTER TABLE reservations ADD CONSTRAINT reservations_storage_within_limits
    CHECK (storage_micros_per_gib_month BETWEEN 0 AND 1000000000 AND stored_gib_max BETWEEN 0 AND 1000000);
