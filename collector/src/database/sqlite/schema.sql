-- Version 9. Days are UTC, times are nanoseconds since the Unix epoch, amounts are exact decimal numbers of USD.

-- Every event that was taken, as it was sent, and what was corrected since. Only ever added to, and of what is sealed what the
-- database does not need itself is in the archive alone. `hash` is over the entry
-- and the hash before it, so that no entry can be changed or taken out unnoticed. `charge` is what the tenant pays, `cost`
-- what the provider takes, where that is another amount. `billed` is the day on which it counts, if that is not the day on which
-- the call began, for its month was closed before. `salt` is what names of persons are hashed with: absent where the hash is over
-- the names themselves, as before version 8; longer where a name was replaced.
CREATE TABLE ledger (
    entry       INTEGER PRIMARY KEY,
    kind        TEXT NOT NULL,
    emitter     TEXT NOT NULL,
    sequence    INTEGER NOT NULL,
    refers      INTEGER,
    started_ns  INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    tenant      TEXT NOT NULL,
    provider    TEXT NOT NULL,
    model       TEXT NOT NULL,
    evidence    TEXT NOT NULL,
    charge      TEXT NOT NULL,
    rating      TEXT,
    reason      TEXT,
    event       TEXT,
    hash        BLOB NOT NULL,
    cost        TEXT,
    billed      TEXT,
    salt        BLOB
) STRICT;

-- A number is taken once, and an entry is taken back once, whatever the program believes.
CREATE UNIQUE INDEX ledger_numbers ON ledger (emitter, sequence) WHERE kind IN ('call', 'copy', 'release');
CREATE UNIQUE INDEX ledger_reversals ON ledger (refers) WHERE kind = 'reversal';
-- And once entered anew.
CREATE UNIQUE INDEX ledger_corrections ON ledger (refers) WHERE kind = 'correction';
-- Months are closed once; every transaction asks which.
CREATE UNIQUE INDEX ledger_closings ON ledger (started_ns) WHERE kind = 'month_closed';
-- What was taken back of closed months, by which the sums are checked.
CREATE INDEX ledger_adjustments ON ledger (entry) WHERE kind = 'reversal' AND billed IS NOT NULL;
-- How budgets were changed, by which those in force are checked.
CREATE INDEX ledger_budgets ON ledger (entry) WHERE kind IN ('budget_set', 'budget_removed');

-- Which names were replaced, by which entries without them are checked.
CREATE INDEX ledger_forgotten ON ledger (entry) WHERE kind = 'forgotten';

-- Which calls were taken back or corrected: their records stay when their months are sealed.
CREATE INDEX ledger_taken_back ON ledger (emitter, sequence) WHERE kind IN ('reversal', 'correction');

-- What counts in a span of time, and what counts for a tenant.
CREATE INDEX ledger_times ON ledger (started_ns);
CREATE INDEX ledger_tenants ON ledger (tenant, started_ns);
-- What counts on another day than its own.
CREATE INDEX ledger_billed ON ledger (billed) WHERE billed IS NOT NULL;

