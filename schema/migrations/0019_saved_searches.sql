-- Queries that an organization keeps under a name.
SET LOCAL ROLE fallow_owner;

CREATE TABLE IF NOT EXISTS saved_searches (
    id               uuid PRIMARY KEY,
    organization_id  uuid NOT NULL CONSTRAINT saved_searches_organization_exists REFERENCES organizations,
    name             text NOT NULL,
    query            text NOT NULL,
    created_at       bigint NOT NULL,
    CONSTRAINT saved_searches_name_length CHECK (octet_length(name) BETWEEN 1 AND 100),
    CONSTRAINT saved_searches_query_length CHECK (octet_length(query) BETWEEN 1 AND 2000),
    CONSTRAINT saved_searches_name_once UNIQUE (organization_id, name)
);
CREATE INDEX IF NOT EXISTS saved_searches_by_organization ON saved_searches (organization_id, created_at DESC, id DESC);

GRANT SELECT, INSERT, DELETE ON saved_searches TO fallow_request;

ALTER TABLE saved_searches ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_tenants ON saved_searches;
CREATE POLICY all_tenants ON saved_searches TO fallow_owner
    USING (true);
DROP POLICY IF EXISTS tenant ON saved_searches;
CREATE POLICY tenant ON saved_searches TO fallow_request
    USING (organization_id = fallow_organization());
