-- The whole schema in one file, as the migrations beside it leave it: a test applies both and compares.
-- Roles belong to the cluster and are made by migrations/0001_roles.sql; this file needs them.

-- Equality of plain types inside a GiST exclusion constraint, for bookings.
CREATE EXTENSION btree_gist;

ALTER SCHEMA public OWNER TO fallow_owner;
SET LOCAL ROLE fallow_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public
    TO fallow_engine, fallow_request, fallow_admin, fallow_auth, fallow_agent, fallow_proof;
-- No function is for everybody: each names who may call it.
ALTER DEFAULT PRIVILEGES FOR ROLE fallow_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
COMMENT ON SCHEMA public IS
    'Fallow. A bigint column named at or *_at, or ending in _deadline, _until, _from or _since, holds milliseconds '
    'since 1970-01-01T00:00:00Z; *_ms a span in milliseconds; *_micros an amount in millionths of the currency.';

CREATE TABLE schema_version (
    version     integer PRIMARY KEY,
    name        text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE schema_version IS 'One row for each migration applied.';
GRANT SELECT ON schema_version
    TO fallow_engine, fallow_request, fallow_admin, fallow_auth, fallow_agent, fallow_proof;

-- The organization a request is bound to, or NULL, which no row equals: unset means nothing is visible.
CREATE FUNCTION fallow_organization() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('fallow.organization', true), '')::uuid;
CREATE FUNCTION fallow_host() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('fallow.host', true), '')::uuid;
GRANT EXECUTE ON FUNCTION fallow_organization() TO fallow_request;
GRANT EXECUTE ON FUNCTION fallow_host() TO fallow_agent;

-- Organizations and the double-entry ledger.

CREATE TABLE organizations (
    id          uuid PRIMARY KEY,
    name        text NOT NULL CONSTRAINT organizations_name_unique UNIQUE,
    country     text NOT NULL,
    status      text NOT NULL,
    created_at  bigint NOT NULL,
    version     bigint NOT NULL,
    failed_starts        integer NOT NULL DEFAULT 0,
    failed_starts_since  bigint,
    CONSTRAINT organizations_failed_starts_dated
        CHECK (failed_starts >= 0 AND (failed_starts = 0 OR failed_starts_since IS NOT NULL)),
    CONSTRAINT organizations_name_length CHECK (octet_length(name) BETWEEN 1 AND 100),
    CONSTRAINT organizations_country_form CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT organizations_status_known CHECK (status IN ('active', 'frozen')),
    CONSTRAINT organizations_version_positive CHECK (version > 0)
);

