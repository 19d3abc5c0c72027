-- Where the numbers of records go on when there is no record: a journal that
-- took the place of a damaged one must not use a number twice.
ALTER TABLE meta ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;

-- How many commits failed.  Counted to have something to write over what such
-- a commit may have left in the log of changes.
ALTER TABLE meta ADD COLUMN failed_commits INTEGER NOT NULL DEFAULT 0;
