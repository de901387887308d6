-- What agents read from the driver and the kernel besides identity and capacity. All may be unknown.
SET LOCAL ROLE fallow_owner;

ALTER TABLE hosts ADD COLUMN IF NOT EXISTS cpu_architecture text;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS disk_bytes bigint;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS cuda_version text;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS compute_capability text;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS pcie_generation integer;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS pcie_width integer;
ALTER TABLE cards ADD COLUMN IF NOT EXISTS power_limit_watts integer;

-- The engine updates the columns it may one by one: never used, which a trigger moves.
GRANT INSERT (cuda_version, compute_capability, pcie_generation, pcie_width, power_limit_watts),
      UPDATE (cuda_version, compute_capability, pcie_generation, pcie_width, power_limit_watts)
    ON cards TO fallow_engine;
