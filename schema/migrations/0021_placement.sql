-- Why a lease's listing was taken: placement chooses among those that ask the same.
SET LOCAL ROLE fallow_owner;

ALTER TABLE leases ADD COLUMN IF NOT EXISTS chosen_by text;
ALTER TABLE leases DROP CONSTRAINT IF EXISTS leases_chosen_by_known;
ALTER TABLE leases ADD CONSTRAINT leases_chosen_by_known
    CHECK (chosen_by IN ('named', 'price', 'fragmentation', 'lowest_id'));
