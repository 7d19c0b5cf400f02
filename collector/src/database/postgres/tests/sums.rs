//! The sums of sums.

use super::*;
use crate::database::postgres::coarse;
use crate::database::postgres::connection::Connection;
use crate::database::suite::budgets::NOON_NS;
use crate::verify::verify;

const MONTH_NS: i64 = 31 * 86_400_000_000_000;

/// What version 8 made otherwise, undone.
const BACK_TO_7: &str = "DROP TRIGGER rollup_is_of_this_version ON rollup; DROP FUNCTION refuse_earlier_version();
    DROP INDEX ledger_times; DROP INDEX ledger_tenants; DROP INDEX ledger_billed;
    DROP TABLE rollup_days; DROP TABLE rollup_months; DELETE FROM version WHERE version = 8;";

/// What two collectors took, over three months.
fn filled(database: &Database) {
    let mut ledgers = [(); 2].map(|()| Ledger::new(Postgres::open(&address(database)).unwrap()));
    for (number, ledger) in (0_u64..).zip(&mut ledgers) {
        for sequence in 1..=12 {
            let at_ns = NOON_NS - i64::try_from(sequence % 3).unwrap() * MONTH_NS;
            let delivery = suite::spends(&format!("{number:032x}"), sequence, at_ns, 5 + number);
            assert_eq!(ledger.append(&[&delivery], NOON_NS).unwrap()[0].accepted, 1);
        }
    }
}

#[test]
fn race_every_level_of_the_sums_says_the_same_while_two_collectors_write() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let open = || Box::new(Postgres::open(&address(&database)).unwrap()) as Box<dyn Store>;
    let reader = PostgresReader::new(address(&database));
    suite::sums_agree_while_others_write(&open, &reader, &|| Box::new(reader.at_one_moment().unwrap()));
}

#[test]
fn contract_the_sums_of_the_version_before_are_added_up_and_whoever_was_ended_goes_on() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    filled(&database);
    let levels =
        ["rollup_days", "rollup_months"].map(|table| format!("SELECT count(*), sum(length(counts)) FROM {table}"));
    let before = levels.each_ref().map(|sql| database.sql(sql).unwrap());
    let months = database.sql("SELECT DISTINCT month FROM rollup_months ORDER BY month").unwrap().concat();
    let [first, second, third] = months.as_slice() else { panic!("{months:?}") };
    database.sql(BACK_TO_7).unwrap();
    let reader = PostgresReader::new(address(&database));
    let refused = reader.ping().unwrap_err().to_string();
    assert!(refused.contains("was written by an earlier version"), "{refused}");

    // One that was ended behind the first month. Another writer's name on it tells whether it is made once more.
    let target = address(&database).target().unwrap();
    let connection = Connection::open(&target, "SET search_path = meshmeter").unwrap();
    let begun = async {
        connection.client.batch_execute(include_str!("../version_8.sql")).await?;
        connection.client.batch_execute("BEGIN").await?;
        coarse::fill(&connection.client, first).await?;
        let rest = format!("INSERT INTO rollup_filled VALUES ('{first}'); COMMIT");
        Ok(connection.client.batch_execute(&rest).await?)
    };
    connection.wait(begun).unwrap();
    database.sql(&format!("UPDATE rollup_months SET writer = writer + 10 WHERE month = '{first}'")).unwrap();
    let mut told = Vec::new();
    drop(Postgres::open_telling(&address(&database), &mut |line| told.push(line.to_owned())).unwrap());
    let ends = [format!("{second} are added up, 2 of 3 months"), format!("{third} are added up, 3 of 3 months")];
    assert!(told.len() == 2 && told.iter().zip(&ends).all(|(line, end)| line.ends_with(end)), "{told:?}");
    database.sql("UPDATE rollup_months SET writer = writer - 10 WHERE writer > 10").unwrap();
    assert_eq!(levels.each_ref().map(|sql| database.sql(sql).unwrap()), before);
    assert_eq!(database.sql("SELECT to_regclass('meshmeter.rollup_filled') IS NULL").unwrap(), [["t"]]);
    verify(&reader, &[], || ()).unwrap();
    // And it goes on.
    filled_once_more(&database);
    verify(&reader, &[], || ()).unwrap();
}