CREATE TABLE accounts (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL CONSTRAINT accounts_organization_exists REFERENCES organizations,
    kind             text NOT NULL,
    balance_micros   bigint NOT NULL DEFAULT 0,
    CONSTRAINT accounts_one_per_kind UNIQUE (organization_id, kind),
    CONSTRAINT accounts_kind_known CHECK (kind IN ('external', 'fees', 'available', 'held', 'earned')),
    CONSTRAINT accounts_balance_floor CHECK (kind = 'external' OR balance_micros >= 0),
    CONSTRAINT accounts_balance_ceiling CHECK (balance_micros BETWEEN -1000000000000000 AND 1000000000000000)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN accounts.balance_micros IS 'Credits minus debits. Moved by the trigger over transfers alone.';

-- A transfer is one row, so it cannot be unbalanced. Never updated, never deleted. Accounts are checked by the
-- trigger, once a statement; there are no foreign keys on this table or on any other that every order writes.
CREATE TABLE transfers (
    id                      uuid PRIMARY KEY,
    debit_account_id        uuid NOT NULL,
    credit_account_id       uuid NOT NULL,
    debit_organization_id   uuid NOT NULL,
    credit_organization_id  uuid NOT NULL,
    amount_micros           bigint NOT NULL,
    reason                  text NOT NULL,
    lease_id                uuid,
    reference               text,
    at                      bigint NOT NULL,
    reservation_id          uuid,
    CONSTRAINT transfers_amount_positive CHECK (amount_micros > 0),
    CONSTRAINT transfers_amount_limit CHECK (amount_micros <= 1000000000000000),
    CONSTRAINT transfers_two_accounts CHECK (debit_account_id <> credit_account_id),
    CONSTRAINT transfers_reason_known
        CHECK (reason IN ('deposit', 'withdrawal', 'hold', 'release', 'charge', 'fee', 'reserve', 'unreserve', 'kept',
                          'kept_fee', 'bond', 'unbond', 'penalty', 'sale')),
    CONSTRAINT transfers_lease_named
        CHECK ((lease_id IS NOT NULL) = (reason IN ('hold', 'release', 'charge', 'fee')
                                         OR (reason = 'penalty' AND reservation_id IS NULL))),
    CONSTRAINT transfers_reservation_named
        CHECK ((reservation_id IS NOT NULL) = (reason IN ('reserve', 'unreserve', 'kept', 'kept_fee', 'bond',
                                                          'unbond', 'sale')
                                               OR (reason = 'penalty' AND lease_id IS NULL)))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
-- An organization's pages, newest first. A transfer inside one organization is found by its debit side alone.
CREATE INDEX transfers_by_debit ON transfers (debit_organization_id, at, id);
CREATE INDEX transfers_by_credit ON transfers (credit_organization_id, at, id)
    WHERE credit_organization_id <> debit_organization_id;

-- Nets a statement's transfers first, so that each account is written once however many transfers name it.
CREATE FUNCTION transfers_move_balances() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    named bigint;
    moved bigint;
BEGIN
    WITH sides AS (
        SELECT debit_account_id AS account_id, debit_organization_id AS organization_id, -amount_micros AS amount
        FROM added
        UNION ALL
        SELECT credit_account_id, credit_organization_id, amount_micros FROM added
    ), nets AS (
        SELECT account_id, organization_id, sum(amount)::bigint AS amount FROM sides
        GROUP BY account_id, organization_id
    ), written AS (
        UPDATE accounts SET balance_micros = accounts.balance_micros + nets.amount FROM nets
        WHERE accounts.id = nets.account_id AND accounts.organization_id = nets.organization_id
        RETURNING accounts.id
    )
    SELECT (SELECT count(*) FROM nets), (SELECT count(*) FROM written) INTO named, moved;
    IF named <> moved THEN
        RAISE EXCEPTION 'a transfer names an account that does not exist, or not its organization; '
                        'it violates constraint "transfers_accounts_exist"'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'transfers_accounts_exist', TABLE = 'transfers';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER transfers_inserted AFTER INSERT ON transfers
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION transfers_move_balances();

-- The operator's own organization, and the two accounts no tenant has.
INSERT INTO organizations (id, name, country, status, created_at, version)
    VALUES ('00000000-0000-0000-0000-000000000001', 'platform', 'ZZ', 'active', 0, 1);
INSERT INTO accounts (id, organization_id, kind)
    VALUES ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 'external'),
           ('00000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-000000000001', 'fees');

-- Column by column where a trigger alone may move the rest.
GRANT SELECT, INSERT, UPDATE ON organizations TO fallow_engine;
GRANT SELECT, INSERT (id, organization_id, kind) ON accounts TO fallow_engine;
GRANT SELECT, INSERT ON transfers TO fallow_engine;
GRANT SELECT ON organizations, accounts, transfers TO fallow_request, fallow_admin, fallow_proof;
GRANT SELECT ON organizations TO fallow_auth;

-- Hosts, cards, listings, orders, leases, jobs, and what they produce.

CREATE TABLE hosts (
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
    cpu_architecture         text,
    disk_bytes               bigint,
    cpu_model                text,
    cpu_clock_mhz            integer,
    rack                     text,
    disk_write_bytes_per_s   bigint,
    disk_read_bytes_per_s    bigint,
    disk_measured_at         bigint,
    delivered_ms             bigint NOT NULL DEFAULT 0,
    lost_ms                  bigint NOT NULL DEFAULT 0,
    reclaimed_ms             bigint NOT NULL DEFAULT 0,
    start_failed_ms          bigint NOT NULL DEFAULT 0,
    clipped_ms               bigint NOT NULL DEFAULT 0,
    maintenance_from         bigint,
    maintenance_until        bigint,
    maintenance_reason       text,
    retiring                 boolean NOT NULL DEFAULT false,
    drained_at               bigint,
    guest_network            text,
    working_storage          text,
    network_up_bytes_per_s   bigint,
    network_down_bytes_per_s bigint,
    network_measured_at      bigint,
    address                  text,
    address_since            bigint,
    gang_network             boolean,
    CONSTRAINT hosts_network_whole
        CHECK (num_nulls(network_up_bytes_per_s, network_down_bytes_per_s, network_measured_at) IN (0, 3)),
    CONSTRAINT hosts_address_dated CHECK ((address IS NULL) = (address_since IS NULL)),
    CONSTRAINT hosts_maintenance_whole
        CHECK (num_nulls(maintenance_from, maintenance_until, maintenance_reason) IN (0, 3)),
    CONSTRAINT hosts_maintenance_forward CHECK (maintenance_from < maintenance_until),
    CONSTRAINT hosts_drained_while_leaving
        CHECK (CASE WHEN state = 'draining' THEN true ELSE NOT retiring AND (drained_at IS NULL OR state = 'retired') END),
    CONSTRAINT hosts_guest_network_known CHECK (guest_network IN ('none', 'internet')),
    CONSTRAINT hosts_working_storage_known CHECK (working_storage IN ('encrypted', 'wiped', 'memory')),
    CONSTRAINT hosts_record_not_negative
        CHECK (least(delivered_ms, lost_ms, reclaimed_ms, start_failed_ms, clipped_ms) >= 0),
    CONSTRAINT hosts_disk_whole
        CHECK (num_nulls(disk_write_bytes_per_s, disk_read_bytes_per_s, disk_measured_at) IN (0, 3)),
    CONSTRAINT hosts_state_known CHECK (state IN ('enrolled', 'online', 'unreachable', 'draining', 'retired')),
    CONSTRAINT hosts_verification_known CHECK (verification IN ('unverified', 'verified', 'refused')),
    CONSTRAINT hosts_name_length CHECK (octet_length(name) BETWEEN 1 AND 100),
    CONSTRAINT hosts_country_form CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT hosts_sizes_not_negative CHECK (cpu_cores >= 0 AND memory_bytes >= 0),
    CONSTRAINT hosts_version_positive CHECK (version > 0)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX hosts_name_unique ON hosts (organization_id, name) WHERE state <> 'retired';

CREATE TABLE cards (
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
    cuda_version                  text,
    compute_capability            text,
    pcie_generation               integer,
    pcie_width                    integer,
    power_limit_watts             integer,
    measured_fp16_flops           bigint,
    to_device_bytes_per_s         bigint,
    from_device_bytes_per_s       bigint,
    clock_mhz                     integer,
    ecc                           boolean,
    ecc_errors                    bigint,
    nvlink_links                  integer,
    nvlink_bytes_per_s            bigint,
    nvlink_group                  integer,
    mig_profile                   text,
    mig_parent                    text,
    verification                  text NOT NULL DEFAULT 'unverified',
    refusal                       text,
    verified_at                   bigint,
    withheld_reason               text,
    CONSTRAINT cards_verification_known CHECK (verification IN ('unverified', 'verified', 'refused')),
    CONSTRAINT cards_uuid_unique UNIQUE (host_id, uuid),
    CONSTRAINT cards_used_within_card CHECK (used BETWEEN 0 AND 1000),
    CONSTRAINT cards_device_class_known CHECK (device_class IN ('gpu', 'cpu', 'accelerator')),
    CONSTRAINT cards_backend_known CHECK (backend IN ('nvml', 'opencl', 'amdgpu')),
    CONSTRAINT cards_state_known CHECK (state IN ('present', 'missing', 'withheld')),
    CONSTRAINT cards_index_not_negative CHECK (index >= 0),
    CONSTRAINT cards_capacity_whole
        CHECK (num_nulls(vram_bytes, memory_bandwidth_bytes_per_s, fp32_flops, measured_at) IN (0, 4)),
    CONSTRAINT cards_version_positive CHECK (version > 0)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
-- Leases move `used` alone, which no index has, so that they write no index.
CREATE INDEX cards_by_product ON cards (product) WHERE state = 'present';
COMMENT ON COLUMN cards.used IS 'Thousandths leased. Moved by the trigger over lease_cards alone.';

CREATE TABLE listings (
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
    spot_floor_micros_per_hour bigint,
    storage_micros_per_gib_month bigint NOT NULL DEFAULT 0,
    egress_micros_per_gib bigint NOT NULL DEFAULT 0,
    committed_until      bigint,
    share_min_thousandths integer NOT NULL DEFAULT 1000,
    windows              text[] NOT NULL DEFAULT '{}',
    windows_utc_offset_minutes integer NOT NULL DEFAULT 0,
    renters_allowed      uuid[] NOT NULL DEFAULT '{}',
    renters_blocked      uuid[] NOT NULL DEFAULT '{}',
    images_allowed       text[] NOT NULL DEFAULT '{}',
    CONSTRAINT listings_spot_floor_within_limit CHECK (spot_floor_micros_per_hour BETWEEN 0 AND 1000000000000),
    CONSTRAINT listings_state_known CHECK (state IN ('open', 'paused', 'withdrawn')),
    CONSTRAINT listings_ask_within_limit CHECK (ask_micros_per_hour BETWEEN 0 AND 1000000000000),
    CONSTRAINT listings_prices_within_limit CHECK (storage_micros_per_gib_month BETWEEN 0 AND 1000000000
        AND egress_micros_per_gib BETWEEN 0 AND 1000000000),
    CONSTRAINT listings_term_in_order CHECK (0 < term_min_ms AND term_min_ms <= term_max_ms),
    CONSTRAINT listings_notice_within_limit CHECK (reclaim_notice_ms BETWEEN 0 AND 3600000),
    CONSTRAINT listings_bundle_positive CHECK (bundle_min > 0),
    CONSTRAINT listings_cards_named CHECK (cardinality(card_ids) > 0),
    CONSTRAINT listings_window_in_order CHECK (available_until > available_from),
    CONSTRAINT listings_version_positive CHECK (version > 0),
    CONSTRAINT listings_share_within_card CHECK (share_min_thousandths BETWEEN 1 AND 1000),
    CONSTRAINT listings_share_without_bundle CHECK (share_min_thousandths = 1000 OR bundle_min = 1),
    CONSTRAINT listings_lists_within_limits
        CHECK (cardinality(windows) <= 28 AND cardinality(renters_allowed) <= 256
               AND cardinality(renters_blocked) <= 256 AND cardinality(images_allowed) <= 64
               AND windows_utc_offset_minutes BETWEEN -840 AND 840)
);
CREATE INDEX listings_by_organization ON listings (organization_id, created_at DESC, id DESC);
CREATE INDEX listings_by_host ON listings (host_id) WHERE state <> 'withdrawn';
CREATE INDEX listings_by_ask ON listings (ask_micros_per_hour, id) WHERE state <> 'withdrawn';

CREATE TABLE orders (
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
    pricing                    text NOT NULL DEFAULT 'fixed',
    bid_changed_at             bigint,
    promised_card_ids          uuid[] NOT NULL DEFAULT '{}',
    end_use                    text,
    approved                   boolean NOT NULL DEFAULT false,
    policy_version             bigint,
    policy_rule                text,
    policy_effect              text,
    query                      text,
    quote_id                   uuid,
    quoted_fee_ppm             integer,
    thousandths                integer NOT NULL DEFAULT 1000,
    hosts                      integer NOT NULL DEFAULT 1,
    nvlink                     text NOT NULL DEFAULT 'prefer',
    storage_bytes              bigint NOT NULL DEFAULT 0,
    storage_micros_per_gib_month_max bigint,
    stored_gib_max             bigint,
    all_in_micros_per_hour     bigint,
    egress_gib                 bigint NOT NULL DEFAULT 0,
    egress_micros_per_gib_max  bigint,
    overage_micros_max         bigint NOT NULL DEFAULT 0,
    egress_mib_used            bigint NOT NULL DEFAULT 0,
    overage_micros_used        bigint NOT NULL DEFAULT 0,
    gang_network               boolean NOT NULL DEFAULT false,
    CONSTRAINT orders_gang_network_of_gang CHECK (NOT gang_network OR hosts > 1),
    CONSTRAINT orders_traffic_within_limits
        CHECK (egress_gib BETWEEN 0 AND 1000000 AND egress_micros_per_gib_max BETWEEN 0 AND 1000000000
               AND overage_micros_max BETWEEN 0 AND 1000000000000000
               AND egress_mib_used BETWEEN 0 AND egress_gib * 1024
               AND overage_micros_used BETWEEN 0 AND overage_micros_max),
    CONSTRAINT orders_nvlink_known CHECK (nvlink IN ('prefer', 'require')),
    CONSTRAINT orders_pricing_known CHECK (pricing IN ('fixed', 'spot')),
    CONSTRAINT orders_state_known CHECK (state IN ('standing', 'filled', 'cancelled', 'expired', 'rejected')),
    CONSTRAINT orders_reason_known CHECK (reason IN (
        'cancelled_by_renter', 'term_reached', 'policy_revoked', 'job_finished', 'policy_denied', 'approval_needed')),
    CONSTRAINT orders_end_use_known CHECK (end_use IN (
        'ai_training', 'ai_inference', 'rendering', 'simulation', 'research', 'military', 'other')),
    CONSTRAINT orders_policy_effect_known CHECK (policy_effect IN ('allow', 'deny', 'needs_approval')),
    CONSTRAINT orders_device_class_known CHECK (device_class IN ('gpu', 'cpu', 'accelerator')),
    CONSTRAINT orders_count_within_limit CHECK (count BETWEEN 1 AND 64),
    CONSTRAINT orders_price_within_limit CHECK (price_max_micros_per_hour BETWEEN 0 AND 1000000000000),
    CONSTRAINT orders_term_positive CHECK (term_ms > 0),
    CONSTRAINT orders_filled_by_lease CHECK (state <> 'filled' OR lease_id IS NOT NULL),
    CONSTRAINT orders_quote_whole CHECK ((quote_id IS NULL) = (quoted_fee_ppm IS NULL)),
    CONSTRAINT orders_version_positive CHECK (version > 0),
    CONSTRAINT orders_query_length CHECK (octet_length(query) BETWEEN 1 AND 2000),
    CONSTRAINT orders_share_within_card CHECK (thousandths BETWEEN 1 AND 1000),
    CONSTRAINT orders_share_of_one_card CHECK (thousandths = 1000 OR count = 1),
    CONSTRAINT orders_hosts_within_limit CHECK (hosts BETWEEN 1 AND 16 AND (hosts = 1 OR thousandths = 1000)),
    CONSTRAINT orders_storage_within_limits
        CHECK (storage_bytes BETWEEN 0 AND 17592186044416 AND storage_micros_per_gib_month_max BETWEEN 0 AND 1000000000
               AND stored_gib_max BETWEEN 0 AND 1000000 AND all_in_micros_per_hour >= 0)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
COMMENT ON COLUMN orders.quote_id IS 'The signed quote it was placed with, whose price is its price limit.';
CREATE INDEX orders_by_organization ON orders (organization_id, placed_at, id);
-- Few rows at any time: what a new leader reads. An order filled in the batch that placed it never enters.
CREATE INDEX orders_standing ON orders (placed_at) WHERE state = 'standing';

-- Conditions of leases that are long. PostgreSQL reads the text of a table's CHECK conditions again for every
-- statement that writes to it; the body of a function it reads once a session.
CREATE FUNCTION is_lease_reason(reason text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN reason IN (
        'completed', 'command_failed', 'out_of_memory', 'duration_exceeded', 'cancelled_by_renter', 'outbid',
        'reclaimed_by_owner', 'term_reached', 'funds_exhausted', 'host_lost', 'image_pull_failed', 'start_failed',
        'start_timeout', 'host_maintenance', 'policy_revoked', 'temporary_failure', 'unhealthy', 'idle');
END $$;
-- A month has 730 hours; a MiB is 3,515,625 units of the numerator for each micro of a GiB. Of a spot lease the
-- prices are in lease_segments, so that here only its storage and its traffic are bounded.
CREATE FUNCTION is_lease_sum(numerator numeric, cards_micros_per_hour numeric, is_spot boolean,
                             storage_micros_per_gib_month numeric, storage_bytes bigint, running_ms bigint,
                             egress_micros_per_gib numeric, egress_mib bigint) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    storage numeric := div(storage_micros_per_gib_month * storage_bytes * 1000, 783831531520) * running_ms;
    traffic numeric := egress_micros_per_gib * egress_mib * 3515625;
BEGIN
    IF is_spot THEN
        RETURN numerator >= storage + traffic;
    END IF;
    RETURN numerator = cards_micros_per_hour * running_ms + storage + traffic;
END $$;
CREATE FUNCTION is_lease_charge(charged_micros bigint, numerator numeric) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN numerator >= 0 AND charged_micros = div(numerator, 3600000000);
END $$;
CREATE FUNCTION is_lease_fee(fee_micros bigint, charged_micros numeric, fee_ppm integer) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN fee_micros = div(charged_micros * fee_ppm, 1000000);
END $$;
GRANT EXECUTE ON FUNCTION is_lease_reason(text),
    is_lease_sum(numeric, numeric, boolean, numeric, bigint, bigint, numeric, bigint),
    is_lease_charge(bigint, numeric), is_lease_fee(bigint, numeric, integer) TO fallow_engine;

CREATE TABLE leases (
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
    spot_floor_micros_per_hour bigint,
    policy_version         bigint,
    policy_rule            text,
    ends_by                bigint,
    rank                   integer NOT NULL DEFAULT 0,
    hosts                  integer NOT NULL DEFAULT 1,
    chosen_by              text,
    storage_bytes          bigint NOT NULL DEFAULT 0,
    storage_micros_per_gib_month bigint NOT NULL DEFAULT 0,
    maintenance_at         bigint,
    egress_micros_per_gib  bigint NOT NULL DEFAULT 0,
    egress_mib_max         bigint,
    egress_mib             bigint NOT NULL DEFAULT 0,
    egress_bytes_claimed   bigint NOT NULL DEFAULT 0,
    CONSTRAINT leases_storage_within_limits
        CHECK (storage_bytes BETWEEN 0 AND 17592186044416 AND storage_micros_per_gib_month BETWEEN 0 AND 1000000000),
    CONSTRAINT leases_traffic_within_limits
        CHECK (egress_micros_per_gib BETWEEN 0 AND 1000000000 AND egress_mib_max BETWEEN 0 AND 8589934591
               AND egress_mib >= 0 AND egress_mib <= egress_mib_max AND egress_mib <= egress_bytes_claimed / 1048576),
    -- What costs nothing has no limit, and nothing else is without one.
    CONSTRAINT leases_traffic_limited_where_priced
        CHECK ((egress_mib_max IS NULL) = (egress_micros_per_gib = 0)),
    CONSTRAINT leases_sum_exact
        CHECK (CASE WHEN running_ms = 0 AND egress_mib = 0 THEN numerator = 0
                    ELSE is_lease_sum(numerator, price_micros_per_hour::numeric * thousandths,
                                      spot_floor_micros_per_hour IS NOT NULL, storage_micros_per_gib_month,
                                      storage_bytes, running_ms, egress_micros_per_gib, egress_mib) END),
    CONSTRAINT leases_chosen_by_known
        CHECK (chosen_by IN ('named', 'price', 'fragmentation', 'lowest_id', 'nvlink', 'rack')),
    CONSTRAINT leases_price_not_below_floor CHECK (price_micros_per_hour >= spot_floor_micros_per_hour),
    CONSTRAINT leases_state_known CHECK (state IN ('allocated', 'preparing', 'running', 'reclaiming', 'ended')),
    CONSTRAINT leases_stop_reason_known CHECK (stop_reason IS NULL OR is_lease_reason(stop_reason)),
    CONSTRAINT leases_end_reason_known CHECK (end_reason IS NULL OR is_lease_reason(end_reason)),
    CONSTRAINT leases_end_reason_when_ending
        CHECK ((end_reason IS NOT NULL) = (state IN ('reclaiming', 'ended'))),
    CONSTRAINT leases_ended_at_when_ended CHECK ((ended_at IS NOT NULL) = (state = 'ended')),
    CONSTRAINT leases_released_after_end CHECK (NOT released OR state = 'ended'),
    CONSTRAINT leases_ended_holds_nothing CHECK (state <> 'ended' OR held_micros = 0),
    CONSTRAINT leases_held_not_negative CHECK (held_micros >= 0),
    CONSTRAINT leases_running_not_negative CHECK (running_ms >= 0 AND usage_sequence >= 0 AND claimed_ms >= 0),
    CONSTRAINT leases_charge_exact
        CHECK (CASE WHEN numerator = 0 THEN charged_micros = 0 ELSE is_lease_charge(charged_micros, numerator) END),
    CONSTRAINT leases_fee_exact
        CHECK (CASE WHEN charged_micros = 0 THEN fee_micros = 0
                    ELSE is_lease_fee(fee_micros, charged_micros, fee_ppm) END),
    CONSTRAINT leases_fee_ppm_within_limit CHECK (fee_ppm BETWEEN 0 AND 1000000),
    CONSTRAINT leases_price_within_limit CHECK (price_micros_per_hour BETWEEN 0 AND 1000000000000),
    CONSTRAINT leases_share_positive CHECK (thousandths > 0),
    CONSTRAINT leases_term_positive CHECK (term_ms > 0 AND reclaim_notice_ms >= 0),
    CONSTRAINT leases_attempt_positive CHECK (attempt > 0),
    CONSTRAINT leases_cards_named CHECK (cardinality(card_ids) > 0),
    CONSTRAINT leases_version_positive CHECK (version > 0),
    CONSTRAINT leases_rank_within_hosts CHECK (rank >= 0 AND rank < hosts AND hosts <= 16)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX leases_by_organization ON leases (organization_id, allocated_at, id);
CREATE INDEX leases_by_seller ON leases (seller_id, allocated_at, id);
-- What a host may still act on, and what a new leader reads.
CREATE INDEX leases_live_by_host ON leases (host_id) WHERE NOT released;
CREATE INDEX leases_unpaid_starts ON leases (host_id, ended_at)
    WHERE state = 'ended' AND preparing_at IS NOT NULL AND running_at IS NULL;
CREATE UNIQUE INDEX leases_one_per_job ON leases (job_id)
    WHERE job_id IS NOT NULL AND state <> 'ended';

CREATE TABLE lease_cards (
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
CREATE FUNCTION lease_cards_check_moved(named bigint, moved bigint) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    IF named <> moved THEN
        RAISE EXCEPTION 'a lease names a card that does not exist; it violates constraint "lease_cards_card_exists"'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'lease_cards_card_exists', TABLE = 'lease_cards';
    END IF;
END $$;
CREATE FUNCTION lease_cards_take() RETURNS trigger
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
CREATE FUNCTION lease_cards_change() RETURNS trigger
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
CREATE FUNCTION lease_cards_give_back() RETURNS trigger
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
CREATE TRIGGER lease_cards_inserted AFTER INSERT ON lease_cards
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION lease_cards_take();
CREATE TRIGGER lease_cards_updated AFTER UPDATE ON lease_cards
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION lease_cards_change();
CREATE TRIGGER lease_cards_deleted AFTER DELETE ON lease_cards
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION lease_cards_give_back();

CREATE TABLE jobs (
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
    rank             integer NOT NULL DEFAULT 0,
    hosts            integer NOT NULL DEFAULT 1,
    egress_mib_used  bigint NOT NULL DEFAULT 0,
    overage_micros_used bigint NOT NULL DEFAULT 0,
    restarts         integer NOT NULL DEFAULT 0,
    CONSTRAINT jobs_traffic_not_negative CHECK (egress_mib_used >= 0 AND overage_micros_used >= 0),
    CONSTRAINT jobs_restarts_not_negative CHECK (restarts >= 0),
    CONSTRAINT jobs_state_known
        CHECK (state IN ('queued', 'assigned', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT jobs_reason_known CHECK (reason IN (
        'completed', 'command_failed', 'out_of_memory', 'duration_exceeded', 'cancelled_by_renter', 'outbid',
        'reclaimed_by_owner', 'term_reached', 'funds_exhausted', 'host_lost', 'image_pull_failed', 'start_failed',
        'start_timeout', 'host_maintenance', 'policy_revoked', 'temporary_failure', 'unhealthy', 'idle')),
    CONSTRAINT jobs_attempts_within_limit CHECK (attempts >= 0 AND attempts <= attempts_max),
    CONSTRAINT jobs_duration_positive CHECK (max_duration_ms > 0),
    CONSTRAINT jobs_version_positive CHECK (version > 0),
    CONSTRAINT jobs_rank_within_hosts CHECK (rank >= 0 AND rank < hosts AND hosts <= 16)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX jobs_by_organization ON jobs (organization_id, queued_at DESC, id DESC);
CREATE INDEX jobs_live ON jobs (queued_at) WHERE state IN ('queued', 'assigned', 'running');

CREATE TABLE job_specs (
    job_id           uuid PRIMARY KEY,
    organization_id  uuid NOT NULL,
    document         text COMPRESSION lz4 NOT NULL
);
COMMENT ON COLUMN job_specs.document IS 'JSON, kept as it came: the market never reads it.';

CREATE TABLE usage_statements (
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
    accepted_egress_mib  bigint NOT NULL DEFAULT 0,
    CONSTRAINT usage_statements_traffic_not_negative CHECK (accepted_egress_mib >= 0),
    CONSTRAINT usage_statements_pkey PRIMARY KEY (lease_id, sequence),
    CONSTRAINT usage_statements_not_negative
        CHECK (sequence >= 0 AND accepted_running_ms >= 0 AND clipped_ms >= 0)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE TABLE receipts (
    lease_id          uuid PRIMARY KEY,
    organization_id   uuid NOT NULL,
    seller_id         uuid NOT NULL,
    statement         text NOT NULL,
    server_signature  text NOT NULL,
    at                bigint NOT NULL
);

-- Future blocks of cards that are promised to a renter, and the reserved time of each card. Two bookings of one
-- card cannot overlap.
CREATE TABLE reservations (
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
    storage_micros_per_gib_month bigint NOT NULL DEFAULT 0,
    stored_gib_max         bigint,
    egress_micros_per_gib  bigint NOT NULL DEFAULT 0,
    egress_gib             bigint NOT NULL DEFAULT 0,
    CONSTRAINT reservations_storage_within_limits
        CHECK (storage_micros_per_gib_month BETWEEN 0 AND 1000000000 AND stored_gib_max BETWEEN 0 AND 1000000),
    CONSTRAINT reservations_traffic_within_limits
        CHECK (egress_micros_per_gib BETWEEN 0 AND 1000000000 AND egress_gib BETWEEN 0 AND 1000000),
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
CREATE INDEX reservations_by_organization ON reservations (organization_id, booked_at, id);
CREATE INDEX reservations_by_seller ON reservations (seller_id, booked_at, id);
CREATE INDEX reservations_open ON reservations (booked_at) WHERE state IN ('booked', 'started');
CREATE INDEX reservations_offered ON reservations (booked_at, id)
    WHERE state = 'booked' AND offer_micros IS NOT NULL;

CREATE TABLE bookings (
    id               uuid PRIMARY KEY,
    card_id          uuid NOT NULL CONSTRAINT bookings_card_exists REFERENCES cards,
    organization_id  uuid NOT NULL CONSTRAINT bookings_organization_exists REFERENCES organizations,
    reservation_id   uuid NOT NULL CONSTRAINT bookings_reservation_exists REFERENCES reservations,
    starts_at        bigint NOT NULL,
    ends_at          bigint NOT NULL,
    version          bigint NOT NULL,
    during           int8range GENERATED ALWAYS AS (int8range(starts_at, ends_at)) STORED,
    CONSTRAINT bookings_time_in_order CHECK (starts_at < ends_at),
    CONSTRAINT bookings_no_overlap EXCLUDE USING gist (card_id WITH =, during WITH &&)
);
COMMENT ON COLUMN bookings.during IS 'Milliseconds since 1970-01-01T00:00:00Z.';

CREATE TABLE freezes (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL,
    target      text NOT NULL,
    note        text NOT NULL,
    created_by  text NOT NULL,
    created_at  bigint NOT NULL,
    CONSTRAINT freezes_kind_known CHECK (kind IN ('organization', 'host', 'market', 'image'))
);

CREATE TABLE market_settings (
    market   text PRIMARY KEY,
    fee_ppm  integer NOT NULL,
    version  bigint NOT NULL,
    spot_step_micros_per_hour bigint NOT NULL DEFAULT 10000,
    CONSTRAINT market_settings_spot_step_within_limit
        CHECK (spot_step_micros_per_hour BETWEEN 1 AND 1000000000000),
    CONSTRAINT market_settings_fee_within_limit CHECK (fee_ppm BETWEEN 0 AND 1000000)
);

-- What the market paid and how much of it was used.
CREATE TABLE price_candles (
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
CREATE INDEX price_candles_by_start ON price_candles (span, start_at);
COMMENT ON TABLE price_candles IS
    'Made from leases and listings once a minute. Minutes are kept 14 days, hours 400 days, days for ever.';

CREATE TABLE price_progress (
    market  text PRIMARY KEY,
    until   bigint NOT NULL
);
COMMENT ON COLUMN price_progress.until IS 'Trades before this moment are in the candles.';

GRANT SELECT, INSERT, UPDATE, DELETE ON price_candles TO fallow_engine;
GRANT SELECT, INSERT, UPDATE ON price_progress TO fallow_engine;
GRANT SELECT ON price_candles, price_progress TO fallow_admin;

-- The jurisdiction policy and the operator's approvals.
CREATE TABLE policies (
    version     bigint PRIMARY KEY,
    text        text NOT NULL,
    created_by  text NOT NULL,
    created_at  bigint NOT NULL,
    CONSTRAINT policies_version_positive CHECK (version > 0),
    CONSTRAINT policies_text_length CHECK (octet_length(text) <= 65536)
);
COMMENT ON TABLE policies IS 'Versions of the jurisdiction policy; the newest holds. Without one, that of the server.';

CREATE TABLE policy_approvals (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL CONSTRAINT policy_approvals_organization_exists REFERENCES organizations,
    model            text NOT NULL,
    note             text NOT NULL,
    created_by       text NOT NULL,
    created_at       bigint NOT NULL,
    CONSTRAINT policy_approvals_once UNIQUE (organization_id, model)
);

GRANT SELECT, INSERT ON policies, policy_approvals TO fallow_engine;
GRANT DELETE ON policy_approvals TO fallow_engine;
GRANT SELECT ON policies, policy_approvals TO fallow_admin;
GRANT SELECT ON policy_approvals TO fallow_request;

GRANT SELECT, INSERT, UPDATE ON hosts, listings, orders, leases, lease_cards, jobs, reservations, bookings,
    market_settings TO fallow_engine;
GRANT DELETE ON bookings, freezes TO fallow_engine;
GRANT SELECT, INSERT ON job_specs, usage_statements, receipts, freezes TO fallow_engine;
GRANT SELECT ON cards TO fallow_engine;
-- Every column of cards but `used`, which the trigger over lease_cards moves.
GRANT INSERT (id, host_id, organization_id, index, uuid, pci_address, product, vendor, device_class, backend,
              driver_version, vram_bytes, memory_bandwidth_bytes_per_s, fp32_flops, measured_at, state, version,
              cuda_version, compute_capability, pcie_generation, pcie_width, power_limit_watts,
              measured_fp16_flops, to_device_bytes_per_s, from_device_bytes_per_s, clock_mhz, ecc, ecc_errors,
              nvlink_links, nvlink_bytes_per_s, nvlink_group, mig_profile, mig_parent, verification, refusal,
              verified_at, withheld_reason),
      UPDATE (host_id, organization_id, index, uuid, pci_address, product, vendor, device_class, backend,
              driver_version, vram_bytes, memory_bandwidth_bytes_per_s, fp32_flops, measured_at, state, version,
              cuda_version, compute_capability, pcie_generation, pcie_width, power_limit_watts,
              measured_fp16_flops, to_device_bytes_per_s, from_device_bytes_per_s, clock_mhz, ecc, ecc_errors,
              nvlink_links, nvlink_bytes_per_s, nvlink_group, mig_profile, mig_parent, verification, refusal,
              verified_at, withheld_reason)
    ON cards TO fallow_engine;
GRANT SELECT ON hosts, cards, listings, orders, leases, lease_cards, jobs, job_specs, usage_statements, receipts,
    reservations, bookings TO fallow_request;
GRANT SELECT ON hosts, cards, listings, orders, leases, lease_cards, jobs, job_specs, usage_statements, receipts,
    reservations, bookings, freezes, market_settings TO fallow_admin;
GRANT SELECT ON hosts TO fallow_auth;
GRANT SELECT ON hosts, cards, leases, jobs, job_specs TO fallow_agent;
GRANT SELECT ON leases, usage_statements, receipts, hosts, cards, lease_cards, reservations TO fallow_proof;

-- Leadership, the journal and idempotency keys.

-- Who leads a market. Every batch begins by raising seq here where (market, epoch, seq) match, and keeps the row
-- locked to its commit: no row means that another leader has taken over. chain is that of journal record seq.
CREATE TABLE market_leader (
    market  text PRIMARY KEY,
    holder  text,
    epoch   bigint NOT NULL DEFAULT 0,
    seq     bigint NOT NULL DEFAULT 0,
    beat    timestamptz NOT NULL DEFAULT '-infinity',
    chain   text NOT NULL DEFAULT '',
    address text,
    CONSTRAINT market_leader_not_negative CHECK (epoch >= 0 AND seq >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
COMMENT ON COLUMN market_leader.address IS 'Host and port at which other servers reach the holder.';

-- What all servers on this database have in common, written by the first. A server with other keys would hand out
-- certificates and signatures that nobody trusts, and does not start.
CREATE TABLE server_keys (
    single            boolean PRIMARY KEY DEFAULT true,
    authority_sha256  text NOT NULL,
    signing_key       text NOT NULL,
    CONSTRAINT server_keys_one_row CHECK (single)
);
COMMENT ON COLUMN server_keys.authority_sha256 IS 'Of the certificate authority''s public key, in lower-case hex.';
COMMENT ON COLUMN server_keys.signing_key IS 'The public key that receipts verify under, in base64.';

-- Streams of the journal that no leader writes: what is not market. Appended to by journal_append().
CREATE TABLE journal_streams (
    stream  text PRIMARY KEY,
    seq     bigint NOT NULL DEFAULT 0,
    chain   text NOT NULL DEFAULT ''
) WITH (fillfactor = 10);

-- Append only. chain = lower-case hex of SHA-256 over the previous record's chain (as hex text, empty before the
-- first) followed by the record's own bytes; the record is text, not jsonb, so that its bytes stay what was hashed.
-- Partitions hold ten million sequence numbers each. Retention: 400 days, dropped a partition at a time by
-- fallow_maintain(), which keeps the last chain of what it drops in journal_anchors.
CREATE TABLE journal (
    stream  text NOT NULL,
    seq     bigint NOT NULL,
    epoch   bigint NOT NULL,
    at      bigint NOT NULL,
    record  text COMPRESSION lz4 NOT NULL,
    chain   text NOT NULL,
    CONSTRAINT journal_pkey PRIMARY KEY (stream, seq),
    CONSTRAINT journal_seq_positive CHECK (seq > 0),
    CONSTRAINT journal_chain_form CHECK (chain ~ '^[0-9a-f]{64}$')
) PARTITION BY RANGE (seq);
CREATE TABLE journal_0 PARTITION OF journal FOR VALUES FROM (0) TO (10000000);

-- Where the chain of a stream starts after its oldest partitions were dropped.
CREATE TABLE journal_anchors (
    stream  text PRIMARY KEY,
    seq     bigint NOT NULL,
    chain   text NOT NULL,
    at      bigint NOT NULL
);

-- Replies kept for 72 h, in a partition a day, dropped whole. A unique index of each partition makes a key unique
-- within its day; the parent can have none without created_at in it. The default partition takes rows of days that
-- have no partition, so that a late fallow_maintain() costs a slower clean-up and no request.
CREATE TABLE idempotency_keys (
    organization_id  uuid NOT NULL,
    route            text NOT NULL,
    key              text NOT NULL,
    body_hash        text NOT NULL,
    status           integer NOT NULL,
    reply            text COMPRESSION lz4 NOT NULL,
    created_at       bigint NOT NULL,
    CONSTRAINT idempotency_keys_key_length CHECK (octet_length(key) BETWEEN 1 AND 255),
    CONSTRAINT idempotency_keys_status_form CHECK (status BETWEEN 100 AND 599)
) PARTITION BY RANGE (created_at);
CREATE TABLE idempotency_keys_default PARTITION OF idempotency_keys DEFAULT;
CREATE UNIQUE INDEX idempotency_keys_default_once
    ON idempotency_keys_default (organization_id, route, key);

-- Makes the partitions of the days and sequence numbers ahead and drops what is past its retention.
-- Called when a leader starts and every hour.
CREATE FUNCTION fallow_maintain(now_ms bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    day_ms CONSTANT bigint := 86400000;
    keys_kept_ms CONSTANT bigint := 3 * day_ms;
    journal_kept_ms CONSTANT bigint := 400 * day_ms;
    records_a_partition CONSTANT bigint := 10000000;
    first bigint;
    newest bigint;
    head bigint;
    part text;
BEGIN
    FOR first IN SELECT (now_ms / day_ms + ahead) * day_ms FROM generate_series(0, 7) AS ahead LOOP
        part := 'idempotency_keys_' || (first / day_ms);
        IF to_regclass(part) IS NULL AND NOT EXISTS (
            SELECT FROM idempotency_keys_default WHERE created_at >= first AND created_at < first + day_ms) THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF idempotency_keys FOR VALUES FROM (%s) TO (%s)',
                           part, first, first + day_ms);
            EXECUTE format('CREATE UNIQUE INDEX %I ON %I (organization_id, route, key)', part || '_once', part);
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', part);
        END IF;
    END LOOP;
    FOR part IN SELECT inhrelid::regclass::text FROM pg_inherits
                WHERE inhparent = 'idempotency_keys'::regclass
                  AND inhrelid <> 'idempotency_keys_default'::regclass LOOP
        first := substring(part FROM '\d+$')::bigint * day_ms;
        IF first + day_ms <= now_ms - keys_kept_ms THEN
            EXECUTE format('DROP TABLE %I', part);
        END IF;
    END LOOP;
    DELETE FROM idempotency_keys_default WHERE created_at < now_ms - keys_kept_ms;

    SELECT greatest((SELECT max(seq) FROM market_leader), (SELECT max(seq) FROM journal_streams), 0) INTO head;
    FOR first IN SELECT (head / records_a_partition + ahead) * records_a_partition
                 FROM generate_series(0, 1) AS ahead LOOP
        part := 'journal_' || first;
        IF to_regclass(part) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF journal FOR VALUES FROM (%s) TO (%s)',
                           part, first, first + records_a_partition);
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', part);
            EXECUTE format('CREATE POLICY all_tenants ON %I TO fallow_owner USING (true)', part);
        END IF;
    END LOOP;
    -- Oldest first, and never a partition that holds the newest record of a stream.
    FOR part IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'journal'::regclass
                ORDER BY substring(inhrelid::regclass::text FROM '\d+$')::bigint LOOP
        first := substring(part FROM '\d+$')::bigint;
        EXECUTE format('SELECT max(at) FROM %I', part) INTO newest;
        EXIT WHEN newest IS NULL OR newest >= now_ms - journal_kept_ms;
        EXIT WHEN EXISTS (SELECT seq FROM market_leader WHERE seq > 0 AND seq < first + records_a_partition
                          UNION ALL
                          SELECT seq FROM journal_streams WHERE seq > 0 AND seq < first + records_a_partition);
        EXECUTE format('INSERT INTO journal_anchors (stream, seq, chain, at) '
                       'SELECT DISTINCT ON (stream) stream, seq, chain, at FROM %I ORDER BY stream, seq DESC '
                       'ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, chain = excluded.chain, '
                       'at = excluded.at', part);
        EXECUTE format('DROP TABLE %I', part);
    END LOOP;
END $$;

-- The compare-and-set that every batch begins with; the row stays locked to the commit. An error, not zero rows:
-- the statements behind it in the same round trip must not run.
CREATE FUNCTION market_claim(claimed_market text, claimed_epoch bigint, claimed_seq bigint, next_chain text)
    RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE market_leader SET seq = seq + 1, beat = clock_timestamp(), chain = next_chain
    WHERE market = claimed_market AND epoch = claimed_epoch AND seq = claimed_seq - 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the leader row has another epoch or sequence' USING ERRCODE = 'FL001';
    END IF;
END $$;

-- Appends to the stream of what is not market, in the order of commits: the stream's row stays locked until then.
CREATE FUNCTION journal_append(now_ms bigint, entry text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head journal_streams;
BEGIN
    UPDATE journal_streams
    SET seq = seq + 1, chain = encode(sha256(convert_to(chain || entry, 'UTF8')), 'hex')
    WHERE stream = 'accounts' RETURNING * INTO STRICT head;
    INSERT INTO journal (stream, seq, epoch, at, record, chain)
        VALUES (head.stream, head.seq, 0, now_ms, entry, head.chain);
    RETURN head.seq;
END $$;

INSERT INTO market_leader (market) VALUES ('main');
INSERT INTO market_settings (market, fee_ppm, version) VALUES ('main', 0, 1);
INSERT INTO journal_streams (stream) VALUES ('accounts');

GRANT SELECT, INSERT, UPDATE ON market_leader TO fallow_engine;
GRANT SELECT, INSERT ON server_keys TO fallow_auth;
GRANT SELECT, INSERT ON journal, idempotency_keys TO fallow_engine;
GRANT SELECT ON journal_streams, journal_anchors TO fallow_engine;
GRANT SELECT, INSERT ON idempotency_keys TO fallow_request, fallow_admin;
GRANT SELECT ON market_leader, journal, journal_streams, journal_anchors TO fallow_admin, fallow_proof;
GRANT EXECUTE ON FUNCTION fallow_maintain(bigint) TO fallow_engine;
GRANT EXECUTE ON FUNCTION market_claim(text, bigint, bigint, text) TO fallow_engine;
GRANT EXECUTE ON FUNCTION journal_append(bigint, text)
    TO fallow_engine, fallow_request, fallow_admin, fallow_auth, fallow_agent;

-- Who may call: API keys, enrolment tokens, agents' certificates. Secrets are kept as SHA-256 only.

CREATE TABLE api_keys (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL CONSTRAINT api_keys_organization_exists REFERENCES organizations,
    name             text NOT NULL,
    prefix           text NOT NULL,
    hash             bytea NOT NULL CONSTRAINT api_keys_hash_unique UNIQUE,
    scopes           text[] NOT NULL,
    created_at       bigint NOT NULL,
    expires_at       bigint NOT NULL,
    revoked_at       bigint,
    rotated_to       uuid,
    CONSTRAINT api_keys_hash_size CHECK (octet_length(hash) = 32),
    CONSTRAINT api_keys_name_length CHECK (octet_length(name) BETWEEN 1 AND 100),
    CONSTRAINT api_keys_scopes_known CHECK (
        cardinality(scopes) > 0
        AND scopes <@ ARRAY['seller:read', 'seller:write', 'renter:read', 'renter:write', 'admin'])
);
CREATE INDEX api_keys_by_organization ON api_keys (organization_id, created_at DESC, id DESC);

CREATE TABLE enrollment_tokens (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL CONSTRAINT enrollment_tokens_organization_exists REFERENCES organizations,
    host_name        text NOT NULL,
    country          text NOT NULL,
    hash             bytea NOT NULL CONSTRAINT enrollment_tokens_hash_unique UNIQUE,
    created_at       bigint NOT NULL,
    expires_at       bigint NOT NULL,
    used_at          bigint,
    host_id          uuid,
    signing_key      text,
    CONSTRAINT enrollment_tokens_hash_size CHECK (octet_length(hash) = 32),
    CONSTRAINT enrollment_tokens_bound_when_used CHECK (num_nulls(used_at, host_id, signing_key) IN (0, 3))
);
CREATE INDEX enrollment_tokens_by_organization ON enrollment_tokens (organization_id, expires_at);

-- Queries that an organization keeps under a name.
CREATE TABLE saved_searches (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL CONSTRAINT saved_searches_organization_exists REFERENCES organizations,
    name             text NOT NULL,
    query            text NOT NULL,
    created_at       bigint NOT NULL,
    CONSTRAINT saved_searches_name_length CHECK (octet_length(name) BETWEEN 1 AND 100),
    CONSTRAINT saved_searches_query_length CHECK (octet_length(query) BETWEEN 1 AND 2000),
    CONSTRAINT saved_searches_name_once UNIQUE (organization_id, name)
);
CREATE INDEX saved_searches_by_organization ON saved_searches (organization_id, created_at DESC, id DESC);
GRANT SELECT, INSERT, DELETE ON saved_searches TO fallow_request;

-- Tunnels that renters wait for: which host is to come to which server. A row is of use for seconds; it is how a server
-- that an agent listens to hears of a renter who has asked another one.
CREATE TABLE tunnel_head (
    single    boolean PRIMARY KEY DEFAULT true,
    sequence  bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE tunnel_head IS 'One row: the sequence of the last tunnel. Its row lock makes tunnels commit in their order.';
INSERT INTO tunnel_head DEFAULT VALUES;

CREATE TABLE tunnels (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL,
    lease_id         uuid NOT NULL,
    host_id          uuid NOT NULL,
    home             text NOT NULL,
    expires_at       bigint NOT NULL,
    sequence         bigint NOT NULL
);
COMMENT ON COLUMN tunnels.home IS 'Host and port at which other servers reach the one where the renter waits.';

-- Numbers a tunnel, and sweeps away those for which nobody can wait any more, so that the table stays small.
CREATE FUNCTION tunnels_number() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE tunnel_head SET sequence = sequence + 1 RETURNING sequence INTO NEW.sequence;
    DELETE FROM tunnels WHERE expires_at < NEW.expires_at - 60000;
    RETURN NEW;
END $$;
CREATE TRIGGER tunnels_number BEFORE INSERT ON tunnels
    FOR EACH ROW EXECUTE FUNCTION tunnels_number();

GRANT SELECT, INSERT ON tunnels TO fallow_request;
GRANT SELECT ON tunnels TO fallow_agent, fallow_engine;
GRANT SELECT ON tunnel_head TO fallow_engine;

CREATE TABLE agent_certificates (
    serial_hex   text PRIMARY KEY,
    host_id      uuid NOT NULL,
    issued_at    bigint NOT NULL,
    expires_at   bigint NOT NULL,
    revoked_at   bigint,
    CONSTRAINT agent_certificates_serial_form CHECK (serial_hex ~ '^[0-9a-f]{1,40}$')
);
CREATE INDEX agent_certificates_by_host ON agent_certificates (host_id);

-- A request makes and revokes its organization's keys and never reads a hash.
GRANT SELECT (id, organization_id, name, prefix, scopes, created_at, expires_at, revoked_at, rotated_to), INSERT,
    UPDATE (name, expires_at, revoked_at, rotated_to) ON api_keys TO fallow_request, fallow_admin;
GRANT SELECT, INSERT ON api_keys TO fallow_auth;
GRANT SELECT (id, organization_id, host_name, country, created_at, expires_at, used_at, host_id), INSERT
    ON enrollment_tokens TO fallow_request, fallow_admin;
GRANT SELECT, UPDATE (used_at, host_id, signing_key) ON enrollment_tokens TO fallow_auth;
GRANT SELECT, INSERT, UPDATE (revoked_at) ON agent_certificates TO fallow_auth;
GRANT SELECT, UPDATE (revoked_at) ON agent_certificates TO fallow_admin;

-- Files in and out of jobs, and their logs. Kept until expires_at (72 h after the last change), logs for 14 days;
-- fallow_expire() removes what is past that.

CREATE TABLE artifacts (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL,
    name             text NOT NULL,
    bytes            bigint NOT NULL,
    sha256           text NOT NULL,
    state            text NOT NULL,
    parts_received   integer NOT NULL DEFAULT 0,
    created_at       bigint NOT NULL,
    expires_at       bigint NOT NULL,
    CONSTRAINT artifacts_state_known CHECK (state IN ('uploading', 'complete')),
    CONSTRAINT artifacts_bytes_within_limit CHECK (bytes BETWEEN 0 AND 268435456),
    CONSTRAINT artifacts_sha256_form CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT artifacts_parts_not_negative CHECK (parts_received >= 0)
);
CREATE INDEX artifacts_by_expiry ON artifacts (expires_at);
-- An upload that was broken off is looked for by its content.
CREATE INDEX artifacts_by_content ON artifacts (organization_id, sha256);
CREATE INDEX artifacts_by_organization ON artifacts (organization_id);

-- Of all of an organization's artifacts, also those the asking role cannot see.
CREATE FUNCTION artifacts_held(organization uuid, now_ms bigint, OUT held bigint, OUT held_bytes bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM artifacts
    WHERE organization_id = organization AND expires_at > now_ms
$$;

CREATE TABLE artifact_parts (
    artifact_id  uuid NOT NULL,
    part         integer NOT NULL,
    data         bytea COMPRESSION lz4,
    chunk_job_id uuid,
    chunk_sha256 text,
    CONSTRAINT artifact_parts_pkey PRIMARY KEY (artifact_id, part),
    CONSTRAINT artifact_parts_number CHECK (part BETWEEN 0 AND 255),
    CONSTRAINT artifact_parts_size CHECK (octet_length(data) BETWEEN 1 AND 1048576),
    CONSTRAINT artifact_parts_one_source
        CHECK ((data IS NULL) = (chunk_sha256 IS NOT NULL) AND (chunk_job_id IS NULL) = (chunk_sha256 IS NULL))
);

CREATE TABLE job_outputs (
    job_id           uuid NOT NULL,
    attempt          integer NOT NULL,
    lease_id         uuid NOT NULL,
    path             text NOT NULL,
    artifact_id      uuid NOT NULL,
    organization_id  uuid NOT NULL,
    CONSTRAINT job_outputs_pkey PRIMARY KEY (job_id, attempt, path)
);
CREATE INDEX job_outputs_by_artifact ON job_outputs (artifact_id);

CREATE TABLE job_logs (
    job_id           uuid NOT NULL,
    attempt          integer NOT NULL,
    sequence         bigint NOT NULL,
    stream           text NOT NULL,
    at               bigint NOT NULL,
    data             bytea COMPRESSION lz4 NOT NULL,
    organization_id  uuid NOT NULL,
    CONSTRAINT job_logs_pkey PRIMARY KEY (job_id, attempt, sequence),
    CONSTRAINT job_logs_stream_known CHECK (stream IN ('stdout', 'stderr')),
    CONSTRAINT job_logs_size CHECK (octet_length(data) <= 65536)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
-- Rows arrive in the order of time, so a block range index finds the old ones and costs an insert nothing.
CREATE INDEX job_logs_by_time ON job_logs USING brin (at);

-- How far the log of an attempt has come, so that an append reads one row and not the log.
CREATE TABLE job_log_heads (
    job_id           uuid NOT NULL,
    attempt          integer NOT NULL,
    organization_id  uuid NOT NULL,
    next_sequence    bigint NOT NULL,
    bytes            bigint NOT NULL,
    cut              boolean NOT NULL,
    updated_at       bigint NOT NULL,
    CONSTRAINT job_log_heads_pkey PRIMARY KEY (job_id, attempt),
    CONSTRAINT job_log_heads_not_negative CHECK (next_sequence >= 0 AND bytes >= 0)
) WITH (fillfactor = 50);
CREATE INDEX job_log_heads_by_update ON job_log_heads USING brin (updated_at);

-- Removes what is past its retention, at most rows_max rows of each kind a call; returns how many are gone. A log's
-- head outlives its lines, so that a late repeat cannot start it anew.
CREATE FUNCTION fallow_expire(now_ms bigint, rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    day_ms CONSTANT bigint := 86400000;
    gone bigint := 0;
    removed bigint;
BEGIN
    WITH old AS (SELECT id FROM artifacts WHERE expires_at <= now_ms ORDER BY expires_at LIMIT rows_max),
         parts AS (DELETE FROM artifact_parts WHERE artifact_id IN (SELECT id FROM old)),
         outputs AS (DELETE FROM job_outputs WHERE artifact_id IN (SELECT id FROM old))
    DELETE FROM artifacts WHERE id IN (SELECT id FROM old);
    GET DIAGNOSTICS removed = ROW_COUNT;
    gone := gone + removed;
    DELETE FROM job_logs WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM job_logs WHERE at <= now_ms - 14 * day_ms LIMIT rows_max));
    GET DIAGNOSTICS removed = ROW_COUNT;
    gone := gone + removed;
    DELETE FROM job_log_heads WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM job_log_heads WHERE updated_at <= now_ms - 28 * day_ms LIMIT rows_max));
    GET DIAGNOSTICS removed = ROW_COUNT;
    gone := gone + removed;
    DELETE FROM enrollment_tokens WHERE id = ANY (ARRAY(
        SELECT id FROM enrollment_tokens WHERE expires_at <= now_ms - day_ms LIMIT rows_max));
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN gone + removed;
END $$;

GRANT SELECT, INSERT, UPDATE (state, parts_received, expires_at) ON artifacts TO fallow_request, fallow_agent;
GRANT SELECT, INSERT, UPDATE (data) ON artifact_parts TO fallow_request, fallow_agent;
GRANT SELECT ON job_outputs, job_logs TO fallow_request;
GRANT SELECT, INSERT, UPDATE (artifact_id) ON job_outputs TO fallow_agent;
GRANT SELECT, INSERT ON job_logs TO fallow_agent;
GRANT SELECT ON job_log_heads TO fallow_request, fallow_admin;
GRANT SELECT, INSERT, UPDATE (next_sequence, bytes, cut, updated_at) ON job_log_heads TO fallow_agent;
GRANT EXECUTE ON FUNCTION artifacts_held(uuid, bigint) TO fallow_request, fallow_agent;
GRANT SELECT ON artifacts, job_outputs, job_logs TO fallow_admin;
GRANT EXECUTE ON FUNCTION fallow_expire(bigint, integer) TO fallow_engine;

-- Row-level security, forced on every table that holds a tenant's rows, the owner included. Two kinds of policy:
--   all_tenants  for the roles whose grants already say what they may do
--   tenant       for a request, bound to one organization; host: for an agent, bound to one host
-- A setting that is absent is NULL, which equals nothing: no rows.


ALTER TABLE organizations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON organizations TO fallow_owner, fallow_engine, fallow_admin, fallow_proof, fallow_auth
    USING (true);
CREATE POLICY tenant ON organizations TO fallow_request
    USING (id = fallow_organization());

ALTER TABLE accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON accounts TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON accounts TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE transfers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON transfers TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON transfers TO fallow_request
    USING (debit_organization_id = fallow_organization() OR credit_organization_id = fallow_organization());

ALTER TABLE hosts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON hosts TO fallow_owner, fallow_engine, fallow_admin, fallow_proof, fallow_auth
    USING (true);
CREATE POLICY tenant ON hosts TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON hosts TO fallow_agent
    USING (id = fallow_host());

ALTER TABLE cards ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON cards TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON cards TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON cards TO fallow_agent
    USING (host_id = fallow_host());

ALTER TABLE listings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON listings TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON listings TO fallow_request
    USING (organization_id = fallow_organization() OR state = 'open');

ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON orders TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON orders TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE leases ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON leases TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON leases TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization());
CREATE POLICY host ON leases TO fallow_agent
    USING (host_id = fallow_host());

ALTER TABLE lease_cards ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON lease_cards TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON lease_cards TO fallow_request
    USING (EXISTS (SELECT FROM leases WHERE leases.id = lease_cards.lease_id));

ALTER TABLE jobs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON jobs TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON jobs TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON jobs TO fallow_agent
    USING (EXISTS (SELECT FROM leases WHERE leases.id = jobs.lease_id));

ALTER TABLE job_specs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON job_specs TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON job_specs TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON job_specs TO fallow_agent
    USING (EXISTS (SELECT FROM jobs WHERE jobs.id = job_specs.job_id));

ALTER TABLE usage_statements ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON usage_statements TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON usage_statements TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization());

ALTER TABLE receipts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON receipts TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON receipts TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization());

ALTER TABLE reservations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON reservations TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON reservations TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization()
           OR (state = 'booked' AND offer_micros IS NOT NULL));

ALTER TABLE bookings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON bookings TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON bookings TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE policy_approvals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON policy_approvals TO fallow_owner, fallow_engine, fallow_admin
    USING (true);
CREATE POLICY tenant ON policy_approvals TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE journal ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON journal TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
ALTER TABLE journal_0 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON journal_0 TO fallow_owner
    USING (true);

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON idempotency_keys TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON idempotency_keys TO fallow_request
    USING (organization_id = fallow_organization());
ALTER TABLE idempotency_keys_default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON idempotency_keys_default TO fallow_owner
    USING (true);

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON api_keys TO fallow_owner, fallow_admin, fallow_auth
    USING (true);
CREATE POLICY tenant ON api_keys TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE enrollment_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON enrollment_tokens TO fallow_owner, fallow_admin, fallow_auth
    USING (true);
CREATE POLICY tenant ON enrollment_tokens TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE saved_searches ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON saved_searches TO fallow_owner
    USING (true);
CREATE POLICY tenant ON saved_searches TO fallow_request
    USING (organization_id = fallow_organization());

ALTER TABLE tunnels ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON tunnels TO fallow_owner, fallow_engine
    USING (true);
CREATE POLICY tenant ON tunnels TO fallow_request
    USING (organization_id = fallow_organization())
    WITH CHECK (organization_id = fallow_organization()
                AND EXISTS (SELECT FROM leases
                            WHERE leases.id = tunnels.lease_id AND leases.host_id = tunnels.host_id
                              AND leases.organization_id = tunnels.organization_id));
CREATE POLICY host ON tunnels TO fallow_agent
    USING (host_id = fallow_host());

ALTER TABLE agent_certificates ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON agent_certificates TO fallow_owner, fallow_admin, fallow_auth
    USING (true);

-- A host's agent reaches the files of the organizations it serves at this moment, and no others.

ALTER TABLE artifacts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON artifacts TO fallow_owner, fallow_admin
    USING (true);
CREATE POLICY tenant ON artifacts TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON artifacts TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.organization_id = artifacts.organization_id));

-- The parts of a complete artifact cannot be written again. Which artifacts are in sight is their own policy's say.

ALTER TABLE artifact_parts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON artifact_parts TO fallow_owner
    USING (true);
CREATE POLICY tenant ON artifact_parts TO fallow_request
    USING (EXISTS (SELECT FROM artifacts WHERE artifacts.id = artifact_parts.artifact_id))
    WITH CHECK (EXISTS (
        SELECT FROM artifacts WHERE artifacts.id = artifact_parts.artifact_id AND artifacts.state = 'uploading'));
CREATE POLICY host ON artifact_parts TO fallow_agent
    USING (EXISTS (SELECT FROM artifacts WHERE artifacts.id = artifact_parts.artifact_id))
    WITH CHECK (EXISTS (
        SELECT FROM artifacts WHERE artifacts.id = artifact_parts.artifact_id AND artifacts.state = 'uploading'));


ALTER TABLE job_outputs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON job_outputs TO fallow_owner, fallow_admin
    USING (true);
CREATE POLICY tenant ON job_outputs TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON job_outputs TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.id = job_outputs.lease_id
                     AND leases.organization_id = job_outputs.organization_id));

ALTER TABLE job_log_heads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON job_log_heads TO fallow_owner, fallow_admin
    USING (true);
CREATE POLICY tenant ON job_log_heads TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON job_log_heads TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = job_log_heads.job_id
                     AND leases.organization_id = job_log_heads.organization_id));

ALTER TABLE job_logs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON job_logs TO fallow_owner, fallow_admin
    USING (true);
CREATE POLICY tenant ON job_logs TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON job_logs TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = job_logs.job_id
                     AND leases.organization_id = job_logs.organization_id));

-- What anybody who may search sees of a stranger's open listing: these columns of its host and its cards.
CREATE VIEW listed_hosts WITH (security_barrier) AS
    SELECT id, organization_id, state, verification, country, runtime
    FROM hosts
    WHERE EXISTS (SELECT FROM listings WHERE listings.host_id = hosts.id AND listings.state = 'open');
-- How far such a host can be relied on, and from what that follows.
CREATE VIEW listed_host_records WITH (security_barrier) AS
    SELECT id, delivered_ms, lost_ms, reclaimed_ms, start_failed_ms, clipped_ms
    FROM hosts
    WHERE EXISTS (SELECT FROM listings WHERE listings.host_id = hosts.id AND listings.state = 'open');
CREATE VIEW listed_cards WITH (security_barrier) AS
    SELECT id, host_id, organization_id, product, vendor, device_class, backend, vram_bytes,
           memory_bandwidth_bytes_per_s, fp32_flops, measured_at, state, used
    FROM cards
    WHERE EXISTS (SELECT FROM listings
                  WHERE listings.host_id = cards.host_id AND listings.state = 'open'
                    AND cards.id = ANY (listings.card_ids));
-- A receipt's verifier needs the public key of the host that signed it, and the server's word for that key.
CREATE VIEW host_keys AS
    SELECT id AS host_id, signing_key, signing_key_certificate, enrolled_at AS registered_at FROM hosts;
GRANT SELECT ON listed_hosts, listed_host_records, listed_cards, host_keys TO fallow_request, fallow_admin;

-- Spot prices: pools with their price and its history, and what a lease cost when.
CREATE TABLE spot_pools (
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

CREATE TABLE spot_prices (
    pool_id                uuid NOT NULL,
    at                     bigint NOT NULL,
    price_micros_per_hour  bigint,
    CONSTRAINT spot_prices_pkey PRIMARY KEY (pool_id, at),
    CONSTRAINT spot_prices_price_within_limit CHECK (price_micros_per_hour BETWEEN 0 AND 1000000000000)
);
COMMENT ON COLUMN spot_prices.price_micros_per_hour IS 'Of the pool''s cheapest card from then on; null while none was offered.';

-- A spot lease's price from a point of its running time on. It names the bid, so that only the renter sees it.
CREATE TABLE lease_segments (
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
CREATE POLICY all_tenants ON lease_segments TO fallow_owner, fallow_engine, fallow_admin, fallow_proof
    USING (true);
CREATE POLICY tenant ON lease_segments TO fallow_request
    USING (organization_id = fallow_organization());

GRANT SELECT, INSERT, UPDATE ON spot_pools TO fallow_engine;
GRANT SELECT, INSERT ON spot_prices, lease_segments TO fallow_engine;
GRANT SELECT ON spot_pools, spot_prices, lease_segments TO fallow_request, fallow_admin;
GRANT SELECT ON lease_segments TO fallow_proof;

-- Checkpoints of jobs: what the folder that a job names held at one moment. A manifest names its files' chunks by their
-- SHA-256; a chunk is kept once for each job. Kept while the job lives and for 72 h after its end.

CREATE TABLE checkpoint_heads (
    job_id           uuid NOT NULL,
    organization_id  uuid NOT NULL,
    next_number      integer NOT NULL DEFAULT 1,
    stored_bytes     bigint NOT NULL DEFAULT 0,
    problem          text,
    problem_at       bigint,
    CONSTRAINT checkpoint_heads_pkey PRIMARY KEY (job_id),
    CONSTRAINT checkpoint_heads_not_negative CHECK (next_number >= 1 AND stored_bytes >= 0),
    CONSTRAINT checkpoint_heads_problem_dated CHECK ((problem IS NULL) = (problem_at IS NULL))
) WITH (fillfactor = 50);
CREATE INDEX checkpoint_heads_by_organization ON checkpoint_heads (organization_id);

CREATE TABLE checkpoint_chunks (
    job_id           uuid NOT NULL,
    sha256           text NOT NULL,
    organization_id  uuid NOT NULL,
    bytes            integer NOT NULL,
    data             bytea COMPRESSION lz4 NOT NULL,
    CONSTRAINT checkpoint_chunks_pkey PRIMARY KEY (job_id, sha256),
    CONSTRAINT checkpoint_chunks_sha256_form CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT checkpoint_chunks_size CHECK (bytes BETWEEN 1 AND 1048576 AND bytes = octet_length(data))
);

CREATE TABLE checkpoints (
    job_id           uuid NOT NULL,
    number           integer NOT NULL,
    organization_id  uuid NOT NULL,
    attempt          integer NOT NULL,
    lease_id         uuid NOT NULL,
    lease_epoch      bigint NOT NULL,
    bytes            bigint NOT NULL,
    entries          integer NOT NULL,
    created_at       bigint NOT NULL,
    document         text NOT NULL,
    chunks           text[] NOT NULL,
    CONSTRAINT checkpoints_pkey PRIMARY KEY (job_id, number),
    CONSTRAINT checkpoints_bytes_within_limit CHECK (bytes BETWEEN 0 AND 4294967296),
    CONSTRAINT checkpoints_entries_within_limit CHECK (entries BETWEEN 0 AND 4096)
);
COMMENT ON COLUMN checkpoints.document IS 'The entries, JSON.';
COMMENT ON COLUMN checkpoints.chunks IS 'Those that the entries name, each once.';

-- Of all of an organization's jobs, also those the asking role cannot see.
CREATE FUNCTION checkpoint_bytes_held(organization uuid) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(sum(stored_bytes), 0)::bigint FROM checkpoint_heads WHERE organization_id = organization
$$;

-- Removes what is left of at most rows_max jobs that ended 72 h ago; returns how many those were.
CREATE FUNCTION checkpoints_expire(now_ms bigint, rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kept_ms CONSTANT bigint := 72 * 3600000;
    gone bigint;
BEGIN
    WITH old AS (SELECT h.job_id FROM checkpoint_heads h JOIN jobs j ON j.id = h.job_id
                 WHERE j.finished_at <= now_ms - kept_ms LIMIT rows_max),
         chunks AS (DELETE FROM checkpoint_chunks WHERE job_id IN (SELECT job_id FROM old)),
         manifests AS (DELETE FROM checkpoints WHERE job_id IN (SELECT job_id FROM old))
    DELETE FROM checkpoint_heads WHERE job_id IN (SELECT job_id FROM old);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

GRANT SELECT ON checkpoint_heads, checkpoint_chunks, checkpoints TO fallow_request;
GRANT SELECT ON checkpoint_heads, checkpoints TO fallow_admin;
GRANT SELECT, INSERT, UPDATE (next_number, stored_bytes, problem, problem_at) ON checkpoint_heads TO fallow_agent;
GRANT SELECT, INSERT, DELETE ON checkpoint_chunks, checkpoints TO fallow_agent;
GRANT EXECUTE ON FUNCTION checkpoint_bytes_held(uuid) TO fallow_agent;
GRANT EXECUTE ON FUNCTION checkpoints_expire(bigint, integer) TO fallow_engine;

ALTER TABLE checkpoint_heads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON checkpoint_heads TO fallow_owner, fallow_admin
    USING (true);
CREATE POLICY tenant ON checkpoint_heads TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON checkpoint_heads TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = checkpoint_heads.job_id
                     AND leases.organization_id = checkpoint_heads.organization_id));

ALTER TABLE checkpoint_chunks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON checkpoint_chunks TO fallow_owner
    USING (true);
CREATE POLICY tenant ON checkpoint_chunks TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON checkpoint_chunks TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = checkpoint_chunks.job_id
                     AND leases.organization_id = checkpoint_chunks.organization_id));

ALTER TABLE checkpoints ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON checkpoints TO fallow_owner, fallow_admin
    USING (true);
CREATE POLICY tenant ON checkpoints TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON checkpoints TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = checkpoints.job_id
                     AND leases.organization_id = checkpoints.organization_id));

