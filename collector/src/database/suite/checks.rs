//! What somebody changes who can write to the tables, and `verify` finds.

use super::*;
use crate::verify::verify;

/// What was changed, how that is undone, and what is found.
pub type Change<'c> = (&'c str, &'c str, &'c str);

/// Changes that every database can make.
const EVERYWHERE: [Change<'static>; 3] = [
    (
        "INSERT INTO emitter_ranges (emitter, first, last) VALUES ('ghost', 1, 5)",
        "DELETE FROM emitter_ranges WHERE emitter = 'ghost'",
        "an emitter that is not known has ranges: ghost",
    ),
    (
        "UPDATE budgets SET name = 'other'",
        "UPDATE budgets SET name = 'each'",
        "the budget other is not what its definition says",
    ),
    (
        "UPDATE budgets SET budget = budget + 7",
        "UPDATE budgets SET budget = budget - 7",
        "a budget that is not in force has balances",
    ),
];

/// Each is found, and nothing when it is undone. `sql` makes a change.
pub fn are_found(sql: &dyn Fn(&str), reader: &dyn Reader, more: &[Change<'_>]) {
    let found = || verify(reader, &[], || ()).err().map(|failure| failure.to_string());
    assert_eq!(found(), None);
    for (change, back, problem) in EVERYWHERE.iter().chain(more) {
        sql(change);
        let found = found().unwrap_or_else(|| panic!("{change}: was not found"));
        assert!(found.contains(problem), "{change}: {found}");
        sql(back);
    }
    assert_eq!(found(), None);
}
