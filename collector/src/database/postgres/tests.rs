use super::server::{Database, Server};
use super::*;
use crate::database::suite;
use crate::ledger::decide::Decision;
use crate::ledger::{self, Ledger};
use crate::store::Reader;

mod checks;
mod forgetting;
mod sums;

const NOW_NS: i64 = 10 * 86_400_000_000_000;

fn address(database: &Database) -> Address {
    Address::of(&database.url()).unwrap()
}

fn refusal(database: &Database) -> String {
    Postgres::open(&address(database)).err().expect("it was opened").to_string()
}

#[test]
fn contract_it_does_what_every_store_must() {
    let Some(server) = Server::shared() else { return };
    suite::run(&|| {
        let database = server.database();
        let store = Postgres::open(&address(&database)).unwrap();
        (Box::new(store), Box::new(PostgresReader::new(address(&database))) as Box<dyn Reader>)
    });
}

#[test]
fn race_many_writers_of_one_database_charge_every_call_once() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let open = || Box::new(Postgres::open(&address(&database)).unwrap()) as Box<dyn Store>;
    suite::many_writers(&open, &PostgresReader::new(address(&database)));
}

/// Another collector commits while one decides, which can only be wrong: what it has not loaded is there by then.
#[test]
fn race_what_another_committed_meanwhile_is_decided_anew() {
    let Some(server) = Server::shared() else { return };
    // The same calls seen by another meter, on the same day and on the other side of midnight. And the very same events,
    // whose emitter nobody had heard of.
    for (mine, theirs) in [(0, 2), (0, 1), (0, 0)] {
        for call in 1..=2 {
            let database = server.database();
            let mut one = Postgres::open(&address(&database)).unwrap();
            let mut other = Ledger::new(Postgres::open(&address(&database)).unwrap());
            let delivery = suite::seen_by(mine, call..=call);
            let mut times = 0;
            let mut taken = Vec::new();
            one.transact(&ledger::keys(&[&delivery]), &mut |known| {
                times += 1;
                if times == 1 {
                    let append = || other.append(&[&suite::seen_by(theirs, call..=call)], NOW_NS).unwrap();
                    std::thread::scope(|scope| scope.spawn(append).join().unwrap());
                }
                let mut decision = Decision::new(known, None, NOW_NS);
                taken.push(decision.take(&delivery));
                decision.changes()
            })
            .unwrap();
            assert_eq!(times, 2, "{mine} {theirs} {call}");
            let is_new = u64::from(mine != theirs);
            assert_eq!(taken.iter().map(|taken| taken.accepted).collect::<Vec<_>>(), [1, is_new]);
            let reader = PostgresReader::new(address(&database));
            assert_eq!(suite::kinds(&reader), (1, is_new), "{mine} {theirs} {call}");
            crate::verify::verify(&reader, &[], || {}).unwrap();
        }
    }
}

#[test]
fn race_a_report_that_asks_more_than_once_is_of_one_moment() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    suite::totals::a_report_is_of_one_moment(&crate::database::Location::Postgres(address(&database)));
}

#[test]
fn race_what_is_written_while_the_ledger_is_verified_is_for_the_next_time() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let store = Postgres::open(&address(&database)).unwrap();
    let reader = PostgresReader::new(address(&database));
    suite::a_moment_stays(store, &reader, || Box::new(reader.at_one_moment().unwrap()));
}

#[test]
fn race_names_are_replaced_while_a_collector_writes() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let open = || Box::new(Postgres::open(&address(&database)).unwrap()) as Box<dyn Store>;
    suite::forgetting::while_others_write(&open, &PostgresReader::new(address(&database)));
}

#[test]
fn contract_only_names_are_changed_and_only_while_they_are_replaced() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mut ledger = Ledger::new(Postgres::open(&address(&database)).unwrap());
    suite::forgetting::filled(&mut ledger, &PostgresReader::new(address(&database)));
    let refused = |sql: &str| {
        let told = database.sql(sql).err().map(|error| format!("{error:?}")).unwrap_or_default();
        assert!(told.contains("the ledger is append only"), "{sql}: {told}");
    };
    let names = "UPDATE ledger SET tenant = 'x', salt = decode(repeat('00', 34), 'hex') WHERE entry = 4";
    refused(names);
    database.sql("INSERT INTO forgetting VALUES ('\\x00', '\\x00', 'x', 1)").unwrap();
    for more in ["charge = 1", "hash = '\\x00'", "kind = 'copy'", "billed = 'x'", "reason = 'x'"] {
        refused(&names.replace("tenant = 'x'", more));
    }
    for other in ["UPDATE ledger SET tenant = 'x'", "DELETE FROM ledger", "TRUNCATE ledger"] {
        refused(other);
    }
    database.sql(names).unwrap();
}

