-- What agents say and measure of hosts and cards beyond identity and memory, what is known of each host's
-- leases that have ended, and whether an order needs linked cards.
SET LOCAL ROLE fallow_owner;

ALTER TABLE hosts ADD COLUMN IF NOT EXISTS cpu_model text;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS cpu_clock_mhz integer;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS rack text;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS disk_write_bytes_per_s bigint;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS disk_read_bytes_per_s bigint;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS disk_measured_at bigint;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS delivered_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS lost_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS reclaimed_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS start_failed_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS clipped_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE hosts DROP CONSTRAINT IF EXISTS hosts_record_not_negative;
ALTER TABLE hosts ADD CONSTRAINT hosts_record_not_negative
    CHECK (least(delivered_ms, lost_ms, reclaimed_ms, start_failed_ms, clipped_ms) >= 0);
ALTER TABLE hosts DROP CONSTRAINT IF EXISTS hosts_disk_whole;
ALTER TABLE hosts ADD CONSTRAINT hosts_disk_whole
    CHECK (num_nulls(disk_write_bytes_per_s, disk_read_bytes_per_s, disk_measured_at) IN (0, 3));

ALTER TABLE cards ADD COLUMN IF NOT EXISTS measured_fp16_flops bigint;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS to_device_bytes_per_s bigint;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS from_device_bytes_per_s bigint;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS clock_mhz integer;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS ecc boolean;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS ecc_errors bigint;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS nvlink_links integer;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS nvlink_bytes_per_s bigint;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS nvlink_group integer;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS mig_profile text;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS mig_parent text;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS verification text NOT NULL DEFAULT 'unverified';
ALTER TABLE cards ADD COLUMN IF NOT EXISTS refusal text;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS verified_at bigint;
ALTER TABLE cards DROP CONSTRAINT IF EXISTS cards_verification_known;
ALTER TABLE cards ADD CONSTRAINT cards_verification_known
    CHECK (verification IN ('unverified', 'verified', 'refused'));
ALTER TABLE cards DROP CONSTRAINT IF EXISTS cards_backend_known;
ALTER TABLE cards ADD CONSTRAINT cards_backend_known CHECK (backend IN ('nvml', 'opencl', 'amdgpu'));

-- The engine updates the columns it may one by one: never used, which a trigger moves.
GRANT INSERT (measured_fp16_flops, to_device_bytes_per_s, from_device_bytes_per_s, clock_mhz, ecc, ecc_errors,
              nvlink_links, nvlink_bytes_per_s, nvlink_group, mig_profile, mig_parent, verification, refusal,
              verified_at),
      UPDATE (measured_fp16_flops, to_device_bytes_per_s, from_device_bytes_per_s, clock_mhz, ecc, ecc_errors,
              nvlink_links, nvlink_bytes_per_s, nvlink_group, mig_profile, mig_parent, verification, refusal,
              verified_at)
    ON cards TO fallow_engine;

ALTER TABLE orders ADD COLUMN IF NOT EXISTS nvlink text NOT NULL DEFAULT 'prefer';
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_nvlink_known;
ALTER TABLE orders ADD CONSTRAINT orders_nvlink_known CHECK (nvlink IN ('prefer', 'require'));
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_chosen_by_known;
ALTER TABLE leases ADD CONSTRAINT leases_chosen_by_known
    CHECK (chosen_by IN ('named', 'price', 'fragmentation', 'lowest_id', 'nvlink', 'rack'));

-- Renters see of a host that is offered how far it can be relied on, and from what that follows.
CREATE OR REPLACE VIEW listed_host_records WITH (security_barrier) AS
    SELECT id, delivered_ms, lost_ms, reclaimed_ms, start_failed_ms, clipped_ms
    FROM hosts
    WHERE EXISTS (SELECT FROM listings WHERE listings.host_id = hosts.id AND listings.state = 'open');
GRANT SELECT ON listed_host_records TO fallow_request, fallow_admin;
