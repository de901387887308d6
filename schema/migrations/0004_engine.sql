-- Leadership, the journal and idempotency keys.
SET LOCAL ROLE fallow_owner;

-- Who leads a market. Every batch begins by raising seq here where (market, epoch, seq) match, and keeps the row
-- locked to its commit: no row means that another leader has taken over. chain is that of journal record seq.
CREATE TABLE IF NOT EXISTS market_leader (
    market  text PRIMARY KEY,
    holder  text,
    epoch   bigint NOT NULL DEFAULT 0,
    seq     bigint NOT NULL DEFAULT 0,
    beat    timestamptz NOT NULL DEFAULT '-infinity',
    chain   text NOT NULL DEFAULT '',
    CONSTRAINT market_leader_not_negative CHECK (epoch >= 0 AND seq >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Streams of the journal that no leader writes: what is not market. Appended to by journal_append().
CREATE TABLE IF NOT EXISTS journal_streams (
    stream  text PRIMARY KEY,
    seq     bigint NOT NULL DEFAULT 0,
    chain   text NOT NULL DEFAULT ''
) WITH (fillfactor = 10);

-- Append only. chain = lower-case hex of SHA-256 over the previous record's chain (as hex text, empty before the
-- first) followed by the record's own bytes; the record is text, not jsonb, so that its bytes stay what was hashed.
-- Partitions hold ten million sequence numbers each. Retention: 400 days, dropped a partition at a time by
-- fallow_maintain(), which keeps the last chain of what it drops in journal_anchors.
CREATE TABLE IF NOT EXISTS journal (
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
CREATE TABLE IF NOT EXISTS journal_0 PARTITION OF journal FOR VALUES FROM (0) TO (10000000);

-- Where the chain of a stream starts after its oldest partitions were dropped.
CREATE TABLE IF NOT EXISTS journal_anchors (
    stream  text PRIMARY KEY,
    seq     bigint NOT NULL,
    chain   text NOT NULL,
    at      bigint NOT NULL
);

-- Replies kept for 72 h, in a partition a day, dropped whole. A unique index of each partition makes a key unique
-- within its day; the parent can have none without created_at in it. The default partition takes rows of days that
-- have no partition, so that a late fallow_maintain() costs a slower clean-up and no request.
CREATE TABLE IF NOT EXISTS idempotency_keys (
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
CREATE TABLE IF NOT EXISTS idempotency_keys_default PARTITION OF idempotency_keys DEFAULT;
CREATE UNIQUE INDEX IF NOT EXISTS idempotency_keys_default_once
    ON idempotency_keys_default (organization_id, route, key);

-- Makes the partitions of the days and sequence numbers ahead and drops what is past its retention.
-- Called when a leader starts and every hour.
CREATE OR REPLACE FUNCTION fallow_maintain(now_ms bigint) RETURNS void
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

-- Appends to the stream of what is not market, in the order of commits: the stream's row stays locked until then.
CREATE OR REPLACE FUNCTION journal_append(now_ms bigint, entry text) RETURNS bigint
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

INSERT INTO market_leader (market) VALUES ('main') ON CONFLICT DO NOTHING;
INSERT INTO market_settings (market, fee_ppm, version) VALUES ('main', 0, 1) ON CONFLICT DO NOTHING;
INSERT INTO journal_streams (stream) VALUES ('accounts') ON CONFLICT DO NOTHING;

GRANT SELECT, INSERT, UPDATE ON market_leader TO fallow_engine;
GRANT SELECT, INSERT ON journal, idempotency_keys TO fallow_engine;
GRANT SELECT ON journal_streams, journal_anchors TO fallow_engine;
GRANT SELECT, INSERT ON idempotency_keys TO fallow_request, fallow_admin;
GRANT SELECT ON market_leader, journal, journal_streams, journal_anchors TO fallow_admin, fallow_proof;
GRANT EXECUTE ON FUNCTION fallow_maintain(bigint) TO fallow_engine;
GRANT EXECUTE ON FUNCTION journal_append(bigint, text)
    TO fallow_engine, fallow_request, fallow_admin, fallow_auth, fallow_agent;
