-- Version 4: the quarantine has its name.

ALTER TABLE set_aside RENAME TO quarantined;
ALTER INDEX set_aside_numbers RENAME TO quarantined_numbers;
