//! Names that are replaced: in the files of the server itself.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::database::suite::budgets::{NOON_NS, ask};
use crate::database::suite::forgetting::{count_name, filled, forget_person};
use crate::verify::verify;

/// The bytes of the database's files.
fn files(database: &Database) -> Vec<u8> {
    let one = |sql: &str| database.sql(sql).unwrap().concat().concat();
    let directory = one("SHOW data_directory");
    let number = one("SELECT oid FROM pg_database WHERE datname = current_database()");
    let files = std::fs::read_dir(Path::new(&directory).join("base").join(number)).unwrap();
    files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn contract_no_byte_of_a_name_that_was_replaced_is_left_in_the_files() {
    // One of its own: what another transaction in whatever database may still see stays.
    let Some(server) =
        Server::start("fsync = off\nautovacuum = off\nallow_system_table_mods = on", &Default::default())
    else {
        return;
    };
    let database = Arc::new(server).database();
    let mut ledger = Ledger::new(Postgres::open(&address(&database)).unwrap());
    let reader = PostgresReader::new(address(&database));
    filled(&mut ledger, &reader);
    // What a worker holds for her; another worker goes on with what is another's.
    for (worker, subject) in [(3, "acme/zoe.quux"), (4, "acme/zoe.quuxy")] {
        let mut request = ask(&format!("{worker:032x}"), 1, "each", NOON_NS, 10, 1);
        request.request.leases[0].subject = subject.to_owned();
        ledger.lease(&[&request], NOON_NS + 7).unwrap();
    }
    // Not compressed, which would tear the other one's name, that begins as hers does.
    let apart: Vec<String> = (1..=5).map(|at| format!("ALTER stavalues{at} SET STORAGE EXTERNAL")).collect();
    database.sql(&format!("ALTER TABLE pg_statistic {}", apart.join(", "))).unwrap();
    database.sql("ANALYZE; CHECKPOINT").unwrap();
    let places = || database.sql("SELECT place FROM responses").unwrap().concat();
    let (named, old) = (count_name(&files(&database)), places());
    assert!(named > 20, "{named}");
    let leases = database.sql("SELECT subject FROM budget_leases ORDER BY subject").unwrap().concat();
    assert_eq!(leases, ["acme/zoe.quux", "acme/zoe.quuxy"]);
    let statistics =
        "SELECT count(*) FROM pg_stats WHERE schemaname = 'meshmeter' AND pg_stats::text LIKE '%zoe.quux%'";
    assert_ne!(database.sql(statistics).unwrap(), [["0"]]);

    forget_person(&reader, &mut ledger);
    database.sql("CHECKPOINT").unwrap();
    assert!(count_name(&files(&database)) > named / 2, "free space has it still");
    let new = places();
    let gone: Vec<&String> = old.iter().filter(|place| !new.contains(place)).collect();
    assert!(!gone.is_empty(), "her digest was replaced, too");
    database.sql(&rewriting()).unwrap();
    database.sql("CHECKPOINT").unwrap();
    let left = files(&database);
    assert_eq!(count_name(&left), 0);
    let digests = gone.iter().filter(|place| left.windows(place.len()).any(|part| part == place.as_bytes()));
    assert_eq!(digests.count(), 0);
    verify(&reader, &[], || ()).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn contract_the_documentation_says_what_writes_all_tables_with_names_anew() {
    let text = include_str!("../../../../../docs/data-protection.md");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(text).contains(&format!("{};", rewriting())), "{}", rewriting());
}
