-- Hosts, cards, listings, orders, leases, jobs, and what they produce.
SET LOCAL ROLE fallow_owner;

CREATE TABLE IF NOT EXISTS hosts (
    id                       uuid PRIMARY KEY,
    organization_id          uuid NOT NULL CONSTRAINT hosts_organization_exists REFERENCES organizations,
    name                     text NOT NULL,
    state                    text NOT NULL,
    verification             text NOT NULL,
    country                  text NOT NULL,
    runtime                  text NOT NULL,
    engine                   text NOT NULL,
    agent_version            text NOT NULL,
    boot_id                  text NOT NULL,
    cpu_cores                integer NOT NULL,
    memory_bytes             bigint NOT NULL,
    signing_key              text NOT NULL,
    signing_key_certificate  text NOT NULL,
    enrolled_at              bigint NOT NULL,
    unreachable_since        bigint,
    version                  bigint NOT NULL,
    CONSTRAINT hosts_state_known CHECK (state IN ('enrolled', 'online', 'unreachable', 'draining', 'retired')),
    CONSTRAINT hosts_verification_known CHECK (verification IN ('unverified', 'verified', 'refused')),
    CONSTRAINT hosts_name_length CHECK (octet_length(name) BETWEEN 1 AND 100),
    CONSTRAINT hosts_country_form CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT hosts_sizes_not_negative CHECK (cpu_cores >= 0 AND memory_bytes >= 0),
    CONSTRAINT hosts_version_positive CHECK (version > 0)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX IF NOT EXISTS hosts_name_unique ON hosts (organization_id, name) WHERE state <> 'retired';

CREATE TABLE IF NOT EXISTS cards (
    id                            uuid PRIMARY KEY,
    host_id                       uuid NOT NULL CONSTRAINT cards_host_exists REFERENCES hosts,
    organization_id               uuid NOT NULL,
    index                         integer NOT NULL,
    uuid                          text NOT NULL,
    pci_address                   text,
    product                       text NOT NULL,
    vendor                        text NOT NULL,
    device_class                  text NOT NULL,
    backend                       text NOT NULL,
    driver_version                text NOT NULL,
    vram_bytes                    bigint,
    memory_bandwidth_bytes_per_s  bigint,
    fp32_flops                    bigint,
    measured_at                   bigint,
    state                         text NOT NULL,
    used                          integer NOT NULL DEFAULT 0,
    version                       bigint NOT NULL,
    CONSTRAINT cards_uuid_unique UNIQUE (host_id, uuid),
    CONSTRAINT cards_used_within_card CHECK (used BETWEEN 0 AND 1000),
    CONSTRAINT cards_device_class_known CHECK (device_class IN ('gpu', 'cpu', 'accelerator')),
    CONSTRAINT cards_backend_known CHECK (backend IN ('nvml', 'opencl')),
    CONSTRAINT cards_state_known CHECK (state IN ('present', 'missing')),
    CONSTRAINT cards_index_not_negative CHECK (index >= 0),
    CONSTRAINT cards_capacity_whole
        CHECK (num_nulls(vram_bytes, memory_bandwidth_bytes_per_s, fp32_flops, measured_at) IN (0, 4)),
    CONSTRAINT cards_version_positive CHECK (version > 0)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN cards.used IS 'Thousandths leased. Moved by the trigger over lease_cards alone.';

CREATE TABLE IF NOT EXISTS listings (
    id                   uuid PRIMARY KEY,
    organization_id      uuid NOT NULL CONSTRAINT listings_organization_exists REFERENCES organizations,
    host_id              uuid NOT NULL CONSTRAINT listings_host_exists REFERENCES hosts,
    card_ids             uuid[] NOT NULL,
    state                text NOT NULL,
    ask_micros_per_hour  bigint NOT NULL,
    term_min_ms          bigint NOT NULL,
    term_max_ms          bigint NOT NULL,
    reclaim_notice_ms    bigint NOT NULL,
    bundle_min           integer NOT NULL,
    available_from       bigint,
    available_until      bigint,
    created_at           bigint NOT NULL,
    version              bigint NOT NULL,
    CONSTRAINT listings_state_known CHECK (state IN ('open', 'paused', 'withdrawn')),
    CONSTRAINT listings_ask_within_limit CHECK (ask_micros_per_hour BETWEEN 0 AND 1000000000000),
    CONSTRAINT listings_term_in_order CHECK (0 < term_min_ms AND term_min_ms <= term_max_ms),
    CONSTRAINT listings_notice_within_limit CHECK (reclaim_notice_ms BETWEEN 0 AND 3600000),
    CONSTRAINT listings_bundle_positive CHECK (bundle_min > 0),
    CONSTRAINT listings_cards_named CHECK (cardinality(card_ids) > 0),
    CONSTRAINT listings_window_in_order CHECK (available_until > available_from),
    CONSTRAINT listings_version_positive CHECK (version > 0)
);
CREATE INDEX IF NOT EXISTS listings_by_organization ON listings (organization_id, created_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS listings_by_host ON listings (host_id) WHERE state <> 'withdrawn';
CREATE INDEX IF NOT EXISTS listings_by_ask ON listings (ask_micros_per_hour, id) WHERE state <> 'withdrawn';

CREATE TABLE IF NOT EXISTS orders (
    id                         uuid PRIMARY KEY,
    organization_id            uuid NOT NULL,
    state                      text NOT NULL,
    reason                     text,
    products                   text[] NOT NULL,
    device_class               text,
    vram_bytes_min             bigint,
    countries                  text[] NOT NULL,
    countries_excluded         text[] NOT NULL,
    required_listing_id        uuid,
    required_host_id           uuid,
    count                      integer NOT NULL,
    price_max_micros_per_hour  bigint NOT NULL,
    term_ms                    bigint NOT NULL,
    fill_or_kill               boolean NOT NULL,
    placed_at                  bigint NOT NULL,
    expires_at                 bigint NOT NULL,
    lease_id                   uuid,
    job_id                     uuid,
    version                    bigint NOT NULL,
    CONSTRAINT orders_state_known CHECK (state IN ('standing', 'filled', 'cancelled', 'expired', 'rejected')),
    CONSTRAINT orders_reason_known
        CHECK (reason IN ('cancelled_by_renter', 'term_reached', 'policy_revoked', 'job_finished')),
    CONSTRAINT orders_device_class_known CHECK (device_class IN ('gpu', 'cpu', 'accelerator')),
    CONSTRAINT orders_count_within_limit CHECK (count BETWEEN 1 AND 64),
    CONSTRAINT orders_price_within_limit CHECK (price_max_micros_per_hour BETWEEN 0 AND 1000000000000),
    CONSTRAINT orders_term_positive CHECK (term_ms > 0),
    CONSTRAINT orders_filled_by_lease CHECK (state <> 'filled' OR lease_id IS NOT NULL),
    CONSTRAINT orders_version_positive CHECK (version > 0)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX IF NOT EXISTS orders_by_organization ON orders (organization_id, placed_at DESC, id DESC);
-- Few rows at any time: what a new leader reads. An order filled in the batch that placed it never enters.
CREATE INDEX IF NOT EXISTS orders_standing ON orders (placed_at) WHERE state = 'standing';

CREATE TABLE IF NOT EXISTS leases (
    id                     uuid PRIMARY KEY,
    order_id               uuid NOT NULL,
    organization_id        uuid NOT NULL,
    seller_id              uuid NOT NULL,
    host_id                uuid NOT NULL,
    listing_id             uuid NOT NULL,
    job_id                 uuid,
    pinned                 boolean NOT NULL,
    attempt                integer NOT NULL,
    state                  text NOT NULL,
    stop_reason            text,
    end_reason             text,
    price_micros_per_hour  bigint NOT NULL,
    thousandths            integer NOT NULL,
    fee_ppm                integer NOT NULL,
    term_ms                bigint NOT NULL,
    reclaim_notice_ms      bigint NOT NULL,
    epoch                  bigint NOT NULL,
    allocated_at           bigint NOT NULL,
    preparing_at           bigint,
    running_at             bigint,
    reclaiming_at          bigint,
    ended_at               bigint,
    phase_deadline         bigint,
    reclaim_deadline       bigint,
    numerator              numeric(40, 0) NOT NULL,
    running_ms             bigint NOT NULL,
    charged_micros         bigint NOT NULL,
    fee_micros             bigint NOT NULL,
    held_micros            bigint NOT NULL,
    paid_until             bigint,
    usage_at               bigint,
    usage_sequence         bigint NOT NULL,
    usage_sha256           text,
    claimed_ms             bigint NOT NULL DEFAULT 0,
    nonce                  text NOT NULL,
    container              text,
    boot                   text,
    exit_code              integer,
    released               boolean NOT NULL,
    version                bigint NOT NULL,
    card_ids               uuid[] NOT NULL,
    CONSTRAINT leases_state_known CHECK (state IN ('allocated', 'preparing', 'running', 'reclaiming', 'ended')),
    CONSTRAINT leases_stop_reason_known CHECK (stop_reason IN (
        'completed', 'command_failed', 'out_of_memory', 'duration_exceeded', 'cancelled_by_renter', 'outbid',
        'reclaimed_by_owner', 'term_reached', 'funds_exhausted', 'host_lost', 'image_pull_failed', 'start_failed',
        'start_timeout', 'host_maintenance', 'policy_revoked')),
    CONSTRAINT leases_end_reason_known CHECK (end_reason IN (
        'completed', 'command_failed', 'out_of_memory', 'duration_exceeded', 'cancelled_by_renter', 'outbid',
        'reclaimed_by_owner', 'term_reached', 'funds_exhausted', 'host_lost', 'image_pull_failed', 'start_failed',
        'start_timeout', 'host_maintenance', 'policy_revoked')),
    CONSTRAINT leases_end_reason_when_ending
        CHECK ((end_reason IS NOT NULL) = (state IN ('reclaiming', 'ended'))),
    CONSTRAINT leases_ended_at_when_ended CHECK ((ended_at IS NOT NULL) = (state = 'ended')),
    CONSTRAINT leases_released_after_end CHECK (NOT released OR state = 'ended'),
    CONSTRAINT leases_ended_holds_nothing CHECK (state <> 'ended' OR held_micros = 0),
    CONSTRAINT leases_held_not_negative CHECK (held_micros >= 0),
    CONSTRAINT leases_running_not_negative CHECK (running_ms >= 0 AND usage_sequence >= 0 AND claimed_ms >= 0),
    CONSTRAINT leases_charge_exact CHECK (charged_micros = div(numerator, 3600000000) AND numerator >= 0),
    CONSTRAINT leases_fee_exact CHECK (fee_micros = div(charged_micros::numeric * fee_ppm, 1000000)),
    CONSTRAINT leases_fee_ppm_within_limit CHECK (fee_ppm BETWEEN 0 AND 1000000),
    CONSTRAINT leases_price_within_limit CHECK (price_micros_per_hour BETWEEN 0 AND 1000000000000),
    CONSTRAINT leases_share_positive CHECK (thousandths > 0),
    CONSTRAINT leases_term_positive CHECK (term_ms > 0 AND reclaim_notice_ms >= 0),
    CONSTRAINT leases_attempt_positive CHECK (attempt > 0),
    CONSTRAINT leases_cards_named CHECK (cardinality(card_ids) > 0),
    CONSTRAINT leases_version_positive CHECK (version > 0)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX IF NOT EXISTS leases_by_organization ON leases (organization_id, allocated_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS leases_by_seller ON leases (seller_id, allocated_at DESC, id DESC);
-- What a host may still act on, and what a new leader reads.
CREATE INDEX IF NOT EXISTS leases_live_by_host ON leases (host_id) WHERE NOT released;
CREATE UNIQUE INDEX IF NOT EXISTS leases_one_per_job ON leases (job_id)
    WHERE job_id IS NOT NULL AND state <> 'ended';

CREATE TABLE IF NOT EXISTS lease_cards (
    lease_id     uuid NOT NULL,
    card_id      uuid NOT NULL,
    thousandths  integer NOT NULL,
    released     boolean NOT NULL,
    CONSTRAINT lease_cards_pkey PRIMARY KEY (lease_id, card_id),
    CONSTRAINT lease_cards_share_within_card CHECK (thousandths BETWEEN 1 AND 1000)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);

-- The only way cards.used moves: by what a statement added to, and took from, the shares that are not released.
-- With cards_used_within_card it makes a double lease impossible, whatever the engine believes. One function for
-- each event, because a transition table exists only in its own.
CREATE OR REPLACE FUNCTION lease_cards_check_moved(named bigint, moved bigint) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    IF named <> moved THEN
        RAISE EXCEPTION 'a lease names a card that does not exist; it violates constraint "lease_cards_card_exists"'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'lease_cards_card_exists', TABLE = 'lease_cards';
    END IF;
END $$;
CREATE OR REPLACE FUNCTION lease_cards_take() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    named bigint;
    moved bigint;
BEGIN
    WITH nets AS (
        SELECT card_id, sum(thousandths)::integer AS share FROM added WHERE NOT released GROUP BY card_id
    ), written AS (
        UPDATE cards SET used = cards.used + nets.share FROM nets WHERE cards.id = nets.card_id RETURNING cards.id
    )
    SELECT (SELECT count(*) FROM nets), (SELECT count(*) FROM written) INTO named, moved;
    PERFORM lease_cards_check_moved(named, moved);
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION lease_cards_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    named bigint;
    moved bigint;
BEGIN
    WITH nets AS (
        SELECT card_id, sum(share)::integer AS share
        FROM (SELECT card_id, -thousandths AS share FROM before WHERE NOT released
              UNION ALL
              SELECT card_id, thousandths FROM after WHERE NOT released) AS sides
        GROUP BY card_id HAVING sum(share) <> 0
    ), written AS (
        UPDATE cards SET used = cards.used + nets.share FROM nets WHERE cards.id = nets.card_id RETURNING cards.id
    )
    SELECT (SELECT count(*) FROM nets), (SELECT count(*) FROM written) INTO named, moved;
    PERFORM lease_cards_check_moved(named, moved);
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION lease_cards_give_back() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    named bigint;
    moved bigint;
BEGIN
    WITH nets AS (
        SELECT card_id, -sum(thousandths)::integer AS share FROM removed WHERE NOT released GROUP BY card_id
    ), written AS (
        UPDATE cards SET used = cards.used + nets.share FROM nets WHERE cards.id = nets.card_id RETURNING cards.id
    )
    SELECT (SELECT count(*) FROM nets), (SELECT count(*) FROM written) INTO named, moved;
    PERFORM lease_cards_check_moved(named, moved);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER lease_cards_inserted AFTER INSERT ON lease_cards
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION lease_cards_take();
CREATE OR REPLACE TRIGGER lease_cards_updated AFTER UPDATE ON lease_cards
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION lease_cards_change();
CREATE OR REPLACE TRIGGER lease_cards_deleted AFTER DELETE ON lease_cards
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION lease_cards_give_back();

CREATE TABLE IF NOT EXISTS jobs (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL,
    state            text NOT NULL,
    order_id         uuid,
    lease_id         uuid,
    image            text NOT NULL,
    max_duration_ms  bigint NOT NULL,
    attempts_max     integer NOT NULL,
    attempts         integer NOT NULL,
    exit_code        integer,
    reason           text,
    queued_at        bigint NOT NULL,
    started_at       bigint,
    finished_at      bigint,
    version          bigint NOT NULL,
    CONSTRAINT jobs_state_known
        CHECK (state IN ('queued', 'assigned', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT jobs_reason_known CHECK (reason IN (
        'completed', 'command_failed', 'out_of_memory', 'duration_exceeded', 'cancelled_by_renter', 'outbid',
        'reclaimed_by_owner', 'term_reached', 'funds_exhausted', 'host_lost', 'image_pull_failed', 'start_failed',
        'start_timeout', 'host_maintenance', 'policy_revoked')),
    CONSTRAINT jobs_attempts_within_limit CHECK (attempts >= 0 AND attempts <= attempts_max),
    CONSTRAINT jobs_duration_positive CHECK (max_duration_ms > 0),
    CONSTRAINT jobs_version_positive CHECK (version > 0)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX IF NOT EXISTS jobs_by_organization ON jobs (organization_id, queued_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS jobs_live ON jobs (queued_at) WHERE state IN ('queued', 'assigned', 'running');

CREATE TABLE IF NOT EXISTS job_specs (
    job_id           uuid PRIMARY KEY,
    organization_id  uuid NOT NULL,
    document         text COMPRESSION lz4 NOT NULL
);
COMMENT ON COLUMN job_specs.document IS 'JSON, kept as it came: the market never reads it.';

CREATE TABLE IF NOT EXISTS usage_statements (
    lease_id             uuid NOT NULL,
    sequence             bigint NOT NULL,
    organization_id      uuid NOT NULL,
    seller_id            uuid NOT NULL,
    statement            text NOT NULL,
    signature            text NOT NULL,
    accepted_running_ms  bigint NOT NULL,
    clipped_ms           bigint NOT NULL,
    final                boolean NOT NULL,
    accepted_at          bigint NOT NULL,
    CONSTRAINT usage_statements_pkey PRIMARY KEY (lease_id, sequence),
    CONSTRAINT usage_statements_not_negative
        CHECK (sequence >= 0 AND accepted_running_ms >= 0 AND clipped_ms >= 0)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE TABLE IF NOT EXISTS receipts (
    lease_id          uuid PRIMARY KEY,
    organization_id   uuid NOT NULL,
    seller_id         uuid NOT NULL,
    statement         text NOT NULL,
    server_signature  text NOT NULL,
    at                bigint NOT NULL
);

-- Reserved time of a card. Two bookings of one card cannot overlap.
CREATE TABLE IF NOT EXISTS bookings (
    id               uuid PRIMARY KEY,
    card_id          uuid NOT NULL CONSTRAINT bookings_card_exists REFERENCES cards,
    organization_id  uuid NOT NULL CONSTRAINT bookings_organization_exists REFERENCES organizations,
    lease_id         uuid,
    during           int8range NOT NULL,
    CONSTRAINT bookings_time_bounded CHECK (NOT isempty(during) AND NOT lower_inf(during) AND NOT upper_inf(during)),
    CONSTRAINT bookings_no_overlap EXCLUDE USING gist (card_id WITH =, during WITH &&)
);
COMMENT ON COLUMN bookings.during IS 'Milliseconds since 1970-01-01T00:00:00Z.';

CREATE TABLE IF NOT EXISTS freezes (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL,
    target      text NOT NULL,
    note        text NOT NULL,
    created_by  text NOT NULL,
    created_at  bigint NOT NULL,
    CONSTRAINT freezes_kind_known CHECK (kind IN ('organization', 'host', 'market', 'image'))
);

CREATE TABLE IF NOT EXISTS market_settings (
    market   text PRIMARY KEY,
    fee_ppm  integer NOT NULL,
    version  bigint NOT NULL,
    CONSTRAINT market_settings_fee_within_limit CHECK (fee_ppm BETWEEN 0 AND 1000000)
);

GRANT SELECT, INSERT, UPDATE ON hosts, listings, orders, leases, lease_cards, jobs, bookings, market_settings
    TO fallow_engine;
GRANT DELETE ON bookings, freezes TO fallow_engine;
GRANT SELECT, INSERT ON job_specs, usage_statements, receipts, freezes TO fallow_engine;
GRANT SELECT ON cards TO fallow_engine;
-- Every column of cards but `used`, which the trigger over lease_cards moves.
GRANT INSERT (id, host_id, organization_id, index, uuid, pci_address, product, vendor, device_class, backend,
              driver_version, vram_bytes, memory_bandwidth_bytes_per_s, fp32_flops, measured_at, state, version),
      UPDATE (host_id, organization_id, index, uuid, pci_address, product, vendor, device_class, backend,
              driver_version, vram_bytes, memory_bandwidth_bytes_per_s, fp32_flops, measured_at, state, version)
    ON cards TO fallow_engine;
GRANT SELECT ON hosts, cards, listings, orders, leases, lease_cards, jobs, job_specs, usage_statements, receipts,
    bookings TO fallow_request;
GRANT SELECT ON hosts, cards, listings, orders, leases, lease_cards, jobs, job_specs, usage_statements, receipts,
    bookings, freezes, market_settings TO fallow_admin;
GRANT SELECT ON hosts TO fallow_auth;
GRANT SELECT ON hosts, cards, leases, jobs, job_specs TO fallow_agent;
GRANT SELECT ON leases, usage_statements, receipts, hosts, cards, lease_cards TO fallow_proof;