-- Telemetry: how much of its cards a lease used, a row for each card and minute, measured by its host. No money, no part of
-- the market's state, and in no journal. Kept for 30 days.

CREATE TABLE telemetry_cards (
    lease_id         uuid NOT NULL,
    card_id          uuid NOT NULL,
    organization_id  uuid NOT NULL,
    seller_id        uuid NOT NULL,
    job_id           uuid,
    source           text NOT NULL,
    shared           boolean NOT NULL,
    memory_bytes     bigint,
    cpu_millis       integer,
    last_at          bigint NOT NULL,
    CONSTRAINT telemetry_cards_pkey PRIMARY KEY (lease_id, card_id),
    CONSTRAINT telemetry_cards_source_known CHECK (source IN ('nvml', 'cgroup')),
    CONSTRAINT telemetry_cards_sizes_positive CHECK (memory_bytes > 0 AND cpu_millis > 0)
);
CREATE INDEX telemetry_cards_by_job ON telemetry_cards (job_id);
CREATE INDEX telemetry_cards_by_age ON telemetry_cards (last_at);
COMMENT ON COLUMN telemetry_cards.shared IS 'Another lease had a part of the card at some minute.';
COMMENT ON COLUMN telemetry_cards.last_at IS 'The newest of its minutes.';

CREATE TABLE telemetry_minutes (
    lease_id                      uuid NOT NULL,
    card_id                       uuid NOT NULL,
    at                            bigint NOT NULL,
    organization_id               uuid NOT NULL,
    seller_id                     uuid NOT NULL,
    samples                       integer NOT NULL,
    utilization_thousandths_mean  integer,
    utilization_thousandths_max   integer,
    memory_used_bytes_mean        bigint,
    memory_used_bytes_max         bigint,
    power_milliwatts_mean         integer,
    power_milliwatts_max          integer,
    temperature_celsius_mean      integer,
    temperature_celsius_max       integer,
    CONSTRAINT telemetry_minutes_pkey PRIMARY KEY (lease_id, card_id, at),
    CONSTRAINT telemetry_minutes_whole CHECK (at % 60000 = 0),
    CONSTRAINT telemetry_minutes_within_limits
        CHECK (samples BETWEEN 1 AND 600 AND utilization_thousandths_max <= 1000 AND
               utilization_thousandths_mean BETWEEN 0 AND utilization_thousandths_max AND
               memory_used_bytes_mean BETWEEN 0 AND memory_used_bytes_max AND
               power_milliwatts_mean BETWEEN 0 AND power_milliwatts_max AND
               temperature_celsius_mean <= temperature_celsius_max)
);
CREATE INDEX telemetry_minutes_by_age ON telemetry_minutes (at);

