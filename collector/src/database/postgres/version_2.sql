-- Version 2: copies are proven, possible ones are noted, what is quarantined can be released.

DROP INDEX ledger_numbers;
CREATE UNIQUE INDEX ledger_numbers ON ledger (emitter, sequence) WHERE kind IN ('call', 'copy', 'release');

-- The latest time at which something was written, by which a clock that was set back is noticed.
ALTER TABLE chain ADD COLUMN written_ns bigint NOT NULL DEFAULT 0;
UPDATE chain c SET written_ns = coalesce((SELECT max(l.received_ns) FROM ledger l WHERE l.writer = c.writer), 0);

-- Which entry is charged for a call, so that a second meter's record of it is not: `place` is JSON. `response` is of
-- provider and response id; where several calls have the same, all but the first have a `proof` of their own. Records of
-- version 1 name no process, so that none of them can prove to be a copy.
DROP TABLE responses;
CREATE TABLE responses (
    day      bigint NOT NULL,
    response bigint NOT NULL,
    proof    bigint NOT NULL,
    place    text COLLATE "C" NOT NULL,
    PRIMARY KEY (day, response, proof)
);

-- Entries that are charged and may be of one call, for a person to decide. The last slot of a response counts up.
CREATE TABLE possible_copies (
    day           bigint NOT NULL,
    response      bigint NOT NULL,
    slot          bigint NOT NULL,
    first_writer  bigint NOT NULL,
    first_entry   bigint NOT NULL,
    second_writer bigint NOT NULL,
    second_entry  bigint NOT NULL,
    records       bigint NOT NULL,
    noted_ns      bigint NOT NULL,
    PRIMARY KEY (day, response, slot)
);

-- The entry that an event became, if a person released it.
ALTER TABLE set_aside ADD COLUMN released_writer bigint, ADD COLUMN released_entry bigint;
