//! What every database checks of the tables that it keeps for its own use: `meshmeter verify` asks for it.

use crate::budget::definition::Change;
use crate::terminal::printable;

/// Rows that are of something that is not there: what asks for the first of them, and what that is. What an emitter brings is lost if
/// its numbers are taken before, and the next budget would go on with a balance that it finds.
pub const STRAY: [(&str, &str); 2] = [
    (
        "SELECT emitter FROM emitter_ranges r WHERE NOT EXISTS (SELECT 1 FROM emitters e WHERE e.emitter = r.emitter) LIMIT 1",
        "an emitter that is not known has ranges",
    ),
    (
        "SELECT CAST(budget AS text) FROM budget_balances b
         WHERE NOT EXISTS (SELECT 1 FROM budgets k WHERE k.budget = b.budget) LIMIT 1",
        "a budget that is not in force has balances",
    ),
];
/// The budgets in force with what they are found by.
pub const BUDGETS: &str = "SELECT name, budget, definition FROM budgets ORDER BY name";

/// What is wrong with what a question of [`STRAY`] tells.
pub fn stray(what: &str, row: &str) -> String {
    format!("{what}: {}", printable(row))
}

/// What is wrong with a row of [`BUDGETS`]: a change finds a budget by its name, and balances by its number.
pub fn budget(name: &str, number: i64, definition: &str) -> Option<String> {
    let is_it = match Change::set(definition) {
        Ok((_, Change::Set(definition))) => definition.name() == name && definition.id == number,
        _ => false,
    };
    (!is_it).then(|| format!("the budget {} is not what its definition says", printable(name)))
}
