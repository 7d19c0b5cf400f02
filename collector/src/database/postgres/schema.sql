-- Version 1. Days are UTC, times are nanoseconds since the Unix epoch, amounts are exact
-- decimal numbers of USD. A writer is a collector's place: what only one of them writes has the writer in its key, so
-- that they do not wait for each other.

-- The versions that this schema has had.
CREATE TABLE version (
    version integer PRIMARY KEY,
    since   timestamptz NOT NULL DEFAULT now()
);

-- Every event that was taken, as it was sent, and what was corrected since. Only ever added to. `hash` is over the entry
-- and the hash before it in the writer's chain, so that no entry can be changed or taken out unnoticed.
CREATE TABLE ledger (
    writer        bigint NOT NULL,
    entry         bigint NOT NULL,
    kind          text COLLATE "C" NOT NULL,
    emitter       text COLLATE "C" NOT NULL,
    sequence      bigint NOT NULL,
    refers_writer bigint,
    refers_entry  bigint,
    started_ns    bigint NOT NULL,
    received_ns   bigint NOT NULL,
    tenant        text COLLATE "C" NOT NULL,
    provider      text COLLATE "C" NOT NULL,
    model         text COLLATE "C" NOT NULL,
    evidence      text COLLATE "C" NOT NULL,
    charge        numeric NOT NULL,
    rating        text COLLATE "C",
    reason        text COLLATE "C",
    event         text COLLATE "C",
    hash          bytea NOT NULL,
    PRIMARY KEY (writer, entry)
);

-- A number is taken once, and an entry is taken back once, whatever the collectors believe.
CREATE UNIQUE INDEX ledger_numbers ON ledger (emitter, sequence) WHERE kind IN ('call', 'copy');
CREATE UNIQUE INDEX ledger_reversals ON ledger (refers_writer, refers_entry) WHERE kind = 'reversal';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append only';
END
$$;
CREATE TRIGGER ledger_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Where each chain ends: without it the last entries could be cut off unnoticed.
CREATE TABLE chain (
    writer bigint PRIMARY KEY,
    entry  bigint NOT NULL,
    hash   bytea NOT NULL
) WITH (fillfactor = 50);

-- Who counts: how far it has counted, by its own word (`head`) and by what came in (`last`).
CREATE TABLE emitters (
    emitter    text COLLATE "C" PRIMARY KEY,
    credential text COLLATE "C" NOT NULL,
    node       text COLLATE "C" NOT NULL,
    first_ns   bigint NOT NULL,
    heard_ns   bigint NOT NULL,
    last       bigint NOT NULL,
    head       bigint NOT NULL,
    dropped    bigint NOT NULL,
    ended      text COLLATE "C"
) WITH (fillfactor = 50);

-- The sequence numbers that the ledger has, per emitter, as ranges that never touch: it grows with the faults,
-- not with the events. Inside of a range is a duplicate; between two ranges is a gap.
CREATE TABLE emitter_ranges (
    emitter text COLLATE "C" NOT NULL,
    first   bigint NOT NULL,
    last    bigint NOT NULL CHECK (last >= first),
    PRIMARY KEY (emitter, first)
) WITH (fillfactor = 50);

-- What happened to numbers: opened (a later one came first), delivered, recovered (late, from a journal), full,
-- refused (dropped, by the emitter's word).
CREATE TABLE emitter_notes (
    emitter text COLLATE "C" NOT NULL,
    first   bigint NOT NULL,
    last    bigint NOT NULL,
    what    text COLLATE "C" NOT NULL,
    at_ns   bigint NOT NULL,
    PRIMARY KEY (emitter, first, last, what)
);

-- Which entry is charged for a provider's response, so that a second meter's record of it is not.
CREATE TABLE responses (
    day        bigint NOT NULL,
    response   bigint NOT NULL,
    writer     bigint NOT NULL,
    entry      bigint NOT NULL,
    emitter    text COLLATE "C" NOT NULL,
    started_ns bigint NOT NULL,
    ended_ns   bigint NOT NULL,
    input      bigint,
    output     bigint,
    PRIMARY KEY (day, response)
);

-- What reports are read from: sums of each writer's entries, kept in the same transaction; add them up over the
-- writers. `class` is a usage class or 'calls'; a class that no call reported has no row. `model` is the one that
-- responded, else the one that was asked for, else empty.
CREATE TABLE rollup (
    writer   bigint NOT NULL,
    day      date NOT NULL,
    tenant   text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    model    text COLLATE "C" NOT NULL,
    evidence text COLLATE "C" NOT NULL,
    class    text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL,
    charge   numeric NOT NULL,
    unpriced bigint NOT NULL,
    fallback bigint NOT NULL,
    PRIMARY KEY (day, tenant, provider, model, evidence, class, writer)
) WITH (fillfactor = 50);

-- What could not be taken (dead_letter), and what contradicts the ledger (alarm), and why. The same again only counts
-- up. `emitter` and `sequence` are what it calls itself, if that could be read.
CREATE TABLE set_aside (
    digest            bytea PRIMARY KEY,
    kind              text COLLATE "C" NOT NULL,
    reason            text COLLATE "C" NOT NULL,
    emitter           text COLLATE "C",
    sequence          bigint,
    credential        text COLLATE "C" NOT NULL,
    event             bytea NOT NULL,
    deliveries        bigint NOT NULL,
    first_received_ns bigint NOT NULL,
    last_received_ns  bigint NOT NULL
);
CREATE INDEX set_aside_numbers ON set_aside (emitter, sequence);
