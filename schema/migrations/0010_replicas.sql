-- Several servers on one database: where the leader is reached, and which keys they must share.
SET LOCAL ROLE fallow_owner;

ALTER TABLE market_leader ADD COLUMN IF NOT EXISTS address text;
COMMENT ON COLUMN market_leader.address IS 'Host and port at which other servers reach the holder.';

-- What all servers on this database have in common, written by the first. A server with other keys would hand out
-- certificates and signatures that nobody trusts, and does not start.
CREATE TABLE IF NOT EXISTS server_keys (
    single            boolean PRIMARY KEY DEFAULT true,
    authority_sha256  text NOT NULL,
    signing_key       text NOT NULL,
    CONSTRAINT server_keys_one_row CHECK (single)
);
COMMENT ON COLUMN server_keys.authority_sha256 IS 'Of the certificate authority''s public key, in lower-case hex.';
COMMENT ON COLUMN server_keys.signing_key IS 'The public key that receipts verify under, in base64.';

GRANT SELECT, INSERT ON server_keys TO fallow_auth;
