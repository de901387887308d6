-- What agents measure of the way between their host and a server, and from which public address a host is heard.
SET LOCAL ROLE fallow_owner;

ALTER TABLE hosts ADD COLUMN IF NOT EXISTS network_up_bytes_per_s bigint;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS network_down_bytes_per_s bigint;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS network_measured_at bigint;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS address text;
ALTER TABLE hosts ADD COLUMN IF NOT EXISTS address_since bigint;
ALTER TABLE hosts DROP CONSTRAINT IF EXISTS hosts_network_whole;
ALTER TABLE hosts ADD CONSTRAINT hosts_network_whole
    CHECK (num_nulls(network_up_bytes_per_s, network_down_bytes_per_s, network_measured_at) IN (0, 3));
ALTER TABLE hosts DROP CONSTRAINT IF EXISTS hosts_address_dated;
ALTER TABLE hosts ADD CONSTRAINT hosts_address_dated CHECK ((address IS NULL) = (address_since IS NULL));