-- Removes at most rows_max of each table that are older than 30 days; returns how many those were.
CREATE FUNCTION telemetry_expire(now_ms bigint, rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kept_ms CONSTANT bigint := 30::bigint * 86400000;
    gone bigint;
    cards bigint;
BEGIN
    DELETE FROM telemetry_minutes WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM telemetry_minutes WHERE at < now_ms - kept_ms ORDER BY at LIMIT rows_max));
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM telemetry_cards WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM telemetry_cards WHERE last_at < now_ms - kept_ms ORDER BY last_at LIMIT rows_max));
    GET DIAGNOSTICS cards = ROW_COUNT;
    RETURN gone + cards;
END $$;

GRANT SELECT ON telemetry_cards, telemetry_minutes TO fallow_request, fallow_admin;
GRANT SELECT, INSERT, UPDATE (shared, memory_bytes, cpu_millis, last_at) ON telemetry_cards TO fallow_agent;
GRANT SELECT, INSERT, UPDATE ON telemetry_minutes TO fallow_agent;
GRANT EXECUTE ON FUNCTION telemetry_expire(bigint, integer) TO fallow_engine;

ALTER TABLE telemetry_cards ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON telemetry_cards TO fallow_owner, fallow_admin
    USING (true);
CREATE POLICY tenant ON telemetry_cards TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization());
CREATE POLICY host ON telemetry_cards TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND leases.id = telemetry_cards.lease_id
                     AND leases.organization_id = telemetry_cards.organization_id
                     AND leases.seller_id = telemetry_cards.seller_id));

