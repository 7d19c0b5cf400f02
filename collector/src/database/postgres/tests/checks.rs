//! What `verify` finds in tables that are not entries.

use super::*;
use crate::database::suite::checks::are_found;
use crate::database::suite::forgetting::filled;

#[test]
fn contract_what_is_changed_beside_the_entries_is_found() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mut ledger = Ledger::new(Postgres::open(&address(&database)).unwrap());
    let reader = PostgresReader::new(address(&database));
    filled(&mut ledger, &reader);
    let sql = |sql: &str| drop(database.sql(sql).unwrap());
    are_found(
        &sql,
        &reader,
        &[
            (
                "INSERT INTO budget_balances (budget, begins_s, subject, writer, spent) VALUES (99, 0, '', 1, 5)",
                "DELETE FROM budget_balances WHERE budget = 99",
                "a budget that is not in force has balances: 99",
            ),
            ("DELETE FROM version WHERE version = 3", "INSERT INTO version VALUES (3)", "the versions"),
            (
                "UPDATE quarantined SET released_writer = 1, released_entry = 3",
                "UPDATE quarantined SET released_writer = NULL, released_entry = NULL",
                "in quarantine is settled by entry 1:3, which is not about it",
            ),
        ],
    );
}
