-- Version 7: months can be sealed.

-- Up to which entry each chain is sealed: those entries count before a month, are in the archive at `place`, and `said` says so.
-- Behind the number `behind` they are on their way back. Of the archive the files of the first `commits` are meant; `manifests` is
-- the SHA-256 over their manifests.
CREATE TABLE sealed (
    writer       bigint PRIMARY KEY,
    entry        bigint NOT NULL,
    hash         bytea NOT NULL,
    before_month text COLLATE "C" NOT NULL,
    said_writer  bigint NOT NULL,
    said_entry   bigint NOT NULL,
    place        text COLLATE "C" NOT NULL,
    endpoint     text COLLATE "C",
    at_ns        bigint NOT NULL,
    behind       bigint,
    commits      bigint NOT NULL,
    manifests    bytea NOT NULL
);

-- Which calls were taken back or corrected: their records stay when their months are sealed.
CREATE INDEX ledger_taken_back ON ledger (emitter, sequence) WHERE kind IN ('reversal', 'correction');

-- Only what is sealed, is not on its way back, and is not needed for what was taken back or corrected.
CREATE FUNCTION refuse_other_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.kind NOT IN ('call', 'copy', 'release') OR EXISTS (SELECT 1 FROM meshmeter.forgetting)
        OR NOT EXISTS (SELECT 1 FROM meshmeter.sealed s
                       WHERE s.writer = OLD.writer AND OLD.entry <= s.entry AND s.behind IS NULL)
        OR EXISTS (SELECT 1 FROM meshmeter.ledger r WHERE r.emitter = OLD.emitter AND r.sequence = OLD.sequence
                   AND r.kind IN ('reversal', 'correction'))
    THEN
        RAISE EXCEPTION 'the ledger is append only';
    END IF;
    RETURN OLD;
END
$$;
DROP TRIGGER ledger_is_append_only ON ledger;
CREATE TRIGGER ledger_is_append_only BEFORE TRUNCATE ON ledger
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_is_never_deleted BEFORE DELETE ON ledger
FOR EACH ROW EXECUTE FUNCTION refuse_other_delete();
