use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::database::suite;
use crate::store::Reader;

mod checks;
mod forgetting;

/// A file of a test, gone at its end.
struct File(PathBuf);

impl File {
    fn new() -> File {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        File(std::env::temp_dir().join(format!("meshmeter-sqlite-{}-{number}.db", std::process::id())))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

/// Keeps its file as long as it is used.
struct Kept(Sqlite, #[allow(dead_code)] File);

impl Store for Kept {
    fn transact(&mut self, keys: &Keys, decide: &mut dyn FnMut(Known) -> Changes) -> Result<(), StoreError> {
        self.0.transact(keys, decide)
    }
}

#[test]
fn contract_it_does_what_every_store_must() {
    suite::run(&|| {
        let file = File::new();
        let (store, reader) = (Sqlite::open(&file.0).unwrap(), SqliteReader::new(&file.0));
        // Durability has a test of its own.
        store.connection.pragma_update(None, "synchronous", "OFF").unwrap();
        (Box::new(Kept(store, file)), Box::new(reader) as Box<dyn Reader>)
    });
}

#[test]
fn race_many_writers_of_one_file_charge_every_call_once() {
    let file = File::new();
    let open = || Box::new(Sqlite::open(&file.0).unwrap()) as Box<dyn Store>;
    suite::many_writers(&open, &SqliteReader::new(&file.0));
}

#[test]
fn race_every_level_of_the_sums_says_the_same_while_two_write() {
    let file = File::new();
    let open = || Box::new(Sqlite::open(&file.0).unwrap()) as Box<dyn Store>;
    let reader = SqliteReader::new(&file.0);
    suite::sums_agree_while_others_write(&open, &reader, &|| Box::new(reader.at_one_moment().unwrap()));
}

#[test]
fn contract_only_its_owner_reads_a_new_ledger_and_one_that_exists_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let file = File::new();
    let mode = |end: &str| {
        let metadata = std::fs::metadata(format!("{}{end}", file.0.display())).unwrap();
        metadata.permissions().mode() & 0o777
    };
    let store = Sqlite::open(&file.0).unwrap();
    assert_eq!(["", "-wal", "-shm"].map(mode), [0o600; 3]);
    drop(store);
    std::fs::set_permissions(&file.0, std::fs::Permissions::from_mode(0o640)).unwrap();
    let _store = Sqlite::open(&file.0).unwrap();
    assert_eq!(["", "-wal", "-shm"].map(mode), [0o640; 3]);
}

#[test]
fn race_collectors_that_start_together_make_one_database() {
    for _ in 0..20 {
        let file = File::new();
        let opened: Vec<_> = std::thread::scope(|scope| {
            let opening: Vec<_> = (0..8).map(|_| scope.spawn(|| Sqlite::open(&file.0).map(drop))).collect();
            opening.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    }
}

#[test]
fn contract_a_commit_is_on_the_disk_before_it_is_acknowledged() {
    let file = File::new();
    let store = Sqlite::open(&file.0).unwrap();
    let pragma =
        |name: &str| store.connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
    // 2 is FULL: with NORMAL, a WAL is synced at checkpoints only, and a power cut takes back commits.
    assert_eq!(pragma("synchronous").unwrap(), rusqlite::types::Value::Integer(2));
    assert_eq!(pragma("journal_mode").unwrap(), rusqlite::types::Value::Text("wal".to_owned()));
}

#[test]
fn race_a_command_finds_the_moment_between_the_transactions_of_one_who_writes_all_the_time() {
    let file = File::new();
    let busy = Sqlite::open(&file.0).unwrap();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let busy = busy;
            while !is_done.load(Ordering::Relaxed) {
                busy.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                std::thread::sleep(Duration::from_millis(200));
                busy.connection.execute_batch("COMMIT").unwrap();
                // What a collector does between two.
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        for number in 0..10 {
            let mut command = crate::database::Location::Sqlite(file.0.clone()).open().unwrap();
            let done =
                command.transact(&Keys::default(), &mut |known| Changes { head: known.head, ..Changes::default() });
            is_done.fetch_or(done.is_err() || number == 9, Ordering::Relaxed);
            done.unwrap();
        }
    });
}

/// A ledger whose log somebody fills.
struct Log(Sqlite, File);

impl Log {
    fn new() -> Log {
        let file = File::new();
        let store = Sqlite::open(&file.0).unwrap();
        store.connection.execute_batch("CREATE TABLE filler (bytes)").unwrap();
        Log(store, file)
    }

    fn fill(&self, times: u32) {
        (0..times).for_each(|_| {
            self.0.connection.execute_batch("INSERT INTO filler VALUES (zeroblob(100000))").unwrap();
        });
    }

    fn bytes(&self) -> i64 {
        let log = format!("{}-wal", self.1.0.display());
        i64::try_from(std::fs::metadata(log).unwrap().len()).unwrap()
    }
}

#[test]
fn race_the_log_is_short_again_when_whoever_read_long_has_ended() {
    let log = Log::new();
    let reader = SqliteReader::new(&log.1.0).at_one_moment().unwrap();
    log.fill(30);
    assert!(log.bytes() > 2 * WAL_BYTES, "a reader keeps the log: {} bytes", log.bytes());
    drop(reader);
    log.fill(2);
    assert!(log.bytes() <= WAL_BYTES, "{} bytes", log.bytes());
}

#[test]
fn race_whoever_reads_in_parts_lets_the_log_be_emptied_and_waits_for_no_one_who_does_not_write() {
    let log = Log::new();
    let reader = SqliteReader::new(&log.1.0);
    let moment = reader.at_one_moment().unwrap();
    log.fill(30);
    drop(moment);
    // Nobody writes: the log stays as it is.
    let begun = Instant::now();
    reader.make_way();
    assert!(begun.elapsed() < Duration::from_secs(3) && log.bytes() > WAL_BYTES, "{:?}", begun.elapsed());
    let path = log.1.0.clone();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            (0..100).for_each(|_| {
                log.fill(1);
                std::thread::sleep(Duration::from_millis(10));
            })
        });
        while !writer.is_finished() {
            reader.make_way();
            let log = std::fs::metadata(format!("{}-wal", path.display())).map_or(0, |log| log.len());
            assert!(i64::try_from(log).unwrap() <= WAL_BYTES || writer.is_finished(), "{log} bytes");
        }
    });
}

