-- For how many seconds a maintenance was given: a wall clock that is set back
-- makes it no longer.
ALTER TABLE host ADD COLUMN maintenance_for_s REAL;
