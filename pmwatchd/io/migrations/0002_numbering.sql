-- Where the numbers of records go on when there is no record: a journal that
-- took the place of a damaged one must not use a number twice.
ALTER TABLE meta ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
