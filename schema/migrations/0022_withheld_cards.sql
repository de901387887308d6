-- A card can be there and not be offered: its owner has it, or the owner's policy keeps it back.
SET LOCAL ROLE fallow_owner;

ALTER TABLE cards DROP CONSTRAINT IF EXISTS cards_state_known;
ALTER TABLE cards ADD CONSTRAINT cards_state_known CHECK (state IN ('present', 'missing', 'withheld'));
