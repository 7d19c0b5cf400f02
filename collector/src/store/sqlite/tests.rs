use std::sync::atomic::{AtomicU32, Ordering};

use super::super::{Reader, suite};
use super::*;

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
        store.0.pragma_update(None, "synchronous", "OFF").unwrap();
        (Box::new(Kept(store, file)), Box::new(reader) as Box<dyn Reader>)
    });
}

#[test]
fn contract_a_commit_is_on_the_disk_before_it_is_acknowledged() {
    let file = File::new();
    let store = Sqlite::open(&file.0).unwrap();
    let pragma = |name: &str| store.0.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
    // 2 is FULL: with NORMAL, a WAL is synced at checkpoints only, and a power cut takes back commits.
    assert_eq!(pragma("synchronous").unwrap(), rusqlite::types::Value::Integer(2));
    assert_eq!(pragma("journal_mode").unwrap(), rusqlite::types::Value::Text("wal".to_owned()));
}