ALTER TABLE telemetry_minutes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON telemetry_minutes TO fallow_owner, fallow_admin
    USING (true);
CREATE POLICY tenant ON telemetry_minutes TO fallow_request
    USING (organization_id = fallow_organization() OR seller_id = fallow_organization());
CREATE POLICY host ON telemetry_minutes TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND leases.id = telemetry_minutes.lease_id
                     AND leases.organization_id = telemetry_minutes.organization_id
                     AND leases.seller_id = telemetry_minutes.seller_id));

-- Secrets of organizations.
CREATE TABLE secrets (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL CONSTRAINT secrets_organization_exists REFERENCES organizations,
    name             text NOT NULL,
    version          bigint NOT NULL,
    created_at       bigint NOT NULL,
    updated_at       bigint NOT NULL,
    key_id           text NOT NULL,
    wrapped_key      bytea NOT NULL,
    sealed           bytea NOT NULL,
    CONSTRAINT secrets_name_form CHECK (name ~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$'),
    CONSTRAINT secrets_version_positive CHECK (version > 0),
    CONSTRAINT secrets_sizes CHECK (octet_length(wrapped_key) = 60 AND octet_length(sealed) BETWEEN 29 AND 32796),
    CONSTRAINT secrets_name_once UNIQUE (organization_id, name)
);
COMMENT ON TABLE secrets IS 'Values are sealed (AES-256-GCM) under a key of their own, that one under a key that is not in the database.';
CREATE INDEX secrets_by_organization ON secrets (organization_id, created_at DESC, id DESC);

-- A request writes a value and cannot read one.
GRANT SELECT (id, organization_id, name, version, created_at, updated_at), INSERT, DELETE,
      UPDATE (version, updated_at, key_id, wrapped_key, sealed) ON secrets TO fallow_request;
GRANT SELECT, UPDATE (key_id, wrapped_key) ON secrets TO fallow_engine;
GRANT SELECT ON secrets TO fallow_agent;

ALTER TABLE secrets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON secrets TO fallow_owner, fallow_engine
    USING (true);
CREATE POLICY tenant ON secrets TO fallow_request
    USING (organization_id = fallow_organization());
-- Only what the job names that the host is preparing at this moment.
CREATE POLICY host ON secrets TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   JOIN jobs ON jobs.lease_id = leases.id
                   JOIN job_specs ON job_specs.job_id = jobs.id
                   WHERE leases.host_id = fallow_host() AND leases.state = 'preparing'
                     AND leases.organization_id = secrets.organization_id
                     AND ((job_specs.document::jsonb -> 'secrets') ? secrets.name
                          OR job_specs.document::jsonb ->> 'registry_secret' = secrets.name)));