fn filled_once_more(database: &Database) {
    let mut ledger = Ledger::new(Postgres::open(&address(database)).unwrap());
    let delivery = suite::spends(&format!("{:032x}", 0), 13, NOON_NS, 5);
    assert_eq!(ledger.append(&[&delivery], NOON_NS).unwrap()[0].accepted, 1);
}

#[test]
fn contract_a_collector_of_the_version_before_does_not_write_beside_this_one() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mut ledger = Ledger::new(Postgres::open(&address(&database)).unwrap());
    let connection = &ledger.store_mut().session.as_ref().unwrap().connection;
    connection.wait(async { Ok(connection.client.batch_execute("RESET meshmeter.version").await?) }).unwrap();
    let refused = ledger.append(&[&suite::delivery_of(1)], NOW_NS).unwrap_err().to_string();
    assert!(refused.contains("a collector of an earlier version"), "{refused}");
    assert_eq!(database.sql("SELECT count(*) FROM ledger").unwrap(), [["0"]]);
}

/// Whatever number of whichever sum of sums is another one, and whatever row is more or less, `verify` says which.
#[test]
fn contract_no_sum_of_sums_is_changed_unnoticed() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    filled(&database);
    let reader = PostgresReader::new(address(&database));
    verify(&reader, &[], || ()).unwrap();
    let found = |what: &str| {
        let found = verify(&reader, &[], || ()).err().unwrap_or_else(|| panic!("{what}: was not found"));
        found.to_string()
    };
    let mut changed = 0;
    for (table, keys) in [("rollup_days", "day, adjusts"), ("rollup_months", "month, tenant, adjusts")] {
        let rows = format!("SELECT encode(counts, 'hex') FROM {table} WHERE writer = 1 ORDER BY {keys} LIMIT 2");
        for row in database.sql(&rows).unwrap() {
            let right = &row[0];
            // By its content: where a row is changes with each update.
            let set = |to: &str, from: &str| {
                let sql = format!(
                    "UPDATE {table} SET counts = decode('{to}', 'hex') WHERE ctid = (SELECT ctid FROM {table}
                     WHERE writer = 1 AND counts = decode('{from}', 'hex') LIMIT 1)"
                );
                database.sql(&sql).unwrap();
            };
            for (what, wrong) in suite::totals::wrong_sums(right) {
                set(&wrong, right);
                let found = found(&format!("{table}: {what}"));
                assert!(found.ends_with("is not that of its days and tenants"), "{table}: {what}: {found}");
                set(right, &wrong);
                changed += 1;
            }
        }
        // Sums of another writer, of another model, of nothing; and a row that was taken out.
        let columns = format!("{keys}, provider, model, evidence, writer");
        let insert = |more: &str| format!("INSERT INTO {table} ({columns}, counts) SELECT {keys}, {more} FROM {table}");
        for (change, back) in [
            (
                format!("UPDATE {table} SET writer = 9 WHERE writer = 1"),
                format!("UPDATE {table} SET writer = 1 WHERE writer = 9"),
            ),
            (insert("provider, 'ghost', evidence, writer, ''"), format!("DELETE FROM {table} WHERE model = 'ghost'")),
            (
                insert("provider, model, evidence, 9, counts") + " WHERE writer = 1",
                format!("DELETE FROM {table} WHERE writer = 9"),
            ),
            (
                format!(
                    "CREATE TABLE gone AS SELECT * FROM {table} WHERE writer = 2; DELETE FROM {table} WHERE writer = 2"
                ),
                format!("INSERT INTO {table} SELECT * FROM gone; DROP TABLE gone"),
            ),
        ] {
            database.sql(&change).unwrap();
            found(&change);
            database.sql(&back).unwrap();
        }
    }
    assert!(changed > 40, "{changed}");
    // What is moved to another writer is no other sum, but not what the other's sums of sums are of.
    database.sql("UPDATE rollup SET writer = 9 WHERE writer = 1").unwrap();
    found("the rollup of another writer");
    database.sql("UPDATE rollup SET writer = 1 WHERE writer = 9").unwrap();
    verify(&reader, &[], || ()).unwrap();
}
