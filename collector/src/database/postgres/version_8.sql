-- Version 8: sums of the sums, and indexes for reports of calls.

-- Sums of each writer's rollup, made of it in the same transaction, for reports of many tenants: by day without tenants, and by
-- month with them. `counts` has all classes of a group, packed: for each its length and its word, then quantity, charge (yocto-USD),
-- cost less charge, unpriced, fallback and how many rows these are of, as numbers of seven bits a byte whose last bit is the sign.
CREATE TABLE rollup_days (
    day      date NOT NULL,
    adjusts  text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    model    text COLLATE "C" NOT NULL,
    evidence text COLLATE "C" NOT NULL,
    writer   bigint NOT NULL,
    counts   bytea NOT NULL,
    PRIMARY KEY (day, adjusts, provider, model, evidence, writer)
) WITH (fillfactor = 50);
CREATE TABLE rollup_months (
    month    text COLLATE "C" NOT NULL,
    tenant   text COLLATE "C" NOT NULL,
    adjusts  text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    model    text COLLATE "C" NOT NULL,
    evidence text COLLATE "C" NOT NULL,
    writer   bigint NOT NULL,
    counts   bytea NOT NULL,
    PRIMARY KEY (month, tenant, adjusts, provider, model, evidence, writer)
) WITH (fillfactor = 50);

-- What counts in a span of time, and what counts for a tenant.
CREATE INDEX ledger_times ON ledger (started_ns);
CREATE INDEX ledger_tenants ON ledger (tenant, started_ns);
-- What counts on another day than its own.
CREATE INDEX ledger_billed ON ledger (billed) WHERE billed IS NOT NULL;

-- The months of which they are made, while the sums of earlier versions are added up; then it goes.
CREATE TABLE rollup_filled (
    month text COLLATE "C" PRIMARY KEY
);

-- A collector of an earlier version, which does not know of them, must not write beside this one: each says what it is.
CREATE FUNCTION refuse_earlier_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a collector of an earlier version must not write to a ledger of this one: update it';
END
$$;
CREATE TRIGGER rollup_is_of_this_version BEFORE INSERT ON rollup
FOR EACH STATEMENT WHEN (current_setting('meshmeter.version', true) IS DISTINCT FROM '8')
EXECUTE FUNCTION refuse_earlier_version();