-- Outputs that are saved while their job runs: chunks named by their SHA-256, of which the parts of an artifact are made.
CREATE TABLE output_chunks (
    job_id           uuid NOT NULL,
    sha256           text NOT NULL,
    organization_id  uuid NOT NULL,
    bytes            integer NOT NULL,
    data             bytea COMPRESSION lz4 NOT NULL,
    CONSTRAINT output_chunks_pkey PRIMARY KEY (job_id, sha256),
    CONSTRAINT output_chunks_sha256_form CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT output_chunks_size CHECK (bytes BETWEEN 1 AND 1048576 AND bytes = octet_length(data))
);
CREATE INDEX output_chunks_by_organization ON output_chunks (organization_id);

CREATE TABLE output_heads (
    job_id           uuid NOT NULL,
    attempt          integer NOT NULL,
    organization_id  uuid NOT NULL,
    lease_id         uuid NOT NULL,
    sequence         bigint NOT NULL DEFAULT 0,
    saved_at         bigint,
    CONSTRAINT output_heads_pkey PRIMARY KEY (job_id, attempt),
    CONSTRAINT output_heads_sequence_not_negative CHECK (sequence >= 0)
);
COMMENT ON COLUMN output_heads.sequence IS 'Of the last upload: an older one that arrives late changes nothing.';