#[test]
fn race_collectors_that_start_at_once_make_the_schema_once_and_have_places_of_their_own() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let stores: Vec<Postgres> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(|| Postgres::open(&address(&database)).unwrap())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mut places: Vec<i64> = stores.iter().map(|store| store.session.as_ref().unwrap().writer).collect();
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        database.sql("SELECT version FROM version ORDER BY version").unwrap(),
        [["1"], ["2"], ["3"], ["4"], ["5"], ["6"], ["7"], ["8"]]
    );
}

#[test]
fn contract_a_backup_has_every_table_and_column() {
    // But those two, which are made of the rollup.
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    Postgres::open(&address(&database)).unwrap();
    let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns
        WHERE table_schema = 'meshmeter' AND table_name NOT IN ('version', 'rollup_days', 'rollup_months')";
    let mut found: Vec<String> = database.sql(sql).unwrap().into_iter().flatten().collect();
    let of = |table: &&crate::store::tables::Table| {
        let writer = table.by_writer.then_some("writer");
        let columns = table.columns.iter().map(|column| column.name).chain(writer);
        columns.map(|column| format!("{}.{column}", table.name)).collect::<Vec<_>>()
    };
    let mut expected: Vec<String> = crate::store::tables::TABLES.iter().flat_map(of).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn contract_a_commit_is_on_the_disk_before_it_is_acknowledged() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    database.sql(&format!("ALTER DATABASE {} SET synchronous_commit = off", database.name())).unwrap();
    let store = Postgres::open(&address(&database)).unwrap();
    let connection = &store.session.as_ref().unwrap().connection;
    let ask = async { Ok(connection.client.query_one("SHOW synchronous_commit", &[]).await?) };
    assert_eq!(connection.wait(ask).unwrap().get::<_, String>(0), "on");
}

#[test]
fn contract_another_programs_schema_is_not_touched_and_an_empty_one_is_taken() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    database.sql("CREATE SCHEMA meshmeter; CREATE TABLE meshmeter.theirs (x int)").unwrap();
    assert!(refusal(&database).ends_with("its schema meshmeter is another program's"), "{}", refusal(&database));
    let tables = "SELECT relname FROM pg_class WHERE relnamespace = 'meshmeter'::regnamespace";
    assert_eq!(database.sql(tables).unwrap(), [["theirs"]]);
    database.sql("DROP TABLE theirs").unwrap();
    Postgres::open(&address(&database)).unwrap();
}

#[test]
fn contract_a_later_version_is_refused_and_no_ledger_is_no_report() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let reader = PostgresReader::new(address(&database));
    let none = reader.ping().unwrap_err().to_string();
    assert!(none.ends_with("has no ledger yet, `meshmeter serve` makes one"), "{none}");
    drop(Postgres::open(&address(&database)).unwrap());
    reader.ping().unwrap();
    database.sql("INSERT INTO version (version) VALUES (1000)").unwrap();
    assert!(refusal(&database).ends_with("was written by a later version of meshmeter"), "{}", refusal(&database));
}

#[test]
fn contract_a_connection_that_was_ended_is_made_anew() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mut ledger = Ledger::new(Postgres::open(&address(&database)).unwrap());
    let reader = PostgresReader::new(address(&database));
    let delivery = suite::delivery_of(1);
    assert_eq!(ledger.append(&[&delivery], 1).unwrap()[0].accepted, 1);
    reader.ping().unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(database.sql(end).unwrap().len() >= 2);
    assert_eq!(reader.heads().unwrap().iter().map(|head| head.entry.number).sum::<i64>(), 1);
    assert_eq!(ledger.append(&[&delivery], 2).unwrap()[0].duplicates, 1);
    assert_eq!(database.sql("SELECT count(*) FROM ledger").unwrap(), [["1"]]);
}

