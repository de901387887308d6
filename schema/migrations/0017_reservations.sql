-- Reservations: future blocks of cards, their bookings, and the transfers that they make.
SET LOCAL ROLE fallow_owner;

ALTER TABLE listings ADD COLUMN IF NOT EXISTS committed_until bigint;

CREATE TABLE IF NOT EXISTS reservations (
    id                     uuid PRIMARY KEY,
    organization_id        uuid NOT NULL,
    seller_id              uuid NOT NULL,
    host_id                uuid NOT NULL,
    listing_id             uuid NOT NULL,
    card_ids               uuid[] NOT NULL,
    state                  text NOT NULL,
    reason                 text,
    starts_at              bigint NOT NULL,
    ends_at                bigint NOT NULL,
    price_micros_per_hour  bigint NOT NULL,
    fee_ppm                integer NOT NULL,
    reclaim_notice_ms      bigint NOT NULL,
    end_use                text,
    cancel_free_until      bigint NOT NULL,
    cancel_kept_ppm        integer NOT NULL,
    penalty_ppm            integer NOT NULL,
    deposit_micros         bigint NOT NULL,
    bond_micros            bigint NOT NULL,
    bond_from              text NOT NULL,
    kept_micros            bigint NOT NULL,
    penalty_micros         bigint NOT NULL,
    quote_id               uuid,
    lease_id               uuid,
    bought_from            uuid,
    offer_micros           bigint,
    offer_from             bigint,
    booked_at              bigint NOT NULL,
    version                bigint NOT NULL,
    CONSTRAINT reservations_state_known
        CHECK (state IN ('booked', 'started', 'ended', 'cancelled', 'broken', 'failed', 'sold')),
    CONSTRAINT reservations_reason_known CHECK (reason IN (
        'cancelled_by_renter', 'broken_by_seller', 'host_absent', 'cards_absent', 'policy_revoked', 'missed',
        'resold', 'used', 'never_used')),
    CONSTRAINT reservations_end_use_known CHECK (end_use IN (
        'ai_training', 'ai_inference', 'rendering', 'simulation', 'research', 'military', 'other')),
    CONSTRAINT reservations_reason_when_over CHECK ((reason IS NOT NULL) = (state NOT IN ('booked', 'started'))),
    CONSTRAINT reservations_time_in_order CHECK (starts_at < ends_at),
    CONSTRAINT reservations_cards_named CHECK (cardinality(card_ids) > 0),
    CONSTRAINT reservations_price_within_limit CHECK (price_micros_per_hour BETWEEN 0 AND 1000000000000),
    CONSTRAINT reservations_parts_within_limit CHECK (fee_ppm BETWEEN 0 AND 1000000
        AND cancel_kept_ppm BETWEEN 0 AND 1000000 AND penalty_ppm BETWEEN 0 AND 1000000),
    CONSTRAINT reservations_money_not_negative CHECK (deposit_micros >= 0 AND bond_micros >= 0
        AND kept_micros >= 0 AND penalty_micros >= 0 AND offer_micros >= 0),
    CONSTRAINT reservations_over_holds_nothing
        CHECK (state IN ('booked', 'started') OR (deposit_micros = 0 AND bond_micros = 0)),
    CONSTRAINT reservations_bond_from_known CHECK (bond_from IN ('available', 'earned')),
    CONSTRAINT reservations_started_by_lease CHECK (state <> 'started' OR lease_id IS NOT NULL),
    CONSTRAINT reservations_offer_whole CHECK ((offer_micros IS NULL) = (offer_from IS NULL)),
    CONSTRAINT reservations_version_positive CHECK (version > 0)
);
COMMENT ON COLUMN reservations.deposit_micros IS 'Held of the renter until the start.';
COMMENT ON COLUMN reservations.bond_micros IS 'Held of the seller until the end.';
CREATE INDEX IF NOT EXISTS reservations_by_organization ON reservations (organization_id, booked_at, id);
CREATE INDEX IF NOT EXISTS reservations_by_seller ON reservations (seller_id, booked_at, id);
CREATE INDEX IF NOT EXISTS reservations_open ON reservations (booked_at) WHERE state IN ('booked', 'started');
CREATE INDEX IF NOT EXISTS reservations_offered ON reservations (booked_at, id)
    WHERE state = 'booked' AND offer_micros IS NOT NULL;

-- Nothing was ever booked before: the columns become those of the market's rows, and the range follows from them.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'bookings'::regclass AND attname = 'lease_id' AND NOT attisdropped) THEN
        ALTER TABLE bookings DROP COLUMN during, DROP COLUMN lease_id;
        ALTER TABLE bookings
            ADD COLUMN reservation_id uuid NOT NULL CONSTRAINT bookings_reservation_exists REFERENCES reservations,
            ADD COLUMN starts_at bigint NOT NULL,
            ADD COLUMN ends_at bigint NOT NULL,
            ADD COLUMN version bigint NOT NULL,
            ADD COLUMN during int8range GENERATED ALWAYS AS (int8range(starts_at, ends_at)) STORED,
            ADD CONSTRAINT bookings_time_in_order CHECK (starts_at < ends_at),
            ADD CONSTRAINT bookings_no_overlap EXCLUDE USING gist (card_id WITH =, during WITH &&);
    END IF;
END $$;
COMMENT ON COLUMN bookings.during IS 'Milliseconds since 1970-01-01T00:00:00Z.';

ALTER TABLE transfers ADD COLUMN IF NOT EXISTS reservation_id uuid;
ALTER TABLE transfers DROP CONSTRAINT IF EXISTS transfers_reason_known;
ALTER TABLE transfers ADD CONSTRAINT transfers_reason_known
    CHECK (reason IN ('deposit', 'withdrawal', 'hold', 'release', 'charge', 'fee', 'reserve', 'unreserve', 'kept',
                      'kept_fee', 'bond', 'unbond', 'penalty', 'sale'));
ALTER TABLE transfers DROP CONSTRAINT IF EXISTS transfers_lease_named;
ALTER TABLE transfers ADD CONSTRAINT transfers_lease_named
    CHECK ((lease_id IS NOT NULL) = (reason IN ('hold', 'release', 'charge', 'fee')
                                     OR (reason = 'penalty' AND reservation_id IS NULL)));
ALTER TABLE transfers DROP CONSTRAINT IF EXISTS transfers_reservation_named;
ALTER TABLE transfers ADD CONSTRAINT transfers_reservation_named
    CHECK ((reservation_id IS NOT NULL) = (reason IN ('reserve', 'unreserve', 'kept', 'kept_fee', 'bond', 'unbond',
                                                      'sale')
                                           OR (reason = 'penalty' AND lease_id IS NULL)));

GRANT SELECT, INSERT, UPDATE ON reservations, bookings TO fallow_engine;
GRANT DELETE ON bookings TO fallow_engine;
GRANT SELECT ON reservations, bookings TO fallow_request, fallow_admin;
GRANT SELECT ON reservations TO fallow_proof;

ALTER TABLE reservations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON reservations;
CREATE POLICY all_tenants ON reservations TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON reservations;
CREATE POLICY tenant ON reservations TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization()
           OR (state = 'booked' AND offer_micros IS NOT NULL));

ALTER TABLE bookings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON bookings;
CREATE POLICY all_tenants ON bookings TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
DROP POLICY IF EXISTS tenant ON bookings;
CREATE POLICY tenant ON bookings TO fallow_request
    USING (organization_id = fallow_organization());