CREATE INDEX artifact_parts_by_chunk ON artifact_parts (chunk_job_id, chunk_sha256) WHERE chunk_job_id IS NOT NULL;

-- Of all of an organization's jobs, also those the asking role cannot see.
CREATE FUNCTION output_bytes_held(organization uuid) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(sum(bytes), 0)::bigint FROM output_chunks WHERE organization_id = organization
$$;

-- Removes a job's chunks that are neither wanted nor part of an artifact, of whichever attempt.
CREATE FUNCTION output_chunks_drop(job uuid, wanted text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM output_chunks c WHERE c.job_id = job AND NOT c.sha256 = ANY (wanted)
        AND NOT EXISTS (SELECT FROM artifact_parts p WHERE p.chunk_job_id = c.job_id AND p.chunk_sha256 = c.sha256)
$$;

-- Gives artifacts that are to outlive their job octets of their own.
CREATE FUNCTION artifacts_detach(artifacts uuid[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE artifact_parts p SET data = c.data, chunk_job_id = NULL, chunk_sha256 = NULL
    FROM output_chunks c
    WHERE p.artifact_id = ANY (artifacts) AND c.job_id = p.chunk_job_id AND c.sha256 = p.chunk_sha256
$$;

-- Removes what is left of at most rows_max ended jobs whose outputs have all ended; returns how many those were.
CREATE FUNCTION outputs_expire(now_ms bigint, rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kept_ms CONSTANT bigint := 72 * 3600000;
    gone bigint;
BEGIN
    WITH old AS (SELECT h.job_id FROM output_heads h JOIN jobs j ON j.id = h.job_id
                 WHERE j.finished_at <= now_ms - kept_ms
                   AND NOT EXISTS (SELECT FROM artifact_parts p WHERE p.chunk_job_id = h.job_id) LIMIT rows_max),
         chunks AS (DELETE FROM output_chunks WHERE job_id IN (SELECT job_id FROM old))
    DELETE FROM output_heads WHERE job_id IN (SELECT job_id FROM old);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

GRANT SELECT ON output_chunks, output_heads TO fallow_request;
GRANT SELECT ON output_heads TO fallow_admin;
GRANT SELECT, INSERT ON output_chunks TO fallow_agent;
GRANT SELECT, INSERT, UPDATE (sequence, saved_at) ON output_heads TO fallow_agent;
GRANT EXECUTE ON FUNCTION output_bytes_held(uuid) TO fallow_agent;
GRANT EXECUTE ON FUNCTION output_chunks_drop(uuid, text[]) TO fallow_agent;
GRANT EXECUTE ON FUNCTION artifacts_detach(uuid[]) TO fallow_request;
GRANT EXECUTE ON FUNCTION outputs_expire(bigint, integer) TO fallow_engine;

ALTER TABLE output_chunks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON output_chunks TO fallow_owner
    USING (true);
CREATE POLICY tenant ON output_chunks TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON output_chunks TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = output_chunks.job_id
                     AND leases.organization_id = output_chunks.organization_id));

ALTER TABLE output_heads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON output_heads TO fallow_owner, fallow_admin
    USING (true);
CREATE POLICY tenant ON output_heads TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON output_heads TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.job_id = output_heads.job_id
                     AND leases.organization_id = output_heads.organization_id));

