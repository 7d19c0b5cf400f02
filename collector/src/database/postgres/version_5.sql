-- Version 5: budgets.

-- How budgets were changed, by which those in force are checked.
CREATE INDEX ledger_budgets ON ledger (writer, entry) WHERE kind IN ('budget_set', 'budget_removed');

-- How often budgets were changed: who has this revision knows them. One row.
CREATE TABLE budget_revision (
    revision bigint NOT NULL
);
INSERT INTO budget_revision (revision) VALUES (0);

-- The budgets in force, by their entries in the ledger. `budget` is the revision with which its counting began; `definition` is
-- what the entry says.
CREATE TABLE budgets (
    name       text COLLATE "C" PRIMARY KEY,
    budget     bigint NOT NULL,
    definition text COLLATE "C" NOT NULL
);

-- What each writer's entries have spent of a budget, by window and, where each tenant has the limit for itself, by tenant: whole
-- tokens, or yocto-USD (10^-24 USD). Updated in the transaction that charges; add them up over the writers. A window begins at
-- a second since 1970.
CREATE TABLE budget_balances (
    budget   bigint NOT NULL,
    begins_s bigint NOT NULL,
    subject  text COLLATE "C" NOT NULL,
    writer   bigint NOT NULL,
    spent    numeric NOT NULL,
    PRIMARY KEY (budget, begins_s, subject, writer)
) WITH (fillfactor = 50);

-- What workers may spend of a window: `granted` in total, whole tokens or nano-USD, and what their events were `charged` there
-- since, as in the balance.
CREATE TABLE budget_leases (
    budget   bigint NOT NULL,
    begins_s bigint NOT NULL,
    subject  text COLLATE "C" NOT NULL,
    emitter  text COLLATE "C" NOT NULL,
    ends_s   bigint NOT NULL,
    granted  bigint NOT NULL,
    charged  numeric NOT NULL,
    PRIMARY KEY (budget, begins_s, subject, emitter)
) WITH (fillfactor = 50);
CREATE INDEX budget_leases_emitters ON budget_leases (emitter);
CREATE INDEX budget_leases_ends ON budget_leases (ends_s);

-- Workers that have asked for leases: the number of the last request, and when it came.
CREATE TABLE budget_lessees (
    emitter text COLLATE "C" PRIMARY KEY,
    number  bigint NOT NULL,
    seen_ns bigint NOT NULL
) WITH (fillfactor = 50);
