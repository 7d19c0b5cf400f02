-- Version 3: what the provider takes beside what the tenant pays; months that are closed; what a person closes.

-- `cost` is absent where it is the charge, `billed` where it is the day on which the call began.
ALTER TABLE ledger ADD COLUMN cost numeric, ADD COLUMN billed text COLLATE "C";
-- An entry is entered anew once.
CREATE UNIQUE INDEX ledger_corrections ON ledger (refers_writer, refers_entry) WHERE kind = 'correction';
-- Months are closed once; every transaction asks which.
CREATE UNIQUE INDEX ledger_closings ON ledger (started_ns) WHERE kind = 'month_closed';
-- What was taken back of closed months, by which the sums are checked.
CREATE INDEX ledger_adjustments ON ledger (writer, entry) WHERE kind = 'reversal' AND billed IS NOT NULL;

-- `adjusts` is the month of the calls if it was closed before, else empty. `class` may be 'deferred:WHY' and 'unknown:NAME'.
ALTER TABLE rollup ADD COLUMN adjusts text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN cost numeric;
ALTER TABLE rollup DROP CONSTRAINT rollup_pkey;
ALTER TABLE rollup ADD PRIMARY KEY (day, adjusts, tenant, provider, model, evidence, class, writer);

CREATE INDEX emitter_notes_closed ON emitter_notes (emitter, first, last) WHERE what = 'closed';
