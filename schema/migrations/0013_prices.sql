-- What the market paid and how much of it was used: candles for each model and memory size, and how far they reach.
SET LOCAL ROLE fallow_owner;

CREATE TABLE IF NOT EXISTS price_candles (
    market                    text NOT NULL,
    model                     text NOT NULL,
    vram_gib                  integer NOT NULL,
    span                      text NOT NULL,
    start_at                  bigint NOT NULL,
    open_micros_per_hour      bigint,
    high_micros_per_hour      bigint,
    low_micros_per_hour       bigint,
    close_micros_per_hour     bigint,
    trades                    bigint NOT NULL,
    thousandths               bigint NOT NULL,
    notional                  numeric(40, 0) NOT NULL,
    best_ask_micros_per_hour  bigint,
    samples                   bigint NOT NULL,
    listed_thousandths        bigint NOT NULL,
    used_thousandths          bigint NOT NULL,
    PRIMARY KEY (market, model, vram_gib, span, start_at),
    CONSTRAINT price_candles_span_known CHECK (span IN ('minute', 'hour', 'day')),
    CONSTRAINT price_candles_prices_with_trades CHECK ((trades > 0) = (open_micros_per_hour IS NOT NULL)),
    CONSTRAINT price_candles_prices_ordered
        CHECK (low_micros_per_hour <= high_micros_per_hour AND low_micros_per_hour >= 0),
    CONSTRAINT price_candles_used_of_listed CHECK (used_thousandths BETWEEN 0 AND listed_thousandths)
);
CREATE INDEX IF NOT EXISTS price_candles_by_start ON price_candles (span, start_at);
COMMENT ON TABLE price_candles IS
    'Made from leases and listings once a minute. Minutes are kept 14 days, hours 400 days, days for ever.';

CREATE TABLE IF NOT EXISTS price_progress (
    market  text PRIMARY KEY,
    until   bigint NOT NULL
);
COMMENT ON COLUMN price_progress.until IS 'Trades before this moment are in the candles.';

GRANT SELECT, INSERT, UPDATE, DELETE ON price_candles TO fallow_engine;
GRANT SELECT, INSERT, UPDATE ON price_progress TO fallow_engine;
GRANT SELECT ON price_candles, price_progress TO fallow_admin;