#[test]
fn contract_a_backup_has_every_table_and_column() {
    let file = File::new();
    let store = Sqlite::open(&file.0).unwrap();
    // Those two are made of the rollup.
    let sql = "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'
               AND t.name NOT IN ('rollup_days', 'rollup_months')";
    let mut select = store.connection.prepare(sql).unwrap();
    let mut found: Vec<String> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut expected: Vec<String> =
        crate::store::tables::TABLES.iter().flat_map(|table| backup::names(table)).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// What version 9 made otherwise, undone.
const BACK_TO_8: &str = "
    DROP INDEX ledger_taken_back; DROP TRIGGER ledger_is_never_deleted; DROP TABLE sealed;
    CREATE TRIGGER ledger_is_never_deleted BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append only'); END;
    PRAGMA user_version = 8;";

/// And what version 8 made otherwise.
const BACK_TO_7: &str = "
    DROP TRIGGER ledger_is_never_updated; DROP INDEX ledger_forgotten; DROP TABLE forgetting;
    ALTER TABLE ledger DROP COLUMN salt;
    CREATE TRIGGER ledger_is_never_updated BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append only'); END;
    PRAGMA user_version = 7;";

/// And what version 7 made otherwise.
const BACK_TO_6: &str = "
    DROP INDEX ledger_times; DROP INDEX ledger_tenants; DROP INDEX ledger_billed;
    DROP TABLE rollup_days; DROP TABLE rollup_months;
    PRAGMA user_version = 6;";

/// And what version 6 made otherwise.
const BACK_TO_5: &str = "
    DROP INDEX ledger_budgets;
    DROP TABLE budget_revision; DROP TABLE budgets; DROP TABLE budget_balances; DROP TABLE budget_leases;
    DROP TABLE budget_lessees;
    PRAGMA user_version = 5;";

/// And what version 5 made otherwise.
const BACK_TO_4: &str = "
    DROP INDEX quarantined_numbers; ALTER TABLE quarantined RENAME TO set_aside;
    CREATE INDEX set_aside_numbers ON set_aside (emitter, sequence);
    PRAGMA user_version = 4;";

/// And what version 4 made otherwise.
const BACK_TO_3: &str = "
    DROP INDEX ledger_corrections; DROP INDEX ledger_closings; DROP INDEX ledger_adjustments;
    DROP INDEX emitter_notes_closed;
    ALTER TABLE ledger DROP COLUMN cost; ALTER TABLE ledger DROP COLUMN billed;
    CREATE TABLE old (
        day TEXT NOT NULL, tenant TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, evidence TEXT NOT NULL,
        class TEXT NOT NULL, quantity INTEGER NOT NULL, charge TEXT NOT NULL, unpriced INTEGER NOT NULL,
        fallback INTEGER NOT NULL, PRIMARY KEY (day, tenant, provider, model, evidence, class)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO old SELECT day, tenant, provider, model, evidence, class, quantity, charge, unpriced, fallback FROM rollup;
    DROP TABLE rollup; ALTER TABLE old RENAME TO rollup;
    PRAGMA user_version = 3;";

/// And what version 3 made otherwise.
const BACK_TO_2: &str = "
    DROP TABLE responses; DROP TABLE possible_copies; DROP INDEX ledger_numbers;
    CREATE TABLE responses (
        day INTEGER NOT NULL, response INTEGER NOT NULL, entry INTEGER NOT NULL, emitter TEXT NOT NULL,
        started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, input INTEGER, output INTEGER,
        PRIMARY KEY (day, response)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO responses VALUES (1, 1, 1, 'x', 0, 0, 1, 1);
    CREATE UNIQUE INDEX ledger_numbers ON ledger (emitter, sequence) WHERE kind IN ('call', 'copy');
    ALTER TABLE set_aside DROP COLUMN released; ALTER TABLE chain DROP COLUMN written_ns;
    PRAGMA user_version = 2;";

#[test]
fn race_a_report_that_asks_more_than_once_is_of_one_moment() {
    let file = File::new();
    suite::totals::a_report_is_of_one_moment(&crate::database::Location::Sqlite(file.0.clone()));
}

#[test]
fn race_what_is_written_while_the_ledger_is_verified_is_for_the_next_time() {
    let file = File::new();
    let store = Sqlite::open(&file.0).unwrap();
    let reader = SqliteReader::new(&file.0);
    suite::a_moment_stays(store, &reader, || Box::new(reader.at_one_moment().unwrap()));
}

#[test]
fn contract_ledgers_of_versions_2_to_8_go_on_with_their_chains() {
    let mut back = String::new();
    for step in [BACK_TO_8, BACK_TO_7, BACK_TO_6, BACK_TO_5, BACK_TO_4, BACK_TO_3, BACK_TO_2] {
        back.push_str(step);
        goes_on(&back);
    }
}

/// Hashes as they were before there were salts.
fn without_salts(file: &File) {
    let reader = SqliteReader::new(&file.0);
    let connection = Connection::open(&file.0).unwrap();
    let trigger = "SELECT sql FROM sqlite_schema WHERE name = 'ledger_is_never_updated'";
    let trigger: String = connection.query_row(trigger, [], |row| row.get(0)).unwrap();
    connection.execute_batch("DROP TRIGGER ledger_is_never_updated").unwrap();
    let mut entries = Vec::new();
    let each = &mut |entry| {
        entries.push(entry);
        Ok(())
    };
    reader.entries(crate::store::entry::EntryId { writer: WRITER, number: 0 }, each).unwrap();
    let mut before = crate::store::entry::Hash::default();
    for mut entry in entries {
        entry.names = crate::store::names::Names::Plain;
        before = entry.hash_after(&before);
        let put = "UPDATE ledger SET salt = NULL, hash = ?2 WHERE entry = ?1";
        connection.execute(put, rusqlite::params![place::key(entry.id), before.0]).unwrap();
    }
    connection.execute("UPDATE chain SET hash = ?1", [before.0]).unwrap();
    connection.execute_batch(&trigger).unwrap();
}

fn goes_on(back: &str) {
    let file = File::new();
    let mut ledger = crate::ledger::Ledger::new(Sqlite::open(&file.0).unwrap());
    ledger.append(&[&suite::delivery_of(1)], 7).unwrap();
    drop(ledger);
    let reader = SqliteReader::new(&file.0);
    without_salts(&file);
    let head = reader.heads().unwrap();
    Connection::open(&file.0).unwrap().execute_batch(back).unwrap();
    assert!(reader.ping().unwrap_err().to_string().contains("is of an earlier version"));
    let mut ledger = crate::ledger::Ledger::new(Sqlite::open(&file.0).unwrap());
    assert_eq!(crate::verify::verify(&reader, &head, || ()).unwrap(), head);
    let written = ledger.store().connection.query_row("SELECT written_ns FROM chain", [], |row| row.get::<_, i64>(0));
    assert_eq!(written.unwrap(), 7);
    let taken = ledger.append(&[&suite::delivery_of(1), &suite::delivery_of(2)], 8).unwrap();
    assert_eq!((taken[0].duplicates, taken[1].accepted), (1, 1));
    let fresh = File::new();
    drop(Sqlite::open(&fresh.0).unwrap());
    let columns = |file: &File| {
        let connection = Connection::open(&file.0).unwrap();
        let sql = "SELECT s.type || ' ' || s.name || ' ' || coalesce(c.name || ' ' || c.type, '') FROM sqlite_schema s
            LEFT JOIN pragma_table_info(s.name) c ORDER BY 1";
        let mut select = connection.prepare(sql).unwrap();
        select.query_map([], |row| row.get::<_, String>(0)).unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    assert_eq!(columns(&file), columns(&fresh), "as if it had been made by this version");
}

#[test]
fn contract_a_ledger_of_version_1_goes_on_with_all_its_events() {
    let file = File::new();
    let old = Connection::open(&file.0).unwrap();
    old.execute_batch(include_str!("version_1.sql")).unwrap();
    let event = |emitter: &str, sequence| {
        let mut record = wire::record::Record { provider: "openai".to_owned(), ..Default::default() };
        record.usage.set(wire::usage::Class::InputText, Some(3));
        String::from_utf8(wire::event::encode(&record, &emitter.repeat(32), sequence)).unwrap()
    };
    for (entry, (emitter, sequence)) in (1_i64..).zip([("a", 1), ("b", 7), ("a", 2)]) {
        let sql = "INSERT INTO ledger VALUES (?1, 'x', 0, 'x', 0, ?2, 'x', 'x', NULL, NULL, 'missing', ?3)";
        old.execute(sql, rusqlite::params![entry, entry + 99, event(emitter, sequence)]).unwrap();
    }
    old.execute("INSERT INTO dead_letters VALUES ('{}', 'bad', 2, 1, 5)", []).unwrap();
    old.execute_batch("PRAGMA application_id = 1835365224; PRAGMA user_version = 1;").unwrap();
    drop(old);
    let reader = SqliteReader::new(&file.0);
    let error = reader.ping().unwrap_err().to_string();
    assert!(error.contains("is of an earlier version, `meshmeter serve` brings it up to date"), "{error}");
    drop(Sqlite::open(&file.0).unwrap());
    let heads = crate::verify::verify(&reader, &[], || ()).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(heads[0].entry.number, 3);
    let mut seen = Vec::new();
    let each = &mut |entry: crate::store::entry::Entry| {
        seen.push((entry.sequence, entry.received_ns, entry.event.unwrap()));
        Ok(())
    };
    reader.entries(crate::store::entry::EntryId { writer: WRITER, number: 0 }, each).unwrap();
    assert_eq!(seen, [(1, 100, event("a", 1)), (7, 101, event("b", 7)), (2, 102, event("a", 2))]);
    let mut kept = Vec::new();
    let each = &mut |row: crate::store::Quarantined| {
        kept.push(row.last.bytes);
        Ok(())
    };
    reader.quarantined(crate::store::Whose::Nobody, each).unwrap();
    assert_eq!(kept, [b"{}"]);
    let mut ledger = crate::ledger::Ledger::new(Sqlite::open(&file.0).unwrap());
    let arrivals =
        vec![crate::ledger::Arrival::new(event("a", 2).into()), crate::ledger::Arrival::new(event("a", 3).into())];
    let sender = crate::ledger::Sender::new("default", false);
    let delivery = crate::ledger::Delivery { sender, statement: None, arrivals };
    let taken = ledger.append(&[&delivery], 200).unwrap().remove(0);
    assert_eq!((taken.accepted, taken.duplicates, taken.alarms), (1, 1, 0));
}

#[test]
fn race_whoever_fails_at_any_step_of_sealing_goes_on() {
    let file = File::new();
    drop(Sqlite::open(&file.0).unwrap());
    suite::sealing::steps(&crate::database::Location::Sqlite(file.0.clone()));
}
