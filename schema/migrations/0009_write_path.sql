-- What the write path needs to be quick: the leader's claim as one statement that fails by itself, so that a whole
-- batch can travel in one round trip, and page indexes that grow at their upper end.
SET LOCAL ROLE fallow_owner;

-- The compare-and-set that every batch begins with; the row stays locked to the commit. An error, not zero rows:
-- the statements behind it in the same round trip must not run.
CREATE OR REPLACE FUNCTION market_claim(claimed_market text, claimed_epoch bigint, claimed_seq bigint, next_chain text)
    RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE market_leader SET seq = seq + 1, beat = clock_timestamp(), chain = next_chain
    WHERE market = claimed_market AND epoch = claimed_epoch AND seq = claimed_seq - 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the leader row has another epoch or sequence' USING ERRCODE = 'FL001';
    END IF;
END $$;
GRANT EXECUTE ON FUNCTION market_claim(text, bigint, bigint, text) TO fallow_engine;

-- Rows come in the order of time. Read backwards these give newest first; written forwards they split at their end.
DROP INDEX IF EXISTS transfers_by_debit, transfers_by_credit, orders_by_organization, leases_by_organization,
    leases_by_seller;
CREATE INDEX transfers_by_debit ON transfers (debit_organization_id, at, id);
CREATE INDEX transfers_by_credit ON transfers (credit_organization_id, at, id)
    WHERE credit_organization_id <> debit_organization_id;
CREATE INDEX orders_by_organization ON orders (organization_id, placed_at, id);
CREATE INDEX leases_by_organization ON leases (organization_id, allocated_at, id);
CREATE INDEX leases_by_seller ON leases (seller_id, allocated_at, id);
