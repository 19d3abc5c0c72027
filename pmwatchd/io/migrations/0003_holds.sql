-- How often a host was fenced of late, whether it waits for a person's word
-- because of that, whether its soft fencing ran in this silence, whether it
-- boots by itself after a crash dump; and which
-- outlets of it read off while it answered (a JSON list).
ALTER TABLE host ADD COLUMN fenced INTEGER NOT NULL DEFAULT 0 CHECK (fenced >= 0);
ALTER TABLE host ADD COLUMN parked INTEGER NOT NULL DEFAULT 0 CHECK (parked IN (0, 1));
ALTER TABLE host ADD COLUMN soft_fenced INTEGER NOT NULL DEFAULT 0 CHECK (soft_fenced IN (0, 1));
ALTER TABLE host ADD COLUMN dumped INTEGER NOT NULL DEFAULT 0 CHECK (dumped IN (0, 1));
ALTER TABLE host ADD COLUMN reads_off TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(reads_off));

-- One row: what a person set for the whole site.  Both words end by
-- themselves; without an end they are not in force.
CREATE TABLE site (
    only            INTEGER PRIMARY KEY CHECK (only = 1),
    paused_until    TEXT,  -- RFC 3339, UTC
    paused_by       TEXT NOT NULL,
    paused_reason   TEXT NOT NULL,
    override_until  TEXT,
    override_by     TEXT NOT NULL,
    override_reason TEXT NOT NULL
) STRICT;

INSERT INTO site (only, paused_by, paused_reason, override_by, override_reason)
VALUES (1, '', '', '', '');
