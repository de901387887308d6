-- How often a job's container was started again within its lease.
SET LOCAL ROLE fallow_owner;

ALTER TABLE jobs ADD COLUMN IF NOT EXISTS restarts integer NOT NULL DEFAULT 0;
ALTER TABLE jobs DROP CONSTRAINT IF EXISTS jobs_restarts_not_negative;
ALTER TABLE jobs ADD CONSTRAINT jobs_restarts_not_negative CHECK (restarts >= 0);
