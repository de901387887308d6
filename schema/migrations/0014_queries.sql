-- What an order requires can be a query; its text is kept, and compiled where it is read.
SET LOCAL ROLE fallow_owner;

ALTER TABLE orders ADD COLUMN IF NOT EXISTS query text;
ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_query_length;
ALTER TABLE orders ADD CONSTRAINT orders_query_length CHECK (octet_length(query) BETWEEN 1 AND 2000);
