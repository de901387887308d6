-- Quotes: the prices of a listing beside its ask, and the quote that an order was placed with.
SET LOCAL ROLE fallow_owner;

ALTER TABLE listings
    ADD COLUMN IF NOT EXISTS storage_micros_per_gib_month bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS egress_micros_per_gib bigint NOT NULL DEFAULT 0;
ALTER TABLE listings DROP CONSTRAINT IF EXISTS listings_prices_within_limit;
ALTER TABLE listings ADD CONSTRAINT listings_prices_within_limit
    CHECK (storage_micros_per_gib_month BETWEEN 0 AND 1000000000 AND egress_micros_per_gib BETWEEN 0 AND 1000000000);

ALTER TABLE orders
    ADD COLUMN IF NOT EXISTS quote_id uuid,
    ADD COLUMN IF NOT EXISTS quoted_fee_ppm integer;
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_quote_whole;
ALTER TABLE orders ADD CONSTRAINT orders_quote_whole CHECK ((quote_id IS NULL) = (quoted_fee_ppm IS NULL));
COMMENT ON COLUMN orders.quote_id IS 'The signed quote it was placed with, whose price is its price limit.';
