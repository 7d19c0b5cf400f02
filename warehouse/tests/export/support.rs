//! A ledger of made-up entries, a directory, and what can be read back from it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::civil::{Date, date};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};
use warehouse::place::Dir;
use warehouse::{Bounds, Done, End, Error, Kept, Line, Place, Position, Row, Selection, Source};
use wire::usage::Class;

/// A directory, gone at the end of its test.
pub struct Temporary(pub PathBuf);

impl Temporary {
    pub fn new() -> Temporary {
        // In memory, where there is such a place: thousands of files are synced.
        let memory = PathBuf::from("/dev/shm");
        Temporary::below(if memory.is_dir() { memory } else { std::env::temp_dir() })
    }

    #[allow(dead_code)] // For measurements.
    pub fn on_disk() -> Temporary {
        Temporary::below(std::env::temp_dir())
    }

    fn below(parent: PathBuf) -> Temporary {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("meshmeter-warehouse-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Temporary(path)
    }

    pub fn place(&self) -> Dir {
        Dir::open(&self.0).unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Chains of entries.
#[derive(Clone, Default)]
pub struct Ledger {
    /// How many entries each chain has, by writer.
    pub chains: BTreeMap<i64, i64>,
    /// What makes its hashes others than those of another ledger.
    pub salt: u8,
}

impl Ledger {
    pub fn of(chains: &[(i64, i64)]) -> Ledger {
        Ledger { chains: chains.iter().copied().collect(), salt: 0 }
    }

    pub fn hash_of(&self, position: Position) -> [u8; 32] {
        let mut hash = [self.salt; 32];
        hash[..8].copy_from_slice(&position.writer.to_be_bytes());
        hash[8..16].copy_from_slice(&position.entry.to_be_bytes());
        hash
    }

    pub fn row(&self, position: Position) -> Row {
        let number = position.entry;
        let tenant =
            ["acme", "acme/ml", "globex", "\"quoted\", ünïcode\u{202e}", ""][usize::try_from(number % 5).unwrap()];
        let day = [date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 30)][usize::try_from(number % 3).unwrap()];
        let line = Line {
            class: Class::InputText,
            quantity: number,
            charge: i128::from(number) * 1_000_000_000_000_000_001,
            cost: i128::from(number),
            unpriced: 0,
            fallback: 0,
        };
        // Some of what may be there is, in every mixture.
        let has = |bit: u32| number.wrapping_mul(2_654_435_761) >> bit & 1 == 1;
        let salt = (0..number % 70).map(|at| (number * 31 + at) as u8).collect();
        Row {
            lines: vec![line],
            hash: self.hash_of(position),
            kind: ["call", "copy", "reversal", "correction", "release"][usize::try_from(number % 7 % 5).unwrap()],
            refers: has(8).then_some(Position { writer: position.writer, entry: number / 2 }),
            adjusts: has(9).then(|| "2026-09".to_owned()),
            started_ns: number * 1_000_000_007 - 5_000_000_000,
            received_ns: i64::MAX - number,
            provider: format!("provider-{}", number % 3),
            model: if has(14) { String::new() } else { format!("model-{number}") },
            evidence: ["reported", "partial", "estimated", "missing"][usize::try_from(number % 4).unwrap()],
            charge: i128::from(number) * 1_000_000_000_000_000_001 * if has(10) { -1 } else { 1 },
            cost: if has(11) { 10_i128.pow(38) - 1 } else { -i128::from(number) },
            rating: has(11).then(|| format!("{{\"number\":{number}}}")),
            reason: has(12).then(|| "looked\0at ".repeat(usize::try_from(number % 9).unwrap())),
            event: has(13).then(|| format!("{{\"id\":\"{position}\",\"of\":\"{tenant}\"}}")),
            salt: has(14).then_some(salt),
            ..note(position, day, tenant)
        }
    }
}

/// What is to be read of a row.
pub fn kept(row: &Row) -> Kept {
    Kept {
        position: row.position,
        hash: row.hash,
        kind: row.kind.to_owned(),
        refers: row.refers,
        emitter: row.emitter.clone(),
        sequence: row.sequence,
        day: row.day,
        adjusts: row.adjusts.clone(),
        started_ns: row.started_ns,
        received_ns: row.received_ns,
        tenant: row.tenant.clone(),
        provider: row.provider.clone(),
        model: row.model.clone(),
        evidence: row.evidence.to_owned(),
        charge: row.charge,
        cost: row.cost,
        rating: row.rating.clone(),
        reason: row.reason.clone(),
        event: row.event.clone(),
        salt: row.salt.clone(),
    }
}

/// An entry that counts nothing.
pub fn note(position: Position, day: Date, tenant: &str) -> Row {
    Row {
        position,
        hash: [0; 32],
        kind: "call",
        refers: None,
        emitter: format!("{:032x}", position.writer),
        sequence: position.entry,
        day,
        adjusts: None,
        started_ns: 1_793_000_000_000_000_001,
        received_ns: 1_793_000_000_000_000_999,
        tenant: tenant.to_owned(),
        provider: "openai".to_owned(),
        model: "gpt".to_owned(),
        evidence: "reported",
        charge: 1,
        cost: 0,
        rating: None,
        reason: None,
        event: Some(format!("{{\"id\":\"{position}\"}}")),
        salt: None,
        call: None,
        calls: 1,
        lines: Vec::new(),
    }
}

impl Source for Ledger {
    fn ends(&self) -> Result<Vec<Position>, Error> {
        Ok(self.chains.iter().map(|(writer, entry)| Position { writer: *writer, entry: *entry }).collect())
    }

    fn hash(&self, position: Position) -> Result<Option<[u8; 32]>, Error> {
        let is_there = self.chains.get(&position.writer).is_some_and(|entries| position.entry <= *entries);
        Ok(is_there.then(|| self.hash_of(position)))
    }

    fn rows(&self, behind: &End, until: i64, each: &mut dyn FnMut(Row) -> Result<(), Error>) -> Result<(), Error> {
        let writer = behind.position.writer;
        (behind.position.entry + 1..=until).try_for_each(|entry| each(self.row(Position { writer, entry })))
    }
}

/// Small enough that there is more than one of everything.
pub const SMALL: Bounds = Bounds { commit: 7, waiting: 6_000, file: 8_000, open: 4 };

pub fn export(ledger: &Ledger, place: &dyn Place) -> Result<Done, Error> {
    warehouse::export(ledger, place, &Selection::default(), SMALL, &mut |_| ())
}

/// All files whose names end in `.parquet`, wherever they are, as a pattern finds them.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The rows of a file, as JSON; fails if it is no whole file.
pub fn rows_of(path: &Path) -> Vec<Value> {
    let reader = SerializedFileReader::new(File::open(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    reader.get_row_iter(None).unwrap().map(|row| plain(&row.unwrap())).collect()
}

fn plain(row: &parquet::record::Row) -> Value {
    Value::Object(row.get_column_iter().map(|(name, field)| (name.clone(), field_of(field))).collect())
}

fn field_of(field: &parquet::record::Field) -> Value {
    use parquet::record::Field::*;
    match field {
        Null => Value::Null,
        Bool(value) => json!(value),
        Int(value) => json!(value),
        Long(value) | TimestampMicros(value) => json!(value),
        Date(value) => json!(value),
        Str(value) => json!(value),
        Decimal(value) => json!(i128::from_be_bytes(value.data().try_into().unwrap()).to_string()),
        ListInternal(list) => list.elements().iter().map(field_of).collect(),
        MapInternal(map) => map.entries().iter().map(|(key, value)| json!([field_of(key), field_of(value)])).collect(),
        Group(row) => plain(row),
        other => panic!("{other:?}"),
    }
}

/// Where every row of the files stands, in order: each must be there once.
pub fn positions(root: &Path) -> Vec<(i64, i64)> {
    let rows = files(root).into_iter().flat_map(|path| rows_of(&path));
    let mut positions: Vec<(i64, i64)> =
        rows.map(|row| (row["writer"].as_i64().unwrap(), row["entry"].as_i64().unwrap())).collect();
    positions.sort_unstable();
    positions
}

/// Where every entry of a ledger stands, in order.
pub fn all(ledger: &Ledger) -> Vec<(i64, i64)> {
    ledger.chains.iter().flat_map(|(writer, entries)| (1..=*entries).map(|entry| (*writer, entry))).collect()
}

/// What the manifests name is what is there, byte for byte, and nothing else.
pub fn manifests_are_true(root: &Path) {
    use sha2::Digest as _;
    let mut named = Vec::new();
    for directory in fs::read_dir(root.join("_meshmeter/manifests")).unwrap() {
        for path in fs::read_dir(directory.unwrap().path()).unwrap() {
            let path = path.unwrap().path();
            assert_eq!(path.extension().unwrap(), "json", "what was begun is committed: {}", path.display());
            let manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            named.extend(manifest["files"].as_array().unwrap().clone());
        }
    }
    let mut paths = Vec::new();
    for file in named {
        let path = root.join(file["path"].as_str().unwrap());
        let bytes = fs::read(&path).unwrap();
        assert_eq!(file["bytes"], bytes.len());
        let digest: String = sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(file["sha256"], digest);
        assert_eq!(file["rows"], rows_of(&path).len());
        let partition = format!("month={}/tenant_hash={}/", file["month"].as_str().unwrap(), file["tenant_hash"]);
        assert!(file["path"].as_str().unwrap().starts_with(&partition));
        paths.push(path);
    }
    paths.sort();
    assert_eq!(paths, files(root));
}
