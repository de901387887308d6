-- What is offered of one model is looked up by its products. Leases move `used` alone, which no index has, so that
-- they write no index.
SET LOCAL ROLE fallow_owner;

CREATE INDEX IF NOT EXISTS cards_by_product ON cards (product) WHERE state = 'present';
