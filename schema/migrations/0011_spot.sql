-- Spot prices: floors and bids, pools with their price and its history, and what a lease cost when.
SET LOCAL ROLE fallow_owner;

ALTER TABLE listings ADD COLUMN IF NOT EXISTS spot_floor_micros_per_hour bigint
    CONSTRAINT listings_spot_floor_within_limit CHECK (spot_floor_micros_per_hour BETWEEN 0 AND 1000000000000);

ALTER TABLE orders ADD COLUMN IF NOT EXISTS pricing text NOT NULL DEFAULT 'fixed'
    CONSTRAINT orders_pricing_known CHECK (pricing IN ('fixed', 'spot'));
ALTER TABLE orders ADD COLUMN IF NOT EXISTS bid_changed_at bigint;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS promised_card_ids uuid[] NOT NULL DEFAULT '{}';

ALTER TABLE leases ADD COLUMN IF NOT EXISTS spot_floor_micros_per_hour bigint
    CONSTRAINT leases_price_not_below_floor CHECK (price_micros_per_hour >= spot_floor_micros_per_hour);

ALTER TABLE market_settings ADD COLUMN IF NOT EXISTS spot_step_micros_per_hour bigint NOT NULL DEFAULT 10000
    CONSTRAINT market_settings_spot_step_within_limit
        CHECK (spot_step_micros_per_hour BETWEEN 1 AND 1000000000000);

CREATE TABLE IF NOT EXISTS spot_pools (
    id                     uuid PRIMARY KEY,
    name                   text NOT NULL CONSTRAINT spot_pools_name_unique UNIQUE,
    product                text NOT NULL,
    vram_gib               bigint NOT NULL,
    price_micros_per_hour  bigint,
    cards                  integer NOT NULL,
    cards_leased           integer NOT NULL,
    bids                   integer NOT NULL,
    repriced_at            bigint,
    reprice_at             bigint,
    version                bigint NOT NULL,
    CONSTRAINT spot_pools_name_length CHECK (octet_length(name) BETWEEN 1 AND 160),
    CONSTRAINT spot_pools_price_within_limit CHECK (price_micros_per_hour BETWEEN 0 AND 1000000000000),
    CONSTRAINT spot_pools_not_negative CHECK (vram_gib >= 0 AND cards >= 0 AND cards_leased >= 0 AND bids >= 0),
    CONSTRAINT spot_pools_version_positive CHECK (version > 0)
) WITH (fillfactor = 70);

CREATE TABLE IF NOT EXISTS spot_prices (
    pool_id                uuid NOT NULL,
    at                     bigint NOT NULL,
    price_micros_per_hour  bigint,
    CONSTRAINT spot_prices_pkey PRIMARY KEY (pool_id, at),
    CONSTRAINT spot_prices_price_within_limit CHECK (price_micros_per_hour BETWEEN 0 AND 1000000000000)
);
COMMENT ON COLUMN spot_prices.price_micros_per_hour IS 'Of the pool''s cheapest card from then on; null while none was offered.';

-- A spot lease's price from a point of its running time on. It names the bid, so that only the renter sees it.
CREATE TABLE IF NOT EXISTS lease_segments (
    id                     uuid PRIMARY KEY,
    lease_id               uuid NOT NULL,
    organization_id        uuid NOT NULL,
    sequence               bigint NOT NULL,
    from_running_ms        bigint NOT NULL,
    price_micros_per_hour  bigint NOT NULL,
    bid_micros_per_hour    bigint NOT NULL,
    at                     bigint NOT NULL,
    CONSTRAINT lease_segments_in_order UNIQUE (lease_id, sequence),
    CONSTRAINT lease_segments_price_within_bid CHECK (price_micros_per_hour <= bid_micros_per_hour),
    CONSTRAINT lease_segments_price_within_limit CHECK (price_micros_per_hour BETWEEN 0 AND 1000000000000),
    CONSTRAINT lease_segments_not_negative CHECK (sequence > 0 AND from_running_ms >= 0)
);

ALTER TABLE lease_segments ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON lease_segments;
CREATE POLICY all_tenants ON lease_segments TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON lease_segments;
CREATE POLICY tenant ON lease_segments TO fallow_request
    USING (organization_id = fallow_organization());

GRANT SELECT, INSERT, UPDATE ON spot_pools TO fallow_engine;
GRANT SELECT, INSERT ON spot_prices, lease_segments TO fallow_engine;
GRANT SELECT ON spot_pools, spot_prices, lease_segments TO fallow_request, fallow_admin;
GRANT SELECT ON lease_segments TO fallow_proof;
