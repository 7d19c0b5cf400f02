//! What `verify` finds in tables that are not entries.

use super::*;
use crate::database::suite::budgets::NOON_NS;
use crate::database::suite::checks::are_found;
use crate::database::suite::forgetting::filled;
use crate::database::suite::totals::wrong_sums;
use crate::ledger::Ledger;
use crate::verify::verify;

#[test]
fn contract_what_is_changed_beside_the_entries_is_found() {
    let file = File::new();
    let mut ledger = Ledger::new(Sqlite::open(&file.0).unwrap());
    let reader = SqliteReader::new(&file.0);
    filled(&mut ledger, &reader);
    let connection = Connection::open(&file.0).unwrap();
    are_found(
        &|sql| connection.execute_batch(sql).unwrap(),
        &reader,
        &[
            (
                "INSERT INTO budget_balances (budget, begins_s, subject, spent) VALUES (99, 0, '', '5')",
                "DELETE FROM budget_balances WHERE budget = 99",
                "a budget that is not in force has balances: 99",
            ),
            (
                "UPDATE quarantined SET released = 3",
                "UPDATE quarantined SET released = NULL",
                "in quarantine is settled by entry 1:3, which is not about it",
            ),
        ],
    );
}

/// Whatever number of whichever sum of sums is another one, and whatever row is more or less, `verify` says which.
#[test]
fn contract_no_sum_of_sums_is_changed_unnoticed() {
    let file = File::new();
    let mut ledger = Ledger::new(Sqlite::open(&file.0).unwrap());
    let reader = SqliteReader::new(&file.0);
    for (sequence, at_ns) in [(1, NOON_NS), (2, NOON_NS - 86_400_000_000_000), (3, NOON_NS)] {
        let delivery = suite::spends(&format!("{:032x}", 1), sequence, at_ns, 5 + sequence);
        assert_eq!(ledger.append(&[&delivery], NOON_NS).unwrap()[0].accepted, 1);
    }
    let connection = Connection::open(&file.0).unwrap();
    let sql = |sql: &str| connection.execute_batch(sql).unwrap();
    let found = |what: &str| {
        let found = verify(&reader, &[], || ()).err().unwrap_or_else(|| panic!("{what}: was not found"));
        found.to_string()
    };
    for (table, keys) in [("rollup_days", "day, adjusts"), ("rollup_months", "month, tenant, adjusts")] {
        let row = format!("SELECT lower(hex(counts)) FROM {table} ORDER BY {keys}, provider, model, evidence LIMIT 1");
        let right: String = connection.query_row(&row, [], |row| row.get(0)).unwrap();
        let wrong = wrong_sums(&right);
        assert!(wrong.len() > 10);
        for (what, wrong) in wrong {
            let set = |to: &str, from: &str| {
                sql(&format!("UPDATE {table} SET counts = x'{to}' WHERE counts = x'{from}'"));
            };
            set(&wrong, &right);
            let found = found(&format!("{table}: {what}"));
            assert!(found.ends_with("is not that of its days and tenants"), "{table}: {what}: {found}");
            set(&right, &wrong);
        }
        sql(&format!("INSERT INTO {table} SELECT {keys}, provider, 'ghost', evidence, x'' FROM {table} LIMIT 1"));
        assert!(found(table).ends_with("is kept, and there is nothing that it is of"));
        sql(&format!("DELETE FROM {table} WHERE model = 'ghost'"));
        verify(&reader, &[], || ()).unwrap();
        sql(&format!(
            "CREATE TABLE gone AS SELECT * FROM {table} LIMIT 1; DELETE FROM {table} WHERE ({keys}) IN (SELECT {keys} FROM gone)"
        ));
        found(table);
        sql(&format!("INSERT INTO {table} SELECT * FROM gone; DROP TABLE gone"));
    }
    verify(&reader, &[], || ()).unwrap();
}