-- The end of a gang's private network at each of its hosts, from the moment that its container waits for the others. No
-- money, no part of the market's state, and in no journal. A row is never changed, and of use until all have started.
CREATE TABLE gang_members (
    lease_id         uuid PRIMARY KEY,
    order_id         uuid NOT NULL,
    rank             integer NOT NULL,
    organization_id  uuid NOT NULL,
    host_id          uuid NOT NULL,
    public_key       text NOT NULL,
    endpoint         text NOT NULL,
    told_at          bigint NOT NULL,
    CONSTRAINT gang_members_public_key_form CHECK (public_key ~ '^[A-Za-z0-9+/]{43}=$'),
    CONSTRAINT gang_members_endpoint_length CHECK (octet_length(endpoint) BETWEEN 1 AND 64)
);
CREATE INDEX gang_members_by_order ON gang_members (order_id);
CREATE INDEX gang_members_by_age ON gang_members (told_at);
COMMENT ON COLUMN gang_members.public_key IS 'WireGuard''s, in base64.';
COMMENT ON COLUMN gang_members.endpoint IS 'Address and UDP port at which the host is reached for it.';

-- Sweeps away what nobody waits for any more, so that the table stays small: no start takes a day.
CREATE FUNCTION gang_members_sweep() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM gang_members WHERE told_at < NEW.told_at - 86400000;
    RETURN NEW;
END $$;
CREATE TRIGGER gang_members_sweep BEFORE INSERT ON gang_members
    FOR EACH ROW EXECUTE FUNCTION gang_members_sweep();

GRANT SELECT, INSERT ON gang_members TO fallow_agent;

ALTER TABLE gang_members ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON gang_members TO fallow_owner
    USING (true);
-- A host writes its own end, and reads those of the gangs that it is in.
CREATE POLICY host ON gang_members TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND NOT leases.released
                     AND leases.order_id = gang_members.order_id
                     AND leases.organization_id = gang_members.organization_id))
    WITH CHECK (host_id = fallow_host()
                AND EXISTS (SELECT FROM leases
                            WHERE leases.host_id = fallow_host() AND NOT leases.released
                              AND leases.id = gang_members.lease_id AND leases.order_id = gang_members.order_id
                              AND leases.rank = gang_members.rank
                              AND leases.organization_id = gang_members.organization_id));

-- How far a lease's host is with what it moves for its job: the image, the inputs, a checkpoint, the outputs. No money, no part
-- of the market's state, and in no journal. One row a lease, removed after the lease's end.
CREATE TABLE lease_progress (
    lease_id         uuid PRIMARY KEY,
    organization_id  uuid NOT NULL,
    step             text NOT NULL,
    done_bytes       bigint NOT NULL,
    total_bytes      bigint,
    at               bigint NOT NULL,
    CONSTRAINT lease_progress_step_known
        CHECK (step IN ('pulling_image', 'fetching_inputs', 'restoring_checkpoint', 'uploading_outputs')),
    CONSTRAINT lease_progress_within_total CHECK (done_bytes >= 0 AND done_bytes <= total_bytes)
);
COMMENT ON COLUMN lease_progress.total_bytes IS 'NULL while it is not known.';

-- Removes at most rows_max rows of leases that have ended; returns how many those were.
CREATE FUNCTION progress_expire(rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    DELETE FROM lease_progress WHERE lease_id = ANY (ARRAY(
        SELECT p.lease_id FROM lease_progress p JOIN leases l ON l.id = p.lease_id
        WHERE l.state = 'ended' LIMIT rows_max));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

GRANT SELECT ON lease_progress TO fallow_request;
GRANT SELECT, INSERT, UPDATE (step, done_bytes, total_bytes, at) ON lease_progress TO fallow_agent;
GRANT EXECUTE ON FUNCTION progress_expire(integer) TO fallow_engine;

ALTER TABLE lease_progress ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY all_tenants ON lease_progress TO fallow_owner
    USING (true);
CREATE POLICY tenant ON lease_progress TO fallow_request
    USING (organization_id = fallow_organization());
CREATE POLICY host ON lease_progress TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   WHERE leases.host_id = fallow_host() AND leases.id = lease_progress.lease_id
                     AND leases.organization_id = lease_progress.organization_id));
