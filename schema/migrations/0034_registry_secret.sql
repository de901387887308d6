-- The secret that a job's image is pulled with: its host may read it as it reads those that become files.
SET LOCAL ROLE fallow_owner;

-- Only what the job names that the host is preparing at this moment.
DROP POLICY IF EXISTS host ON secrets;
CREATE POLICY host ON secrets TO fallow_agent
    USING (EXISTS (SELECT FROM leases
                   JOIN jobs ON jobs.lease_id = leases.id
                   JOIN job_specs ON job_specs.job_id = jobs.id
                   WHERE leases.host_id = fallow_host() AND leases.state = 'preparing'
                     AND leases.organization_id = secrets.organization_id
                     AND ((job_specs.document::jsonb -> 'secrets') ? secrets.name
                          OR job_specs.document::jsonb ->> 'registry_secret' = secrets.name)));