#[test]
fn race_who_speaks_of_a_locked_emitter_waits_is_told_and_goes_on_behind_it() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let mut one = Ledger::new(Postgres::open(&address(&database)).unwrap());
    let mut other = Ledger::new(Postgres::open(&address(&database)).unwrap());
    one.append(&[&suite::delivery_of(1)], NOW_NS).unwrap();
    let delivery = suite::delivery_of(2);
    let mut told = Vec::new();
    one.store_mut()
        .transact(&ledger::keys(&[&delivery]), &mut |known| {
            let mut append = || other.append(&[&suite::delivery_of(3)], NOW_NS).unwrap_err().to_string();
            told.push(std::thread::scope(|scope| scope.spawn(&mut append).join().unwrap()));
            let mut decision = Decision::new(known, None, NOW_NS);
            decision.take(&delivery);
            decision.changes()
        })
        .unwrap();
    assert!(told.len() == 1 && told[0].contains("lock timeout"), "{told:?}");
    assert_eq!(other.append(&[&suite::delivery_of(3)], NOW_NS).unwrap()[0].accepted, 1);
    assert_eq!(database.sql("SELECT first, last FROM emitter_ranges").unwrap(), [["1", "3"]]);
}

#[test]
fn contract_the_password_opens_and_is_never_shown() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    database
        .sql(&format!("CREATE USER secret PASSWORD 's3cret'; GRANT ALL ON DATABASE {} TO secret", database.name()))
        .unwrap();
    Postgres::open(&Address::of(&database.url_of("secret:s3cret")).unwrap()).unwrap();
    let wrong = Postgres::open(&Address::of(&database.url_of("secret:wr0ng")).unwrap()).err().unwrap();
    let said = format!("{wrong} {wrong:?}");
    assert!(said.contains("password authentication failed") && !said.contains("wr0ng"), "{said}");
}

#[test]
fn contract_a_certificate_is_checked() {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = std::env::temp_dir().join(format!("meshmeter-{}.pem", std::process::id()));
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = format!("fsync = off\nlisten_addresses = '127.0.0.1'\nport = {port}\nssl = on");
    let server = Server::start(&settings, &[own.cert.pem(), own.signing_key.serialize_pem()]);
    if let Some(server) = server {
        let open = |options: &str| {
            let url = format!("postgres://meshmeter@localhost:{port}/postgres{options}");
            Postgres::open(&Address::of(&url).unwrap()).map(|_| ()).map_err(|error| error.to_string())
        };
        open(&format!("?sslmode=require&sslrootcert={}", certificate.display())).unwrap();
        let unknown = open("?sslmode=require").unwrap_err();
        assert!(unknown.contains("invalid peer certificate"), "{unknown}");
        // It takes nobody over the network without TLS.
        assert!(open("?sslmode=disable").is_err());
        drop(server);
    }
    let _ = std::fs::remove_file(&certificate);
}

/// Collectors that grant and charge at once: no unit is granted twice, and what is charged is in the balance once.
#[test]
fn race_two_collectors_that_grant_at_once_never_grant_more_than_there_is() {
    use suite::budgets::{NOON_NS, ask, balances, draft, set};
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    let open = || Ledger::new(Postgres::open(&address(&database)).unwrap());
    let id = set(&mut open(), &draft("day", "1000"), NOON_NS).unwrap();
    let reader = PostgresReader::new(address(&database));
    let workers: u64 = 4;
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let open = &open;
            scope.spawn(move || {
                let mut ledger = open();
                let name = format!("{worker:032x}");
                let (mut used, mut granted, mut sequence) = (0, 0, 0);
                for number in 1..=25 {
                    let request = ask(&name, number, "day", NOON_NS, used + 60, used + 7);
                    let lease = ledger.lease(&[&request], NOON_NS).unwrap()[0].leases[0].unwrap();
                    assert!(lease.granted >= granted, "nothing was given back");
                    granted = lease.granted;
                    while granted - used >= 5 && sequence < number * 8 {
                        sequence += 1;
                        used += 5;
                        let delivery = suite::spends(&name, sequence, NOON_NS, 5);
                        ledger.append(&[&delivery], NOON_NS).unwrap();
                    }
                }
            });
        }
    });
    let spent: Vec<String> = balances(&reader, id).into_iter().map(|(.., spent)| spent.stored()).collect();
    let spent: u64 = spent[0].parse().unwrap();
    assert!(spent <= 1000 && spent > 900, "{spent} were spent of 1000");
    crate::verify::verify(&reader, &[], || ()).unwrap();
}

#[test]
fn race_whoever_fails_at_any_step_of_sealing_goes_on() {
    let Some(server) = Server::shared() else { return };
    let database = server.database();
    suite::sealing::steps(&crate::database::Location::Postgres(address(&database)));
}