-- Names that are being replaced: not the names, but a digest by which whoever goes on with it knows the name again.
CREATE TABLE forgetting (
    digest    BLOB NOT NULL PRIMARY KEY,
    salt      BLOB NOT NULL,
    pseudonym TEXT NOT NULL,
    begun_ns  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Up to which entry each chain is sealed: those entries count before a month, are in the archive at `place`, and `said` says so.
-- Behind the number `behind` they are on their way back. Of the archive the files of the first `commits` are meant; `manifests` is
-- the SHA-256 over their manifests.
CREATE TABLE sealed (
    entry        INTEGER PRIMARY KEY,
    hash         BLOB NOT NULL,
    before_month TEXT NOT NULL,
    said         INTEGER NOT NULL,
    place        TEXT NOT NULL,
    endpoint     TEXT,
    at_ns        INTEGER NOT NULL,
    behind       INTEGER,
    commits      INTEGER NOT NULL,
    manifests    BLOB NOT NULL
) STRICT;

-- Only names, only while they are being replaced, and only where the salt says so.
CREATE TRIGGER ledger_is_never_updated BEFORE UPDATE ON ledger
WHEN NOT EXISTS (SELECT 1 FROM forgetting) OR coalesce(length(NEW.salt), 0) <= 16
    OR (OLD.entry, OLD.kind, OLD.emitter, OLD.sequence, OLD.refers, OLD.started_ns, OLD.received_ns, OLD.provider, OLD.model,
        OLD.evidence, OLD.charge, OLD.rating, OLD.reason, OLD.hash, OLD.cost, OLD.billed)
    IS NOT (NEW.entry, NEW.kind, NEW.emitter, NEW.sequence, NEW.refers, NEW.started_ns, NEW.received_ns, NEW.provider, NEW.model,
        NEW.evidence, NEW.charge, NEW.rating, NEW.reason, NEW.hash, NEW.cost, NEW.billed)
BEGIN SELECT RAISE(ABORT, 'the ledger is append only'); END;
-- Only what is sealed, is not on its way back, and is not needed for what was taken back or corrected.
CREATE TRIGGER ledger_is_never_deleted BEFORE DELETE ON ledger
WHEN OLD.kind NOT IN ('call', 'copy', 'release') OR EXISTS (SELECT 1 FROM forgetting)
    OR NOT EXISTS (SELECT 1 FROM sealed s WHERE s.entry >> 50 = OLD.entry >> 50 AND OLD.entry <= s.entry AND s.behind IS NULL)
    OR EXISTS (SELECT 1 FROM ledger r WHERE r.emitter = OLD.emitter AND r.sequence = OLD.sequence
               AND r.kind IN ('reversal', 'correction'))
BEGIN SELECT RAISE(ABORT, 'the ledger is append only'); END;

-- Where the chain ends: without it the last entries could be cut off unnoticed. `written_ns` is the latest time at which
-- something was written, by which a clock that was set back is noticed. One row.
CREATE TABLE chain (
    entry      INTEGER NOT NULL,
    hash       BLOB NOT NULL,
    written_ns INTEGER NOT NULL
) STRICT;

-- Who counts: how far it has counted, by its own word (`head`) and by what came in (`last`).
CREATE TABLE emitters (
    emitter    TEXT NOT NULL PRIMARY KEY,
    credential TEXT NOT NULL,
    node       TEXT NOT NULL,
    first_ns   INTEGER NOT NULL,
    heard_ns   INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    head       INTEGER NOT NULL,
    dropped    INTEGER NOT NULL,
    ended      TEXT
) STRICT, WITHOUT ROWID;

-- The sequence numbers that the ledger has, per emitter, as ranges that never touch: it grows with the faults,
-- not with the events. Inside of a range is a duplicate; between two ranges is a gap.
CREATE TABLE emitter_ranges (
    emitter TEXT NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL CHECK (last >= first),
    PRIMARY KEY (emitter, first)
) STRICT, WITHOUT ROWID;

-- What happened to numbers: opened (a later one came first), delivered, recovered (late, from a journal), released (kept
-- apart, and released by a person), full, refused (dropped, by the emitter's word), closed (a person says that what is missing
-- of them will not come).
CREATE TABLE emitter_notes (
    emitter TEXT NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    what    TEXT NOT NULL,
    at_ns   INTEGER NOT NULL,
    PRIMARY KEY (emitter, first, last, what)
) STRICT, WITHOUT ROWID;

CREATE INDEX emitter_notes_closed ON emitter_notes (emitter, first, last) WHERE what = 'closed';

-- Which entry is charged for a call, so that a second meter's record of it is not: `place` is JSON. `response` is of
-- provider and response id; where several calls have the same, all but the first have a `proof` of their own.
CREATE TABLE responses (
    day      INTEGER NOT NULL,
    response INTEGER NOT NULL,
    proof    INTEGER NOT NULL,
    place    TEXT NOT NULL,
    PRIMARY KEY (day, response, proof)
) STRICT, WITHOUT ROWID;

-- Entries that are charged and may be of one call, for a person to decide. The last slot of a response counts up.
CREATE TABLE possible_copies (
    day      INTEGER NOT NULL,
    response INTEGER NOT NULL,
    slot     INTEGER NOT NULL,
    first    INTEGER NOT NULL,
    second   INTEGER NOT NULL,
    records  INTEGER NOT NULL,
    noted_ns INTEGER NOT NULL,
    PRIMARY KEY (day, response, slot)
) STRICT, WITHOUT ROWID;

-- What reports are read from: sums of the ledger, kept in the same transaction. `class` is a usage class, 'calls',
-- 'deferred:WHY' or 'unknown:NAME'; a class that no call reported has no row. `model` is the one that responded, else the one
-- that was asked for, else empty. `adjusts` is the month of the calls if it was closed before, else empty. `cost` is absent
-- where it is the charge.
CREATE TABLE rollup (
    day      TEXT NOT NULL,
    adjusts  TEXT NOT NULL,
    tenant   TEXT NOT NULL,
    provider TEXT NOT NULL,
    model    TEXT NOT NULL,
    evidence TEXT NOT NULL,
    class    TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    charge   TEXT NOT NULL,
    cost     TEXT,
    unpriced INTEGER NOT NULL,
    fallback INTEGER NOT NULL,
    PRIMARY KEY (day, adjusts, tenant, provider, model, evidence, class)
) STRICT, WITHOUT ROWID;

-- Sums of the rollup, made of it in the same transaction, for reports of many tenants: by day without tenants, and by month with
-- them. `counts` has all classes of a group, packed: for each its length and its word, then quantity, charge (yocto-USD), cost less
-- charge, unpriced, fallback and how many rows these are of, as numbers of seven bits a byte whose last bit is the sign.
CREATE TABLE rollup_days (
    day      TEXT NOT NULL,
    adjusts  TEXT NOT NULL,
    provider TEXT NOT NULL,
    model    TEXT NOT NULL,
    evidence TEXT NOT NULL,
    counts   BLOB NOT NULL,
    PRIMARY KEY (day, adjusts, provider, model, evidence)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup_months (
    month    TEXT NOT NULL,
    tenant   TEXT NOT NULL,
    adjusts  TEXT NOT NULL,
    provider TEXT NOT NULL,
    model    TEXT NOT NULL,
    evidence TEXT NOT NULL,
    counts   BLOB NOT NULL,
    PRIMARY KEY (month, tenant, adjusts, provider, model, evidence)
) STRICT, WITHOUT ROWID;

-- What could not be taken (dead_letter), and what contradicts the ledger or is beyond its sender's limits (alarm), and
-- why. The same again only counts up. `released` is the entry that it became, if a person released it.
CREATE TABLE quarantined (
    digest            BLOB NOT NULL PRIMARY KEY,
    kind              TEXT NOT NULL,
    reason            TEXT NOT NULL,
    emitter           TEXT,
    sequence          INTEGER,
    credential        TEXT NOT NULL,
    event             BLOB NOT NULL,
    deliveries        INTEGER NOT NULL,
    first_received_ns INTEGER NOT NULL,
    last_received_ns  INTEGER NOT NULL,
    released          INTEGER
) STRICT;
CREATE INDEX quarantined_numbers ON quarantined (emitter, sequence);

-- How often budgets were changed: who has this revision knows them. One row, none before the first change.
CREATE TABLE budget_revision (
    revision INTEGER NOT NULL
) STRICT;

-- The budgets in force, by their entries in the ledger. `budget` is the revision with which its counting began; `definition` is
-- what the entry says.
CREATE TABLE budgets (
    name       TEXT NOT NULL PRIMARY KEY,
    budget     INTEGER NOT NULL,
    definition TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What was spent of a budget, by window and, where each tenant has the limit for itself, by tenant: whole tokens, or yocto-USD
-- (10^-24 USD). Updated in the transaction that charges. A window begins at a second since 1970.
CREATE TABLE budget_balances (
    budget   INTEGER NOT NULL,
    begins_s INTEGER NOT NULL,
    subject  TEXT NOT NULL,
    spent    TEXT NOT NULL,
    PRIMARY KEY (budget, begins_s, subject)
) STRICT, WITHOUT ROWID;

-- What workers may spend of a window: `granted` in total, whole tokens or nano-USD, and what their events were `charged` there
-- since, as in the balance.
CREATE TABLE budget_leases (
    budget   INTEGER NOT NULL,
    begins_s INTEGER NOT NULL,
    subject  TEXT NOT NULL,
    emitter  TEXT NOT NULL,
    ends_s   INTEGER NOT NULL,
    granted  INTEGER NOT NULL,
    charged  TEXT NOT NULL,
    PRIMARY KEY (budget, begins_s, subject, emitter)
) STRICT, WITHOUT ROWID;
CREATE INDEX budget_leases_emitters ON budget_leases (emitter);
CREATE INDEX budget_leases_ends ON budget_leases (ends_s);

-- Workers that have asked for leases: the number of the last request, and when it came.
CREATE TABLE budget_lessees (
    emitter TEXT NOT NULL PRIMARY KEY,
    number  INTEGER NOT NULL,
    seen_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
