//! Names that are replaced: in the file itself.

use super::*;
use crate::database::suite::forgetting::{
    count_name, filled, forget_all, forget_person, request, tenant, while_others_write,
};
use crate::ledger::Ledger;
use crate::verify::verify;

const PATH: &str = "acme/zoe.quux";

/// How often the name is in the files, but not the other one that begins so.
fn bytes_with_name(file: &File) -> usize {
    let all = ["", "-wal"].map(|end| std::fs::read(format!("{}{end}", file.0.display())).unwrap_or_default());
    count_name(&all.concat())
}

#[test]
fn contract_no_byte_of_a_name_that_was_replaced_is_left_in_the_files() {
    let file = File::new();
    let mut ledger = Ledger::new(Sqlite::open(&file.0).unwrap());
    let reader = SqliteReader::new(&file.0);
    filled(&mut ledger, &reader);
    assert!(bytes_with_name(&file) > 20);
    forget_person(&reader, &mut ledger);
    assert!(bytes_with_name(&file) > 0, "free space has it still");
    assert!(ledger.scrub().unwrap());
    assert_eq!(bytes_with_name(&file), 0);
    verify(&reader, &[], || ()).unwrap_or_else(|failure| panic!("{failure}"));
    // Who reads keeps the log, and is told so.
    let held = reader.at_one_moment().unwrap();
    held.ping().unwrap();
    crate::store::Store::probe(ledger.store_mut()).unwrap();
    assert!(!ledger.scrub().unwrap());
}

#[test]
fn race_names_are_replaced_while_a_collector_writes() {
    let file = File::new();
    let open = || Box::new(Sqlite::open(&file.0).unwrap()) as Box<dyn Store>;
    while_others_write(&open, &SqliteReader::new(&file.0));
}

/// Changes the file as somebody may who can write to it; the problem that is found then.
fn found_after(file: &File, change: &str) -> String {
    let connection = Connection::open(&file.0).unwrap();
    connection.execute_batch(&format!("SAVEPOINT before; DROP TRIGGER ledger_is_never_updated; {change}")).unwrap();
    // Readers have connections of their own: the change must be committed, and undone behind them.
    connection.execute_batch("RELEASE before").unwrap();
    verify(&SqliteReader::new(&file.0), &[], || ()).err().map(|failure| failure.to_string()).unwrap_or_default()
}

#[test]
fn contract_a_pseudonym_that_is_moved_to_another_name_is_found() {
    for is_old in [false, true] {
        for (change, problem) in [
            // The forgotten calls become somebody else's.
            (
                "UPDATE ledger SET tenant = replace(tenant, 'p-1', 'p-2'), event = replace(event, 'p-1', 'p-2') WHERE kind <> 'forgotten'",
                "p-1 stands for",
            ),
            // What was replaced is said to be as before, and something else is altered with it.
            (
                "UPDATE ledger SET charge = '0.50' WHERE tenant = 'acme/p-1' AND kind = 'call'",
                if is_old { "p-1 stands for" } else { "was altered" },
            ),
            // A name that nobody has replaced is given to a pseudonym.
            (
                "UPDATE ledger SET tenant = 'acme/p-1', event = replace(event, 'zoe.quuxy', 'p-1') WHERE tenant LIKE '%y'",
                "was altered",
            ),
            ("UPDATE ledger SET tenant = 'acme/nobody' WHERE tenant = 'acme/p-1'", "no entry says so"),
            ("UPDATE ledger SET salt = substr(salt, 1, 34) WHERE tenant = 'acme/p-1'", "was altered"),
        ] {
            let file = File::new();
            let mut ledger = Ledger::new(Sqlite::open(&file.0).unwrap());
            let reader = SqliteReader::new(&file.0);
            filled(&mut ledger, &reader);
            if is_old {
                without_salts(&file);
            }
            for (path, pseudonym) in [(PATH, "p-1"), ("acme/p-1/laptop", "p-2")] {
                let request = crate::forget::Request { pseudonym: Some(pseudonym.to_owned()), ..request(tenant(path)) };
                forget_all(&reader, &mut ledger, request).unwrap();
            }
            verify(&reader, &[], || ()).unwrap_or_else(|failure| panic!("{failure}"));
            let found = found_after(&file, change);
            assert!(found.contains(problem), "{is_old} {change}: {found}");
        }
    }
}

#[test]
fn contract_only_names_are_changed_and_only_while_they_are_replaced() {
    let file = File::new();
    let mut ledger = Ledger::new(Sqlite::open(&file.0).unwrap());
    filled(&mut ledger, &SqliteReader::new(&file.0));
    let connection = Connection::open(&file.0).unwrap();
    let refused = |sql: &str| {
        let told = connection.execute_batch(sql).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains("the ledger is append only"), "{sql}: {told}");
    };
    let names = "UPDATE ledger SET tenant = 'x', salt = zeroblob(34) WHERE entry = 4";
    refused(names);
    connection.execute_batch("INSERT INTO forgetting VALUES (x'00', x'00', 'x', 1)").unwrap();
    for more in [
        "charge = '1.00'",
        "hash = zeroblob(32)",
        "kind = 'copy'",
        "billed = '2026-01-01'",
        "reason = 'x'",
        "cost = '1'",
    ] {
        refused(&names.replace("tenant = 'x'", more));
    }
    refused("UPDATE ledger SET tenant = 'x' WHERE entry = 4");
    refused("UPDATE ledger SET tenant = 'x', salt = NULL WHERE entry = 4");
    refused("DELETE FROM ledger WHERE entry = 4");
    connection.execute_batch(names).unwrap();
}
