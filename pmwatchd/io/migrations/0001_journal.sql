-- What was told.  The daemon numbers records itself, one after the other, so
-- that log, event stream and journal name the same record by the same number.
CREATE TABLE record (
    sequence  INTEGER PRIMARY KEY,
    at        TEXT NOT NULL,  -- RFC 3339, UTC, microseconds: sorts as text
    event     TEXT NOT NULL,
    host      TEXT,
    operation TEXT,
    fields    TEXT NOT NULL CHECK (json_valid(fields))
) STRICT;

CREATE INDEX record_by_host ON record (host) WHERE host IS NOT NULL;
CREATE INDEX record_by_operation ON record (operation) WHERE operation IS NOT NULL;
CREATE INDEX record_by_at ON record (at);

-- One row per operation, written before its first order is carried out, so an
-- operation cut short by a crash is found open at the next start.
CREATE TABLE operation (
    number    INTEGER PRIMARY KEY,  -- order of opening; the wall clock may jump
    id        TEXT NOT NULL UNIQUE,
    host      TEXT NOT NULL,
    action    TEXT NOT NULL CHECK (action IN ('off', 'on', 'restart')),
    cause     TEXT NOT NULL CHECK (cause IN ('automatic', 'person')),
    reason    TEXT NOT NULL,
    by        TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    closed_at TEXT,
    outcome   TEXT CHECK (outcome IN ('done', 'degraded', 'recovered', 'failed', 'cancelled')),
    document  TEXT NOT NULL CHECK (json_valid(document)),
    CHECK ((closed_at IS NULL) = (outcome IS NULL))
) STRICT;

CREATE UNIQUE INDEX operation_one_open_per_host ON operation (host) WHERE outcome IS NULL;
CREATE INDEX operation_by_host ON operation (host);
CREATE INDEX operation_by_end ON operation (closed_at);

CREATE TRIGGER operation_ends_once BEFORE UPDATE ON operation
WHEN OLD.outcome IS NOT NULL AND NEW.outcome IS NULL
BEGIN
    SELECT RAISE(ABORT, 'an operation that ended is not opened again');
END;

-- What is to be known about a host after a restart.
CREATE TABLE host (
    name               TEXT PRIMARY KEY,
    fingerprint        TEXT,  -- NULL: it has never answered
    booting            INTEGER NOT NULL CHECK (booting IN (0, 1)),
    quiet              INTEGER NOT NULL CHECK (quiet IN (0, 1)),
    failures           INTEGER NOT NULL CHECK (failures >= 0),
    left_off           INTEGER NOT NULL CHECK (left_off IN (0, 1)),
    missing            TEXT NOT NULL CHECK (json_valid(missing)),  -- names of agents
    miswired           TEXT NOT NULL,
    maintenance        INTEGER NOT NULL CHECK (maintenance IN (0, 1)),
    maintenance_by     TEXT NOT NULL,
    maintenance_reason TEXT NOT NULL,
    expires_at         TEXT,
    kept_off           INTEGER NOT NULL CHECK (kept_off IN (0, 1))
) STRICT;

-- One row: how often a daemon has opened this journal.
CREATE TABLE meta (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    epoch INTEGER NOT NULL
) STRICT;

INSERT INTO meta (only, epoch) VALUES (1, 0);
