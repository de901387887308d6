-- What sellers say of their capacity and orders ask of it: parts of a card, weekly windows, who may rent and run
-- what, and orders over several hosts.
-- Parts of a card. What a lease takes of one stands in lease_cards already, and cards_used_within_card bounds their sum.
SET LOCAL ROLE fallow_owner;

ALTER TABLE listings ADD COLUMN IF NOT EXISTS share_min_thousandths integer NOT NULL DEFAULT 1000;
ALTER TABLE listings DROP CONSTRAINT IF EXISTS listings_share_within_card;
ALTER TABLE listings ADD CONSTRAINT listings_share_within_card CHECK (share_min_thousandths BETWEEN 1 AND 1000);
ALTER TABLE listings DROP CONSTRAINT IF EXISTS listings_share_without_bundle;
ALTER TABLE listings ADD CONSTRAINT listings_share_without_bundle
    CHECK (share_min_thousandths = 1000 OR bundle_min = 1);

ALTER TABLE orders ADD COLUMN IF NOT EXISTS thousandths integer NOT NULL DEFAULT 1000;
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_share_within_card;
ALTER TABLE orders ADD CONSTRAINT orders_share_within_card CHECK (thousandths BETWEEN 1 AND 1000);
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_share_of_one_card;
ALTER TABLE orders ADD CONSTRAINT orders_share_of_one_card CHECK (thousandths = 1000 OR count = 1);

ALTER TABLE listings ADD COLUMN IF NOT EXISTS windows text[] NOT NULL DEFAULT '{}';
ALTER TABLE listings ADD COLUMN IF NOT EXISTS windows_utc_offset_minutes integer NOT NULL DEFAULT 0;
ALTER TABLE listings ADD COLUMN IF NOT EXISTS renters_allowed uuid[] NOT NULL DEFAULT '{}';
ALTER TABLE listings ADD COLUMN IF NOT EXISTS renters_blocked uuid[] NOT NULL DEFAULT '{}';
ALTER TABLE listings ADD COLUMN IF NOT EXISTS images_allowed text[] NOT NULL DEFAULT '{}';
ALTER TABLE listings DROP CONSTRAINT IF EXISTS listings_lists_within_limits;
ALTER TABLE listings ADD CONSTRAINT listings_lists_within_limits
    CHECK (cardinality(windows) <= 28 AND cardinality(renters_allowed) <= 256 AND cardinality(renters_blocked) <= 256
           AND cardinality(images_allowed) <= 64 AND windows_utc_offset_minutes BETWEEN -840 AND 840);

-- An order over several hosts has a lease, and a job if it has any, for each of them.
ALTER TABLE orders ADD COLUMN IF NOT EXISTS hosts integer NOT NULL DEFAULT 1;
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_hosts_within_limit;
ALTER TABLE orders ADD CONSTRAINT orders_hosts_within_limit
    CHECK (hosts BETWEEN 1 AND 16 AND (hosts = 1 OR thousandths = 1000));
ALTER TABLE leases ADD COLUMN IF NOT EXISTS ends_by bigint;
ALTER TABLE leases ADD COLUMN IF NOT EXISTS rank integer NOT NULL DEFAULT 0;
ALTER TABLE leases ADD COLUMN IF NOT EXISTS hosts integer NOT NULL DEFAULT 1;
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_rank_within_hosts;
ALTER TABLE leases ADD CONSTRAINT leases_rank_within_hosts CHECK (rank >= 0 AND rank < hosts AND hosts <= 16);
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS rank integer NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS hosts integer NOT NULL DEFAULT 1;
ALTER TABLE jobs DROP CONSTRAINT IF EXISTS jobs_rank_within_hosts;
ALTER TABLE jobs ADD CONSTRAINT jobs_rank_within_hosts CHECK (rank >= 0 AND rank < hosts AND hosts <= 16);
