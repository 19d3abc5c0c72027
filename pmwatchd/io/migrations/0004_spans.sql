-- For how many seconds a pause or an override was given: a wall clock that is
-- set back makes neither of them longer.
ALTER TABLE site ADD COLUMN paused_for_s REAL;
ALTER TABLE site ADD COLUMN override_for_s REAL;
