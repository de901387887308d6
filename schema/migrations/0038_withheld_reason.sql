-- Why a card is there and not offered, for its seller.
SET LOCAL ROLE fallow_owner;

ALTER TABLE cards ADD COLUMN IF NOT EXISTS withheld_reason text;
GRANT INSERT (withheld_reason), UPDATE (withheld_reason) ON cards TO fallow_engine;
