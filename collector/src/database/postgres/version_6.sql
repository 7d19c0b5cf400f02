-- Version 6: names of persons can be replaced.

-- What they are hashed with: absent where the hash is over the names themselves, as before; longer where a name was replaced.
ALTER TABLE ledger ADD COLUMN salt bytea;
-- Which names were replaced, by which entries without them are checked.
CREATE INDEX ledger_forgotten ON ledger (writer, entry) WHERE kind = 'forgotten';

-- Names that are being replaced: not the names, but a digest by which whoever goes on with it knows the name again.
CREATE TABLE forgetting (
    digest    bytea PRIMARY KEY,
    salt      bytea NOT NULL,
    pseudonym text COLLATE "C" NOT NULL,
    begun_ns  bigint NOT NULL
);

-- Only names, only while they are being replaced, and only where the salt says so.
CREATE FUNCTION refuse_other_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM meshmeter.forgetting) OR coalesce(length(NEW.salt), 0) <= 16
        OR (OLD.writer, OLD.entry, OLD.kind, OLD.emitter, OLD.sequence, OLD.refers_writer, OLD.refers_entry, OLD.started_ns,
            OLD.received_ns, OLD.provider, OLD.model, OLD.evidence, OLD.charge::text, OLD.rating, OLD.reason, OLD.hash,
            OLD.cost::text, OLD.billed)
        IS DISTINCT FROM (NEW.writer, NEW.entry, NEW.kind, NEW.emitter, NEW.sequence, NEW.refers_writer, NEW.refers_entry,
            NEW.started_ns, NEW.received_ns, NEW.provider, NEW.model, NEW.evidence, NEW.charge::text, NEW.rating, NEW.reason,
            NEW.hash, NEW.cost::text, NEW.billed)
    THEN
        RAISE EXCEPTION 'the ledger is append only';
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER ledger_is_append_only ON ledger;
CREATE TRIGGER ledger_is_append_only BEFORE DELETE OR TRUNCATE ON ledger
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_is_never_updated BEFORE UPDATE ON ledger
FOR EACH ROW EXECUTE FUNCTION refuse_other_change();
