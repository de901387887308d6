-- Organizations and the double-entry ledger.
SET LOCAL ROLE fallow_owner;

CREATE TABLE IF NOT EXISTS organizations (
    id          uuid PRIMARY KEY,
    name        text NOT NULL CONSTRAINT organizations_name_unique UNIQUE,
    country     text NOT NULL,
    status      text NOT NULL,
    created_at  bigint NOT NULL,
    version     bigint NOT NULL,
    CONSTRAINT organizations_name_length CHECK (octet_length(name) BETWEEN 1 AND 100),
    CONSTRAINT organizations_country_form CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT organizations_status_known CHECK (status IN ('active', 'frozen')),
    CONSTRAINT organizations_version_positive CHECK (version > 0)
);

CREATE TABLE IF NOT EXISTS accounts (
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
CREATE TABLE IF NOT EXISTS transfers (
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
    CONSTRAINT transfers_amount_positive CHECK (amount_micros > 0),
    CONSTRAINT transfers_amount_limit CHECK (amount_micros <= 1000000000000000),
    CONSTRAINT transfers_two_accounts CHECK (debit_account_id <> credit_account_id),
    CONSTRAINT transfers_reason_known
        CHECK (reason IN ('deposit', 'withdrawal', 'hold', 'release', 'charge', 'fee')),
    CONSTRAINT transfers_lease_named
        CHECK ((lease_id IS NOT NULL) = (reason IN ('hold', 'release', 'charge', 'fee')))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
-- An organization's pages, newest first. A transfer inside one organization is found by its debit side alone.
CREATE INDEX IF NOT EXISTS transfers_by_debit ON transfers (debit_organization_id, at DESC, id DESC);
CREATE INDEX IF NOT EXISTS transfers_by_credit ON transfers (credit_organization_id, at DESC, id DESC)
    WHERE credit_organization_id <> debit_organization_id;

-- Nets a statement's transfers first, so that each account is written once however many transfers name it.
CREATE OR REPLACE FUNCTION transfers_move_balances() RETURNS trigger
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
CREATE OR REPLACE TRIGGER transfers_inserted AFTER INSERT ON transfers
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION transfers_move_balances();

-- The operator's own organization, and the two accounts no tenant has.
INSERT INTO organizations (id, name, country, status, created_at, version)
    VALUES ('00000000-0000-0000-0000-000000000001', 'platform', 'ZZ', 'active', 0, 1)
    ON CONFLICT (id) DO NOTHING;
INSERT INTO accounts (id, organization_id, kind)
    VALUES ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 'external'),
           ('00000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-000000000001', 'fees')
    ON CONFLICT (id) DO NOTHING;

-- Column by column where a trigger alone may move the rest.
GRANT SELECT, INSERT, UPDATE ON organizations TO fallow_engine;
GRANT SELECT, INSERT (id, organization_id, kind) ON accounts TO fallow_engine;
GRANT SELECT, INSERT ON transfers TO fallow_engine;
GRANT SELECT ON organizations, accounts, transfers TO fallow_request, fallow_admin, fallow_proof;
GRANT SELECT ON organizations TO fallow_auth;
