-- Version 1. Days are UTC, times are nanoseconds since the Unix epoch.

-- Every event that was taken, as it was sent. Only ever added to.
CREATE TABLE ledger (
    entry          INTEGER PRIMARY KEY,
    emitter        TEXT NOT NULL,
    sequence       INTEGER NOT NULL,
    id             TEXT NOT NULL,
    started_ns     INTEGER NOT NULL,
    received_ns    INTEGER NOT NULL,
    tenant         TEXT NOT NULL,
    provider       TEXT NOT NULL,
    request_model  TEXT,
    response_model TEXT,
    evidence       TEXT NOT NULL,
    event          TEXT NOT NULL
) STRICT;

CREATE TRIGGER ledger_is_never_updated BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append only'); END;
CREATE TRIGGER ledger_is_never_deleted BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append only'); END;

-- The sequence numbers that the ledger has, per emitter, as ranges that never touch: it grows with the faults,
-- not with the events. Inside of a range is a duplicate; between two ranges is a gap.
CREATE TABLE emitter_ranges (
    emitter TEXT NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL CHECK (last >= first),
    PRIMARY KEY (emitter, first)
) STRICT, WITHOUT ROWID;

-- What reports are read from: sums of the ledger, kept in the same transaction. `class` is a usage class or
-- 'calls'; a class that no call reported has no row. `model` is the one that responded, else the one that was asked
-- for, else empty.
CREATE TABLE rollup (
    day      TEXT NOT NULL,
    tenant   TEXT NOT NULL,
    provider TEXT NOT NULL,
    model    TEXT NOT NULL,
    evidence TEXT NOT NULL,
    class    TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    PRIMARY KEY (day, tenant, provider, model, evidence, class)
) STRICT, WITHOUT ROWID;

-- What could not be taken, and why. The same bytes again only count up.
CREATE TABLE dead_letters (
    event             TEXT NOT NULL PRIMARY KEY,
    reason            TEXT NOT NULL,
    deliveries        INTEGER NOT NULL,
    first_received_ns INTEGER NOT NULL,
    last_received_ns  INTEGER NOT NULL
) STRICT;
