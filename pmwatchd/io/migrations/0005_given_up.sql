-- Which of the outlets that are missing a person wants pursued no more (a JSON list).
ALTER TABLE host ADD COLUMN given_up TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(given_up));
